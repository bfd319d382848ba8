"""Resource names: `tenants/{tenant}/leads/{lead}` and its kin, built and parsed in one place."""

import re
from typing import Final

__all__ = [
    "ALL_TENANTS",
    "NameInvalid",
    "Pattern",
    "is_id",
    "parent_of",
    "tenant_of",
]

ALL_TENANTS: Final = "-"
"""Stands for every tenant where a method allows it: `tenants/-`."""

_ID = "[a-z0-9][a-z0-9._-]{0,62}"
_is_id = re.compile(_ID).fullmatch
_starts_with_tenant = re.compile(f"tenants/(-|{_ID})(?:/|$)").match


class NameInvalid(ValueError):
    """A string is not the name it should be."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"`{field}` is not of the form {expected}")
        self.field = field
        """The field of the request, or the id of the name, that is wrong."""
        self.expected = expected
        """The form it should have, for people."""


class Pattern:
    """One kind of resource name; `build` and `parse` are each other's inverse."""

    __slots__ = ("_match", "template", "variables")

    def __init__(self, template: str) -> None:
        self.template = template
        self.variables: tuple[str, ...] = tuple(re.findall(r"\{(\w+)\}", template))
        self._match = re.compile(re.sub(r"\{\w+\}", f"({_ID})", template)).fullmatch

    def __repr__(self) -> str:
        return f"Pattern({self.template!r})"

    def build(self, *ids: str) -> str:
        """Return the name made of these ids, in the order of the template.

        Raises:
            NameInvalid: an id has other characters than a-z, 0-9 and inner `.`, `_`, `-`, or over 63.
        """
        name = self.template
        for variable, value in zip(self.variables, ids, strict=True):
            if not is_id(value):
                raise NameInvalid(variable, f"{_ID}, for {self.template}")
            name = name.replace(f"{{{variable}}}", value)
        return name

    def parse(self, name: str, *, field: str = "name") -> tuple[str, ...]:
        """Return the ids in `name`, in the order of the template.

        Raises:
            NameInvalid: it has another form; `field` says where it stood.
        """
        match = self._match(name)
        if match is None:
            raise NameInvalid(field, self.template)
        return match.groups()

    def matches(self, name: str) -> bool:
        """Whether `name` is of this kind."""
        return self._match(name) is not None


def is_id(text: str) -> bool:
    """Whether `text` can be one segment of a name."""
    return _is_id(text) is not None


def tenant_of(name: str, *, field: str = "name") -> str:
    """Return the tenant id that any name begins with; `-` for `tenants/-`.

    Raises:
        NameInvalid: it does not begin with a tenant.
    """
    match = _starts_with_tenant(name)
    if match is None:
        raise NameInvalid(field, "tenants/{tenant}/…")
    return match[1]


def parent_of(name: str) -> str:
    """Return the name of the resource that contains this one; empty at the top."""
    return name.rsplit("/", 2)[0] if name.count("/") > 1 else ""


TENANT: Final = Pattern("tenants/{tenant}")

LEAD: Final = Pattern("tenants/{tenant}/leads/{lead}")
HANDOFF: Final = Pattern("tenants/{tenant}/leads/{lead}/handoffs/{handoff}")
OFFER: Final = Pattern("tenants/{tenant}/leads/{lead}/handoffs/{handoff}/offers/{offer}")
FOLLOW_UP: Final = Pattern("tenants/{tenant}/leads/{lead}/handoffs/{handoff}/followUps/{follow_up}")
DISPUTE: Final = Pattern("tenants/{tenant}/leads/{lead}/handoffs/{handoff}/dispute")
FEEDBACK: Final = Pattern("tenants/{tenant}/feedback/{feedback}")
PLAYBOOK: Final = Pattern("tenants/{tenant}/playbook")
OPPORTUNITY: Final = Pattern("tenants/{tenant}/opportunities/{opportunity}")

PERSON: Final = Pattern("tenants/{tenant}/people/{person}")
SYSTEM: Final = Pattern("tenants/{tenant}/systems/{system}")
PERSON_TOKEN: Final = Pattern("tenants/{tenant}/people/{person}/tokens/{token}")
SYSTEM_TOKEN: Final = Pattern("tenants/{tenant}/systems/{system}/tokens/{token}")
TEAM: Final = Pattern("tenants/{tenant}/teams/{team}")
QUEUE: Final = Pattern("tenants/{tenant}/queues/{queue}")

AGREEMENT: Final = Pattern("tenants/{tenant}/agreements/{agreement}")
AGREEMENT_VERSION: Final = Pattern("tenants/{tenant}/agreements/{agreement}/versions/{version}")
CALENDAR: Final = Pattern("tenants/{tenant}/calendars/{calendar}")
CALENDAR_VERSION: Final = Pattern("tenants/{tenant}/calendars/{calendar}/versions/{version}")
CLOCK: Final = Pattern("tenants/{tenant}/clocks/{clock}")
ALERT: Final = Pattern("tenants/{tenant}/alerts/{alert}")

AUDIT_ENTRY: Final = Pattern("tenants/{tenant}/auditEntries/{sequence}")
WEBHOOK_ENDPOINT: Final = Pattern("tenants/{tenant}/webhookEndpoints/{webhook_endpoint}")

SOURCE: Final = Pattern("tenants/{tenant}/sources/{source}")
SET_ASIDE: Final = Pattern("tenants/{tenant}/sources/{source}/setAside/{set_aside}")
WRITE_BACK: Final = Pattern("tenants/{tenant}/writeBacks/{write_back}")

SCORE_MODEL: Final = Pattern("tenants/{tenant}/scoreModels/{score_model}")
MQL_DEFINITION: Final = Pattern("tenants/{tenant}/mqlDefinitions/{mql_definition}")
