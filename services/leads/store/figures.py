"""Business figures from the database's own state: they survive restarts and agree with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, false, func, select

from services.leads.domain.states import HandoffState
from services.leads.store.schema import NOBODYS, SCHEMA

_T = SCHEMA.leads
_h = _T.handoff.c


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFigures:
    """One tenant's figures."""

    totals: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(what is counted, label) → how often it ever happened."""
    handoffs: Mapping[str, int] = field(default_factory=dict)
    """State, or `archived` → how many are there."""
    oldest_unrouted: datetime | None = None
    oldest_offered: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What /metrics shows, all of one instant."""

    tenants: Mapping[str, TenantFigures]
    unowned: int
    submitted: int
    """Handoffs that ever began, of all tenants, as they were counted when they began."""
    standing: int
    """Handoffs that stand in a state now, of all tenants, as they are found."""
    idempotency_records: int

    @property
    def are_conserved(self) -> bool:
        """Whether every handoff that ever began stands in one state, and every open one is somebody's."""
        return self.submitted == self.standing and not self.unowned


def read_figures(connection: Connection, tenants: Sequence[str]) -> Figures:
    """Return the figures of these tenants, and those of the whole."""
    records = SCHEMA.commands.idempotency
    return Figures(
        tenants={tenant: _of_tenant(connection, tenant) for tenant in tenants},
        unowned=connection.execute(_UNOWNED).scalar_one(),
        submitted=connection.execute(_SUBMITTED).scalar_one(),
        standing=connection.execute(_STANDING).scalar_one(),
        idempotency_records=connection.execute(select(func.count()).select_from(records)).scalar_one(),
    )


# Said in the words of the index that holds just these.
_UNOWNED = (
    select(func.count())
    .select_from(_T.handoff)
    # SQLite takes an empty index for as good as any other.
    .with_hint(_T.handoff, "INDEXED BY handoff_nobodys", dialect_name="sqlite")
    .where(NOBODYS)
)
_SUBMITTED = select(func.coalesce(func.sum(_T.business_total.c.amount), 0)).where(
    _T.business_total.c.total == "submitted"
)
_STANDING = select(func.count()).where(_h.state.in_([state.value for state in HandoffState]))


def _of_tenant(connection: Connection, tenant: str) -> TenantFigures:
    total = _T.business_total.c
    counted = select(total.total, total.label, total.amount).where(total.tenant == tenant)
    by_state = (
        select(_h.state, _h.archived, func.count()).where(_h.tenant == tenant).group_by(_h.state, _h.archived)
    )
    handoffs = {state.name.lower(): 0 for state in HandoffState} | {"archived": 0}
    for state, archived, count in connection.execute(by_state):
        handoffs["archived" if archived else HandoffState(state).name.lower()] += count
    waiting = (_h.tenant == tenant, _h.archived == false())
    unrouted = select(func.min(_h.submit_time)).where(*waiting, _h.state == HandoffState.SUBMITTED.value)
    offered = select(func.min(_h.offer_time)).where(*waiting, _h.offer_state == 1)
    return TenantFigures(
        totals={(name, label): amount for name, label, amount in connection.execute(counted)},
        handoffs=handoffs,
        oldest_unrouted=connection.execute(unrouted).scalar(),
        oldest_offered=connection.execute(offered).scalar(),
    )
