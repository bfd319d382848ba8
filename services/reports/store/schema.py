"""The tables: one row a fact, and roll-ups that hold sums of facts by day and month.

Instants are integers of microseconds here on every database: they go from the log into sums by the
million and are compared, never shown, before the edge.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, get_type_hints

from sqlalchemy import Column, Index, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.types import TypeEngine

from services.reports.domain.clocks import CLOCK_COUNTERS, ClockFact
from services.reports.domain.funnel import COUNTERS
from services.reports.domain.handoffs import HandoffFact, OfferOutcome
from services.reports.domain.labels import Labels
from smarketing.sql.types import BigInt

__all__ = ["DAY", "MONTH", "OFFER_COUNTERS", "Tables", "define_tables"]

DAY: Final = 0
MONTH: Final = 1
OFFER_COUNTERS: Final = ("items", *(outcome.value for outcome in OfferOutcome))


@dataclasses.dataclass(frozen=True, slots=True)
class Tables:
    """All tables of the read model."""

    metadata: MetaData
    handoff_fact: Table
    clock_fact: Table
    offer_end: Table
    tenant_setting: Table
    agreement_version: Table
    commitment_version: Table
    calendar_version: Table
    folded_log: Table
    folded_tenant: Table
    handoff_rollup: Table
    amount_rollup: Table
    reason_rollup: Table
    clock_rollup: Table
    offer_rollup: Table

    @property
    def rollups(self) -> tuple[Table, ...]:
        """Those that hold sums."""
        return (
            self.handoff_rollup,
            self.amount_rollup,
            self.reason_rollup,
            self.clock_rollup,
            self.offer_rollup,
        )

    @property
    def read_model(self) -> tuple[Table, ...]:
        """Everything that a rebuild from position zero makes anew."""
        return (
            self.handoff_fact,
            self.clock_fact,
            self.offer_end,
            self.tenant_setting,
            self.agreement_version,
            self.commitment_version,
            self.calendar_version,
            self.folded_log,
            self.folded_tenant,
            *self.rollups,
        )


def define_tables(metadata: MetaData) -> Tables:
    """Declare the tables of the read model in `metadata`."""
    handoff_fact = Table("handoff_fact", metadata, *_columns_of(HandoffFact, key="handoff"))
    Index("handoff_fact_by_submission", handoff_fact.c.tenant, handoff_fact.c.submit_time)
    Index(
        "handoff_fact_unattended",
        handoff_fact.c.tenant,
        sqlite_where=handoff_fact.c.unattended == 1,
        postgresql_where=handoff_fact.c.unattended == 1,
    )
    clock_fact = Table("clock_fact", metadata, *_columns_of(ClockFact, key="clock"))
    Index("clock_fact_by_handoff", clock_fact.c.handoff)
    Index("clock_fact_by_due", clock_fact.c.tenant, clock_fact.c.due_time)
    offer_end = Table(
        "offer_end",
        metadata,
        Column("offer", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("team", Text),
        Column("end_time", BigInt, nullable=False),
        Column("outcome", Text, nullable=False),
    )
    Index("offer_end_by_tenant", offer_end.c.tenant)
    return Tables(
        metadata=metadata,
        handoff_fact=handoff_fact,
        clock_fact=clock_fact,
        offer_end=offer_end,
        tenant_setting=Table(
            "tenant_setting",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("time_zone", Text, nullable=False),
            Column("currency_code", Text, nullable=False),
        ),
        agreement_version=Table(
            "agreement_version",
            metadata,
            Column("agreement_version", Text, primary_key=True),
            Column("tenant", Text, nullable=False, index=True),
            Column("state", Text, nullable=False),
            Column("calendar_version", Text, nullable=False),
            Column("effective_time", BigInt),
        ),
        commitment_version=Table(
            "commitment_version",
            metadata,
            Column("agreement_version", Text, primary_key=True),
            Column("commitment_id", Text, primary_key=True),
            Column("tenant", Text, nullable=False, index=True),
            Column("rank", SmallInteger, nullable=False),
            Column("title", Text, nullable=False),
            Column("parties", Text, nullable=False),
            Column("kind", Text, nullable=False),
            Column("objective_basis_points", SmallInteger, nullable=False),
        ),
        calendar_version=Table(
            "calendar_version",
            metadata,
            Column("calendar_version", Text, primary_key=True),
            Column("definition", LargeBinary, nullable=False),
        ),
        folded_log=Table(
            "folded_log",
            metadata,
            Column("service", Text, primary_key=True),
            Column("log_id", Text, nullable=False),
            Column("position", BigInt, nullable=False),
            Column("record_time", BigInt, nullable=False),
        ),
        folded_tenant=Table(
            "folded_tenant",
            metadata,
            Column("service", Text, primary_key=True),
            Column("tenant", Text, primary_key=True),
            Column("log_id", Text, nullable=False),
            Column("position", BigInt, nullable=False),
            Column("record_time", BigInt, nullable=False),
        ),
        handoff_rollup=_rollup("handoff_rollup", metadata, (), COUNTERS),
        amount_rollup=_rollup("amount_rollup", metadata, ("currency",), ("items", "minor_units")),
        reason_rollup=_rollup(
            "reason_rollup", metadata, ("outcome", "reason_code", "accountable_party"), ("items",)
        ),
        clock_rollup=_rollup("clock_rollup", metadata, ("commitment_id", "parties"), CLOCK_COUNTERS),
        offer_rollup=_rollup("offer_rollup", metadata, (), OFFER_COUNTERS),
    )


def _rollup(name: str, metadata: MetaData, extra: Sequence[str], counters: Sequence[str]) -> Table:
    # The group is in the key as a hash of its values: they may be absent, and NULL is in no key.
    return Table(
        name,
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("anchor", Text, primary_key=True),
        Column("grain", SmallInteger, primary_key=True),
        Column("day", BigInt, primary_key=True, autoincrement=False),
        Column("group_id", BigInt, primary_key=True, autoincrement=False),
        Column("month", BigInt, nullable=False),
        *(Column(label, Text) for label in (*Labels._fields, *extra)),
        *(Column(counter, BigInt, nullable=False) for counter in counters),
        sqlite_with_rowid=False,
    )


_TYPE_OF: Final[dict[Any, tuple[type[TypeEngine[Any]] | TypeEngine[Any], bool]]] = {
    str: (Text, False),
    str | None: (Text, True),
    int: (BigInt, False),
    int | None: (BigInt, True),
    bool: (SmallInteger, False),
}


def _columns_of(fact: type[Any], *, key: str) -> list[Column[Any]]:
    hints = get_type_hints(fact)
    columns = []
    for field in dataclasses.fields(fact):
        column_type, nullable = _TYPE_OF[hints[field.name]]
        columns.append(Column(field.name, column_type, primary_key=field.name == key, nullable=nullable))
    return columns
