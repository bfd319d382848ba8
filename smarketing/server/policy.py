"""Who may call what: one line per RPC, and no server without all of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from smarketing import names
from smarketing.server.auth import ANY_TENANT, Caller, PrincipalKind, Role
from smarketing.server.errors import Refusal, field_invalid

__all__ = [
    "NO_TENANT",
    "Allow",
    "Policy",
    "PolicyMissing",
    "Resource",
    "check_policy",
    "check_role",
    "check_tenant",
    "permission_denied",
    "resource_field",
    "resource_reader",
]

NO_TENANT = "-"
"""For `tenant_from`: the method is about no tenant at all (definitions, pure evaluation)."""

_TENANT_FIELDS = ("parent", "name")


@dataclass(frozen=True, slots=True, init=False)
class Allow:
    """One line of a policy: the roles that may call, and where the request says whose data it is about.

    `people` narrows `roles` for callers who are people; left out, both may the same.
    `tenant_from` is a dotted path such as `start.parent`; left out, it is `parent` or else `name`.
    A `mutation` is audited by its command, other methods only when they are denied.
    """

    roles: frozenset[Role]
    people: frozenset[Role] = field(kw_only=True)
    mutation: bool = field(kw_only=True)
    tenant_from: str = field(kw_only=True)

    def __init__(
        self, *roles: Role, people: Iterable[Role] = (), mutation: bool = False, tenant_from: str = ""
    ) -> None:
        object.__setattr__(self, "roles", frozenset(roles))
        object.__setattr__(self, "people", frozenset(people) or self.roles)
        object.__setattr__(self, "mutation", mutation)
        object.__setattr__(self, "tenant_from", tenant_from)

    @property
    def is_about_no_tenant(self) -> bool:
        """Whether the method's requests name no tenant."""
        return self.tenant_from == NO_TENANT


Policy = Mapping[str, Allow]
"""Method (`/package.Service/Method`) → its line."""

Resource = Callable[[Message], str | None]
"""Finds the resource name that a request is about; `None` where this message of a stream has none."""


class PolicyMissing(Exception):
    """The policy and the contract differ; the server must not start."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "The policy table does not fit the contract:\n" + "\n".join(f"- {f}" for f in self.faults)
        )


def check_policy(policy: Policy, services: Iterable[str]) -> Mapping[str, MethodDescriptor]:
    """Return the descriptor of every RPC of `services` (full names).

    Raises:
        PolicyMissing: naming each RPC without a line, each line without an RPC, each line without a role
            and each path that the request does not have.
    """
    methods = {
        f"/{service}/{method.name}": method
        for service in services
        for method in descriptor_pool.Default().FindServiceByName(service).methods
    }
    faults = [f"{method}: no line says who may call it" for method in sorted(methods.keys() - policy.keys())]
    faults += [f"{method}: no such RPC is served" for method in sorted(policy.keys() - methods.keys())]
    for name in sorted(methods.keys() & policy.keys()):
        if not policy[name].roles:
            faults.append(f"{name}: its line names no role")
        try:
            resource_reader(methods[name].input_type, policy[name])
        except LookupError as fault:
            faults.append(f"{name}: {fault.args[0]}")
    if faults:
        raise PolicyMissing(faults)
    return methods


def resource_field(request: Descriptor, line: Allow) -> str:
    """Return the path in the request at which the resource stands; empty when it has none."""
    if line.is_about_no_tenant:
        return ""
    return line.tenant_from or next((name for name in _TENANT_FIELDS if name in request.fields_by_name), "")


def resource_reader(request: Descriptor, line: Allow) -> Resource:
    """Return the function that finds the resource a request is about.

    Raises:
        LookupError: the request has no such field.
    """
    if line.is_about_no_tenant:
        return lambda _: ""
    path = resource_field(request, line)
    if not path:
        raise LookupError(f"{request.full_name} has neither `parent` nor `name`; say where the tenant stands")
    *outer, last = _steps(request, path)
    if not outer:
        return lambda message: getattr(message, last)

    def read(message: Any) -> str | None:
        for step in outer:
            if not message.HasField(step):
                return None
            message = getattr(message, step)
        found: str = getattr(message, last)
        return found

    return read


def check_role(caller: Caller, line: Allow) -> None:
    """Refuse a caller who has none of the line's roles.

    Raises:
        Refusal: PERMISSION_DENIED.
    """
    needed = line.people if caller.kind is PrincipalKind.PERSON else line.roles
    if caller.roles.isdisjoint(needed):
        raise permission_denied()


def check_tenant(caller: Caller, resource: str, path: str) -> str:
    """Return the tenant id of `resource`, when the caller may name it.

    Another tenant is refused in the words of a missing right, before anything is looked up.

    Raises:
        Refusal: PERMISSION_DENIED; FIELD_INVALID when the name has no tenant.
    """
    try:
        tenant = names.tenant_of(resource, field=path)
    except names.NameInvalid as error:
        raise field_invalid(error.field, f"a name that begins with {error.expected}") from error
    if caller.tenant not in {tenant, ANY_TENANT}:
        raise permission_denied()
    return tenant


def permission_denied() -> Refusal:
    """Return the one refusal for a missing right, a foreign tenant and a hidden resource alike."""
    return Refusal(
        grpc.StatusCode.PERMISSION_DENIED,
        "PERMISSION_DENIED",
        "You may not do this, or it does not exist; ask an administrator for the role that may.",
    )


def _steps(request: Descriptor, path: str) -> list[str]:
    steps = path.split(".")
    at: Descriptor | None = request
    found: FieldDescriptor | None = None
    for step in steps:
        found = at.fields_by_name.get(step) if at is not None else None
        if found is None:
            raise LookupError(f"{request.full_name} has no field `{path}`")
        at = found.message_type
    if found is None or found.type != FieldDescriptor.TYPE_STRING or found.is_repeated:
        raise LookupError(f"`{path}` of {request.full_name} is not a name")
    return steps
