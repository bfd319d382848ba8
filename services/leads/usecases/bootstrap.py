"""The first start: the installation's own principals, their token files, and the tenant `default`.

The files are written before the transaction. What a crash leaves between the two is a file whose token
the database does not know, and the next start takes that token in; a token whose file is gone cannot
have come from a crash, and is replaced by one with a file. Both are said in the log.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from services.leads.domain.directory import (
    Directory,
    Party,
    Queue,
    Role,
    Routing,
    System,
    Team,
    TenantSettings,
    succeed,
)
from services.leads.domain.tokens import Token
from services.leads.store.directory import DirectoryStore, DirectoryTx
from smarketing.logs import get_log
from smarketing.server.audit import AuditEntry, AuditOutcome
from smarketing.server.auth import IssuedToken, hash_secret, issue_token

__all__ = ["DEFAULT_TENANT", "INSTALLATION", "bootstrap", "token_file"]

INSTALLATION: Final = "tenants/-"
DEFAULT_TENANT: Final = "tenants/default"
_ACTOR: Final = f"{INSTALLATION}/systems/leads"
_ROLES: Final = {
    "operator": Role.OPERATOR,
    "leads": Role.SERVICE,
    "sla": Role.SERVICE,
    "reports": Role.SERVICE,
}
_TOKEN_TEXT: Final = re.compile(r"smk_([a-z0-9]{8,40})_([A-Za-z0-9-]{32,128})")
_DISPLAY_NAME: Final = "Made by the installation"

_log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one start has to do about one principal's token."""

    principal: str
    take_in: IssuedToken | None = None
    """The token of the file, which the database does not know."""
    end: tuple[Token, ...] = ()
    """Tokens of the database that nobody can use any more."""


def token_file(data_dir: Path, system: str) -> Path:
    """Return where the token of `operator`, `leads`, `sla` or `reports` stands."""
    return data_dir / "tokens" / f"{system}.token"


async def bootstrap(store: DirectoryStore, data_dir: Path) -> None:
    """Make what a fresh install starts with, as far as it is missing; harmless at every start.

    Token files are readable by their owner alone, and their text is said nowhere else.
    A peer's token that was revoked, expired or lost its file is replaced; the operator's likewise,
    but tokens that people issued to the operator are left alone.
    """
    known = {system: await store.tokens(f"{INSTALLATION}/systems/{system}") for system in _ROLES}
    plans = _planned(data_dir, known, await store.run(lambda _tx, now: now))
    await store.run(lambda tx, now: _carry_out(tx, plans, now))


def _planned(data_dir: Path, known: Mapping[str, list[Token]], now: datetime) -> list[_Plan]:
    folder = data_dir / "tokens"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [_plan(token_file(data_dir, system), system, known[system], now) for system in _ROLES]


def _plan(file: Path, system: str, known: list[Token], now: datetime) -> _Plan:
    principal = f"{INSTALLATION}/systems/{system}"
    written = _read(file)
    by_id = {token.token_id: token for token in known}
    if written is not None:
        token = by_id.get(written.token_id)
        if token is None:
            _log.info("token_file_taken_in", principal=principal)
            return _Plan(principal, take_in=written)
        if token.works(now=now):
            return _Plan(principal)
    lost = tuple(t for t in known if t.display_name == _DISPLAY_NAME and t.works(now=now))
    if known:
        _log.warning("token_replaced", principal=principal, ended=len(lost))
    made = issue_token()
    _write(file, made.text)
    return _Plan(principal, take_in=made, end=lost)


def _carry_out(tx: DirectoryTx, plans: list[_Plan], now: datetime) -> None:
    for directory in (_installation(), _default_tenant()):
        if tx.directory(directory.tenant) is None:
            tx.save(None, succeed(None, directory), actor=_ACTOR)
            _log.info("tenant_made", tenant=directory.tenant)
    for plan in plans:
        for token in plan.end:
            tx.end_token(token.revoke(now=now), actor=_ACTOR)
        if plan.take_in is not None:
            name = f"{plan.principal}/tokens/{plan.take_in.token_id}"
            token = Token(name=name, display_name=_DISPLAY_NAME, create_time=now)
            tx.add_token(token, plan.take_in.secret_hash, actor=_ACTOR)
            tx.audit([_entry(name)])


def _entry(token: str) -> AuditEntry:
    return AuditEntry(
        tenant="-",
        principal=_ACTOR,
        on_behalf_of="",
        method="bootstrap",
        resource=token,
        outcome=AuditOutcome.APPLIED,
    )


def _installation() -> Directory:
    return Directory(
        tenant=INSTALLATION,
        settings=TenantSettings(time_zone="Etc/UTC", currency_code="USD"),
        systems=tuple(
            System(name=f"{INSTALLATION}/systems/{system}", roles=frozenset({role}))
            for system, role in _ROLES.items()
        ),
        routing=Routing(fallback_queue=""),
    )


def _default_tenant() -> Directory:
    """Return what `deploy/default/directory.yaml` says too."""
    sales = f"{DEFAULT_TENANT}/teams/sales"
    inbound = f"{DEFAULT_TENANT}/queues/inbound"
    return Directory(
        tenant=DEFAULT_TENANT,
        settings=TenantSettings(time_zone="UTC", currency_code="USD"),
        teams=(
            Team(name=f"{DEFAULT_TENANT}/teams/marketing", display_name="Marketing", party=Party.MARKETING),
            Team(name=sales, display_name="Sales", party=Party.SALES),
        ),
        queues=(Queue(name=inbound, display_name="Inbound", team=sales),),
        routing=Routing(fallback_queue=inbound),
    )


def _read(file: Path) -> IssuedToken | None:
    """Return the token in the file; None when there is no file, or it holds something else."""
    try:
        file.chmod(0o600)
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    match = _TOKEN_TEXT.fullmatch(text)
    return None if match is None else IssuedToken(match[1], text, hash_secret(match[2]))


def _write(file: Path, text: str) -> None:
    """Put the text into a file of its owner's; whoever looks sees the old file or the whole new one."""
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as target:
        target.write(text + "\n")
        target.flush()
        os.fsync(descriptor)
    unfinished.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
