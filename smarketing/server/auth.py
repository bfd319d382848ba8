"""Who is calling: a bearer token, proved against the directory's hashes."""

import enum
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

import grpc

from smarketing import wallclock
from smarketing.server.errors import Refusal

__all__ = [
    "ANY_TENANT",
    "Authenticator",
    "Caller",
    "Directory",
    "DirectoryToken",
    "IssuedToken",
    "PrincipalKind",
    "Role",
    "hash_secret",
    "issue_token",
]

ANY_TENANT = "-"
"""The tenant of principals who stand above tenants: peers and the installation's operators."""

_BEARER = re.compile(r"Bearer smk_([a-z0-9]{8,40})_([A-Za-z0-9-]{32,128})")
_DIRECTORY_RETRY = timedelta(seconds=1)


class Role(enum.StrEnum):
    """What a principal is, and so what it may ask for; the policy table names these."""

    MARKETING_SPECIALIST = "marketing_specialist"
    MARKETING_MANAGER = "marketing_manager"
    SALES_REP = "sales_rep"
    SALES_SPECIALIST = "sales_specialist"
    SALES_MANAGER = "sales_manager"
    ACCOUNT_MANAGER = "account_manager"
    CUSTOMER_SUCCESS = "customer_success"
    LEADERSHIP = "leadership"
    PRODUCT_READER = "product_reader"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    SERVICE = "service"


class PrincipalKind(enum.StrEnum):
    """A human, a customer's program, or one of our three services."""

    PERSON = "person"
    SYSTEM = "system"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The authenticated principal of a call, with all that a decision about it may look at."""

    principal: str
    """`tenants/{tenant}/people/{person}` or `tenants/{tenant}/systems/{system}`."""
    tenant: str
    """Tenant id, or `-` for the installation's own principals, who stand above tenants."""
    kind: PrincipalKind
    roles: frozenset[Role]
    party: str = ""
    """`MARKETING` or `SALES`; empty for principals of neither."""
    teams: frozenset[str] = frozenset()
    """Resource names of the teams the principal belongs to."""
    on_behalf_of: str = ""
    """The person a system says it acts for; proved to be an active person of one of its teams."""
    token_id: str = ""
    """Which of the principal's tokens proved it; filled in by the directory."""

    @property
    def actor(self) -> str:
        """Who made it happen, for events: the person a system named, else the principal itself."""
        return self.on_behalf_of or self.principal


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryToken:
    """One API token as the directory knows it: the hash of its secret, never the secret."""

    token_id: str
    secret_hash: bytes
    caller: Caller
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token; `text` is shown once and stored nowhere."""

    token_id: str
    text: str
    secret_hash: bytes


class Directory:
    """A snapshot of who may call: the unrevoked tokens of active principals. Replaced, never changed."""

    __slots__ = ("_people", "_tokens")

    def __init__(
        self, tokens: Iterable[DirectoryToken], people: Mapping[str, frozenset[str]] = MappingProxyType({})
    ) -> None:
        """Take the tokens, and the teams of each active person."""
        by_id: dict[str, tuple[DirectoryToken, ...]] = {}
        for token in tokens:
            # Ids are unique within a tenant only, so that no tenant can probe another's.
            proved = replace(token, caller=replace(token.caller, token_id=token.token_id))
            by_id[token.token_id] = (*by_id.get(token.token_id, ()), proved)
        self._tokens: Mapping[str, tuple[DirectoryToken, ...]] = MappingProxyType(by_id)
        self._people = MappingProxyType(dict(people))

    def find(self, token_id: str, secret: str, *, now: datetime) -> Caller | None:
        """Return the caller that the token proves, or `None` for a wrong, expired or unknown one.

        The secret is hashed and compared in the same time whether or not the id exists.
        """
        offered = hash_secret(secret)
        found: Caller | None = None
        for token in self._tokens.get(token_id, (_NOBODYS_TOKEN,)):
            if hmac.compare_digest(token.secret_hash, offered) and _is_valid(token, now):
                found = token.caller
        return found

    def find_by_reference(self, tenant: str, token_id: str, *, now: datetime) -> Caller | None:
        """Return the caller of a token proved earlier, as long as the token still stands."""
        for token in self._tokens.get(token_id, ()):
            if token.caller.tenant == tenant and _is_valid(token, now):
                return token.caller
        return None

    def teams_of(self, person: str) -> frozenset[str]:
        """Return the teams of `tenants/{tenant}/people/{person}`; none for whoever is not active."""
        return self._people.get(person, frozenset())


class Authenticator:
    """Turns a call's metadata into a `Caller`, against the newest directory snapshot."""

    def __init__(self, *, now: Callable[[], datetime] = wallclock.utc_now) -> None:
        self._now = now
        self._directory: Directory | None = None

    @property
    def ready(self) -> bool:
        """Whether a directory was loaded; until then every call is refused."""
        return self._directory is not None

    def replace_directory(self, directory: Directory) -> None:
        """Judge every call from now on by this snapshot."""
        self._directory = directory

    def caller_of(self, metadata: Mapping[str, str | bytes]) -> Caller:
        """Return who calls.

        Raises:
            Refusal: DIRECTORY_NOT_READY, CREDENTIALS_MISSING, CREDENTIALS_INVALID, ON_BEHALF_OF_INVALID.
        """
        directory = self._loaded()
        caller = self.caller_of_header(metadata.get("authorization"))
        person = metadata.get("smarketing-on-behalf-of")
        if person is None:
            return caller
        return _acting_for(directory, caller, person)

    def caller_of_header(self, authorization: str | bytes | None) -> Caller:
        """Return who an `authorization` header proves.

        Raises:
            Refusal: DIRECTORY_NOT_READY, CREDENTIALS_MISSING, CREDENTIALS_INVALID.
        """
        directory = self._loaded()
        if not isinstance(authorization, str) or not authorization:
            raise _unauthenticated("CREDENTIALS_MISSING", "Send `authorization: Bearer <API token>`.")
        match = _BEARER.fullmatch(authorization)
        caller = directory.find(match[1], match[2], now=self._now()) if match else None
        if caller is None:
            raise _credentials_invalid()
        return caller

    def caller_of_token(self, tenant: str, token_id: str) -> Caller | None:
        """Return the caller of a token that a session refers to, or `None` once it no longer stands.

        Raises:
            Refusal: DIRECTORY_NOT_READY.
        """
        return self._loaded().find_by_reference(tenant, token_id, now=self._now())

    def caller_again(self, caller: Caller) -> Caller:
        """Return who the caller of an earlier call is by now.

        Raises:
            Refusal: CREDENTIALS_INVALID once the token does not stand, ON_BEHALF_OF_INVALID.
        """
        directory = self._loaded()
        found = directory.find_by_reference(caller.tenant, caller.token_id, now=self._now())
        if found is None:
            raise _credentials_invalid()
        return _acting_for(directory, found, caller.on_behalf_of) if caller.on_behalf_of else found

    def _loaded(self) -> Directory:
        if self._directory is None:
            raise Refusal(
                grpc.StatusCode.UNAVAILABLE,
                "DIRECTORY_NOT_READY",
                "The service has not read the directory yet; try again shortly.",
                retry_delay=_DIRECTORY_RETRY,
            )
        return self._directory


def hash_secret(secret: str) -> bytes:
    """Return what is stored of a token's secret: SHA-256, enough because secrets carry 256 bits of chance."""
    return hashlib.sha256(secret.encode()).digest()


def issue_token() -> IssuedToken:
    """Return a new token with a fresh id and 256 bits of secret."""
    token_id, secret = wallclock.new_id(), secrets.token_hex(32)
    return IssuedToken(token_id, f"smk_{token_id}_{secret}", hash_secret(secret))


def _acting_for(directory: Directory, caller: Caller, person: str | bytes) -> Caller:
    named = person if isinstance(person, str) else ""
    same_tenant = named.startswith(f"tenants/{caller.tenant}/people/")
    shares_team = not caller.teams.isdisjoint(directory.teams_of(named))
    if caller.kind is not PrincipalKind.SYSTEM or not same_tenant or not shares_team:
        raise Refusal(
            grpc.StatusCode.PERMISSION_DENIED,
            "ON_BEHALF_OF_INVALID",
            "Only a system may act for a person, and only for an active one of its own teams.",
        )
    return replace(caller, on_behalf_of=named)


def _is_valid(token: DirectoryToken, now: datetime) -> bool:
    return token is not _NOBODYS_TOKEN and (token.expire_time is None or now < token.expire_time)


def _credentials_invalid() -> Refusal:
    return _unauthenticated("CREDENTIALS_INVALID", "The API token is wrong, expired or revoked; use another.")


def _unauthenticated(reason: str, message: str) -> Refusal:
    return Refusal(grpc.StatusCode.UNAUTHENTICATED, reason, message)


# Compared against when the id is unknown, so that an unknown id takes as long as a wrong secret.
_NOBODYS_TOKEN = DirectoryToken(
    token_id="",
    secret_hash=bytes(32),
    caller=Caller(principal="", tenant="", kind=PrincipalKind.PERSON, roles=frozenset()),
)
