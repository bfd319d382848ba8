"""Make tenants, bound what they use, replace tokens, and take people who leave out of the directory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.leads.domain.directory import Directory, TenantQuota, TenantSettings, succeed
from services.leads.domain.directory_errors import DirectoryInvalid, PrincipalUnknown, TokenUnknown
from services.leads.domain.directory_faults import faults_of
from services.leads.domain.errors import FieldInvalid, LeadError, TenantUnknown
from services.leads.domain.offboarding import departed
from services.leads.domain.tenancy import TenantExists, TokenEnded, faults_of_quota, first_directory
from services.leads.domain.tokens import Token
from services.leads.store.directory import DirectoryTx
from smarketing import names


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTenant:
    """Make a tenant."""

    name: str
    settings: TenantSettings
    quota: TenantQuota
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateQuota:
    """Make this the tenant's quota."""

    name: str
    quota: TenantQuota
    refusal: Exception | None = None
    """Why the caller may not: on record like any other refusal."""
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateToken:
    """Make a token of this id and secret in the place of the named one."""

    name: str
    token_id: str
    secret_hash: bytes
    overlap: timedelta
    lifetime: timedelta | None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Depart:
    """Take a person out of the directory, and end their tokens."""

    person: str
    actor: str


def create_tenants(
    tx: DirectoryTx,
    requests: Sequence[CreateTenant],
    now: datetime,  # noqa: ARG001 -- a use case is given it; the events have it from the transaction
) -> list[Directory | LeadError]:
    """Make each tenant with the directory that every tenant begins with."""
    return [_created(tx, request) for request in requests]


def update_quotas(
    tx: DirectoryTx,
    requests: Sequence[UpdateQuota],
    now: datetime,  # noqa: ARG001 -- as above
) -> list[Directory | Exception]:
    """Give each tenant its quota."""
    return [_bounded(tx, request) for request in requests]


def rotate_tokens(
    tx: DirectoryTx, requests: Sequence[RotateToken], now: datetime
) -> list[tuple[Token, Token] | LeadError]:
    """Make each new token; the old one ends when the overlap is over, or when it would have."""
    return [_rotated(tx, request, now) for request in requests]


def depart(tx: DirectoryTx, requests: Sequence[Depart], now: datetime) -> list[list[str] | LeadError]:
    """Take each person out, and return the tokens that ended; who is out already stays so."""
    return [_departed(tx, request, now) for request in requests]


def _created(tx: DirectoryTx, request: CreateTenant) -> Directory | LeadError:
    if tx.directory(request.name) is not None:
        return TenantExists(request.name)
    faults = list(faults_of_quota(request.quota))
    if faults:
        return FieldInvalid(f"tenant.quota.{faults[0].field}", faults[0].description)
    wanted = replace(first_directory(request.name, request.settings), quota=request.quota)
    wrong = faults_of(wanted)
    if wrong:
        return DirectoryInvalid(wrong)
    made = succeed(None, wanted)
    tx.save(None, made, actor=request.actor)
    return made


def _bounded(tx: DirectoryTx, request: UpdateQuota) -> Directory | Exception:
    if request.refusal is not None:
        return request.refusal
    old = tx.directory(request.name)
    if old is None:
        return TenantUnknown(request.name)
    for fault in faults_of_quota(request.quota):
        return FieldInvalid(f"quota.{fault.field}", fault.description)
    new = replace(old, quota=request.quota)
    if new != old:
        tx.save(old, new, actor=request.actor)
    return new


def _rotated(tx: DirectoryTx, request: RotateToken, now: datetime) -> tuple[Token, Token] | LeadError:
    old = tx.token(request.name)
    if old is None:
        return TokenUnknown(request.name)
    directory = tx.directory(names.parent_of(old.principal))
    principal = directory.principal(old.principal) if directory is not None else None
    if principal is None or principal.inactive:
        return PrincipalUnknown(old.principal)
    if not old.works(now=now):
        return TokenEnded(request.name)
    end = now + request.overlap
    previous = replace(old, expire_time=end if old.expire_time is None else min(end, old.expire_time))
    new = Token(
        name=f"{old.principal}/tokens/{request.token_id}",
        display_name=old.display_name,
        create_time=now,
        expire_time=None if request.lifetime is None else now + request.lifetime,
    )
    tx.add_token(new, request.secret_hash, actor=request.actor)
    tx.shorten_token(previous, actor=request.actor)
    return new, previous


def _departed(tx: DirectoryTx, request: Depart, now: datetime) -> list[str] | LeadError:
    old = tx.directory(names.parent_of(request.person))
    if old is None or old.person(request.person) is None:
        return PrincipalUnknown(request.person)
    new = departed(old, request.person)
    if new != old:
        tx.save(old, new, actor=request.actor)
    working = [token for token in tx.tokens_of(request.person) if token.works(now=now)]
    for token in working:
        tx.end_token(token.revoke(now=now), actor=request.actor)
    return [token.name for token in working]
