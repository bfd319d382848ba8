"""What people and the installation do to a directory: apply it whole, issue tokens and end them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.leads.domain.directory import Change, Directory, diff, succeed
from services.leads.domain.directory_errors import DirectoryInvalid, PrincipalUnknown, TokenUnknown
from services.leads.domain.directory_faults import faults_of
from services.leads.domain.errors import EtagStale, LeadError
from services.leads.domain.tokens import Token
from services.leads.store.directory import DirectoryTx
from smarketing import names

__all__ = [
    "Applied",
    "ApplyDirectory",
    "IssueToken",
    "RevokeToken",
    "apply",
    "issue",
    "revoke",
    "would_apply",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyDirectory:
    """Make the directory equal to `wanted`."""

    wanted: Directory
    etag: str = ""
    """The directory that the caller saw; empty when any will do."""
    actor: str
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueToken:
    """Make a token of this id and secret for a person or system."""

    principal: str
    token_id: str
    secret_hash: bytes
    display_name: str = ""
    lifetime: timedelta | None = None
    """None means until it is revoked."""
    actor: str
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeToken:
    """End the token of this name."""

    name: str
    actor: str
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """The directory as it is, or would be, and how it differs from the one before."""

    directory: Directory
    changes: tuple[Change, ...]


def apply(
    tx: DirectoryTx,
    requests: Sequence[ApplyDirectory],
    now: datetime,  # noqa: ARG001 -- a use case is given it; the events have it from the transaction
) -> list[Applied | LeadError]:
    """Make each directory what is wanted; one that is so already tells nobody anything."""
    return [_apply(tx, request) for request in requests]


def would_apply(old: Directory | None, request: ApplyDirectory) -> Applied:
    """Return what applying would come to.

    Raises:
        EtagStale: the present directory is not the one that the caller saw.
        DirectoryInvalid: with every fault.
    """
    present = "" if old is None else old.etag
    if request.etag not in {"", present}:
        raise EtagStale(request.wanted.name, present)
    faults = faults_of(request.wanted, old=old)
    if faults:
        raise DirectoryInvalid(faults)
    directory = succeed(old, request.wanted)
    return Applied(directory, diff(old, directory))


def issue(tx: DirectoryTx, requests: Sequence[IssueToken], now: datetime) -> list[Token | LeadError]:
    """Make a token for each active person or system."""
    return [_issue(tx, request, now) for request in requests]


def revoke(tx: DirectoryTx, requests: Sequence[RevokeToken], now: datetime) -> list[Token | LeadError]:
    """End each token; one that was ended before stays as it was."""
    return [_revoke(tx, request, now) for request in requests]


def _apply(tx: DirectoryTx, request: ApplyDirectory) -> Applied | LeadError:
    old = tx.directory(request.wanted.tenant)
    try:
        applied = would_apply(old, request)
    except LeadError as refused:
        return refused
    if applied.changes:
        tx.save(old, applied.directory, actor=request.actor, traceparent=request.traceparent)
    return applied


def _issue(tx: DirectoryTx, request: IssueToken, now: datetime) -> Token | LeadError:
    directory = tx.directory(names.parent_of(request.principal))
    principal = directory.principal(request.principal) if directory is not None else None
    if principal is None or principal.inactive:
        return PrincipalUnknown(request.principal)
    token = Token(
        name=f"{request.principal}/tokens/{request.token_id}",
        display_name=request.display_name,
        create_time=now,
        expire_time=None if request.lifetime is None else now + request.lifetime,
    )
    tx.add_token(token, request.secret_hash, actor=request.actor, traceparent=request.traceparent)
    return token


def _revoke(tx: DirectoryTx, request: RevokeToken, now: datetime) -> Token | LeadError:
    token = tx.token(request.name)
    if token is None:
        return TokenUnknown(request.name)
    ended = token.revoke(now=now)
    if ended != token:
        tx.end_token(ended, actor=request.actor, traceparent=request.traceparent)
    return ended
