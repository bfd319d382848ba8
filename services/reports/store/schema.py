"""The tables: one row a fact, and roll-ups that hold sums of facts by day and month.

Instants are integers of microseconds here on every database: they go from the log into sums by the
million and are compared, never shown, before the edge.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, get_type_hints

from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    and_,
    literal_column,
    or_,
)
from sqlalchemy.types import TypeEngine

from services.reports.domain.agreements import MarketingQuota
from services.reports.domain.budgets import BudgetSaid, PayoutDue
from services.reports.domain.clocks import CLOCK_COUNTERS, AlertTold, ClockFact
from services.reports.domain.field_notes import FeedbackFact
from services.reports.domain.funnel import COUNTERS
from services.reports.domain.handoffs import HandoffFact, Happening
from services.reports.domain.inputs import InputEntry
from services.reports.domain.labels import Labels
from services.reports.domain.misses import MISS_COUNTERS
from services.reports.domain.opportunities import OpportunityFact, StepRow
from services.reports.domain.settled_periods import PromiseSettled
from services.reports.domain.words import OfferOutcome
from smarketing.sql.types import BigInt

__all__ = ["DAY", "MONTH", "OFFER_COUNTERS", "Tables", "define_tables", "is_apart"]

DAY: Final = 0
MONTH: Final = 1
OFFER_COUNTERS: Final = ("items", *(outcome.value for outcome in OfferOutcome))
MISS_LABELS: Final = ("commitment_id", "parties", "agreement", "agreement_version", "bucket")

_MISSED: Final = ("tenant", "missed_due_time", "stop_time", "commitment_id", "team", "agreement", "parties")
_UNCOUNTED: Final = (
    *("tenant", "start_time", "kind", "basis", "agreement_version", "team", "state"),
    *("stop_time", "pause_time", "original_due_time", "due_time"),
)
_APART: Final = (
    *("tenant", "kind", "basis", "start_time", "agreement_version", "team", "state"),
    *("stop_time", "pause_time", "original_due_time", "due_time"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Tables:
    """All tables of the read model."""

    metadata: MetaData
    handoff_fact: Table
    clock_fact: Table
    offer_end: Table
    happening: Table
    opportunity_fact: Table
    opportunity_step: Table
    feedback_fact: Table
    alert_fact: Table
    rung_fact: Table
    budget_said: Table
    promise_settled: Table
    payout_due: Table
    opportunity_stages: Table
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
    tally_rollup: Table
    missed_rollup: Table
    waiting_rollup: Table
    marketing_quota: Table
    input_entry: Table
    """What people and systems recorded; in no log, so that no rebuild makes it anew."""
    input_change: Table
    """Every change of that, for past states of it."""
    month_end: Table
    """Figures as they were when a month was over; no rebuild makes them anew either."""

    @property
    def rollups(self) -> tuple[Table, ...]:
        """Those that hold sums."""
        return (
            self.handoff_rollup,
            self.amount_rollup,
            self.reason_rollup,
            self.clock_rollup,
            self.offer_rollup,
            self.tally_rollup,
            self.missed_rollup,
            self.waiting_rollup,
        )

    @property
    def read_model(self) -> tuple[Table, ...]:
        """Everything that a rebuild from position zero makes anew."""
        return (
            self.handoff_fact,
            self.clock_fact,
            self.offer_end,
            self.happening,
            self.opportunity_fact,
            self.opportunity_step,
            self.feedback_fact,
            self.alert_fact,
            self.rung_fact,
            self.budget_said,
            self.promise_settled,
            self.payout_due,
            self.opportunity_stages,
            self.tenant_setting,
            self.agreement_version,
            self.commitment_version,
            self.calendar_version,
            self.folded_log,
            self.folded_tenant,
            self.marketing_quota,
            *self.rollups,
        )


def is_apart(clock: Table) -> ColumnElement[bool]:
    """Return what holds of clocks of which no bucket tells how long they run: ever paused, or let off.

    One text in the index and in every question, or SQLite would not take the index.
    """
    return or_(
        clock.c.stop_time.is_not(None),
        clock.c.pause_time.is_not(None),
        clock.c.due_time != clock.c.original_due_time,
        clock.c.state == literal_column("'void'"),
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
    Index(
        "handoff_fact_void_deals",
        handoff_fact.c.tenant,
        handoff_fact.c.void_time,
        sqlite_where=and_(handoff_fact.c.void_time.is_not(None), handoff_fact.c.convert_time.is_not(None)),
        postgresql_where=and_(
            handoff_fact.c.void_time.is_not(None), handoff_fact.c.convert_time.is_not(None)
        ),
    )
    Index(
        "handoff_fact_open",
        handoff_fact.c.tenant,
        handoff_fact.c.open_since,
        sqlite_where=handoff_fact.c.open_since.is_not(None),
        postgresql_where=handoff_fact.c.open_since.is_not(None),
    )
    clock_fact = Table("clock_fact", metadata, *_columns_of(ClockFact, key="clock"))
    Index("clock_fact_by_handoff", clock_fact.c.handoff)
    Index("clock_fact_by_due", clock_fact.c.tenant, clock_fact.c.due_time)
    # The lists of what is due and overdue cost what is not done, never what ever ran.
    Index(
        "clock_fact_undone",
        clock_fact.c.tenant,
        clock_fact.c.undone_due_time,
        clock_fact.c.clock,
        sqlite_where=clock_fact.c.undone_due_time.is_not(None),
        postgresql_where=clock_fact.c.undone_due_time.is_not(None),
    )
    # These two hold all that is counted over them, so that no clock itself is looked up.
    Index(
        "clock_fact_missed",
        *(clock_fact.c[name] for name in _MISSED),
        sqlite_where=clock_fact.c.missed_due_time.is_not(None),
        postgresql_where=clock_fact.c.missed_due_time.is_not(None),
    )
    Index(
        "clock_fact_moved",
        clock_fact.c.tenant,
        clock_fact.c.due_time,
        sqlite_where=clock_fact.c.due_time != clock_fact.c.original_due_time,
        postgresql_where=clock_fact.c.due_time != clock_fact.c.original_due_time,
    )
    # Of the owners' waiting, those who still wait or were let off; and of these, what no bucket holds. The
    # second begins with more of what is asked for, so that it is taken where both could be.
    uncounted = clock_fact.c.elapsed.is_(None)
    for name, columns, where in (
        ("clock_fact_uncounted", _UNCOUNTED, uncounted),
        ("clock_fact_apart", _APART, and_(uncounted, is_apart(clock_fact))),
    ):
        Index(name, *(clock_fact.c[column] for column in columns), sqlite_where=where, postgresql_where=where)
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
        **_around_handoffs(metadata),
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
        clock_rollup=_rollup(
            "clock_rollup", metadata, ("commitment_id", "parties", "agreement"), (*CLOCK_COUNTERS, "elapsed")
        ),
        offer_rollup=_rollup("offer_rollup", metadata, (), OFFER_COUNTERS),
        tally_rollup=_rollup("tally_rollup", metadata, ("word", "other"), ("items", "number")),
        missed_rollup=_rollup("missed_rollup", metadata, MISS_LABELS, MISS_COUNTERS),
        waiting_rollup=_rollup(
            "waiting_rollup",
            metadata,
            ("agreement_version",),
            ("items",),
            Column("buckets", LargeBinary, nullable=False),
        ),
        **_of_money(metadata),
    )


def _of_money(metadata: MetaData) -> dict[str, Table]:
    """Declare what people recorded, and what the agreement wants of marketing."""
    key = ("tenant", "source_system", "external_id")
    entry = Table(
        "input_entry",
        metadata,
        *(column for name in key for column in _columns_of(InputEntry, key=name) if column.name == name),
        *(column for column in _columns_of(InputEntry, key="") if column.name not in key),
    )
    Index("input_entry_by_day", entry.c.tenant, entry.c.kind, entry.c.first_day)
    Index("input_entry_by_journey", entry.c.tenant, entry.c.journey)
    quota = Table("marketing_quota", metadata, *_columns_of(MarketingQuota, key="agreement_version"))
    Index("marketing_quota_by_tenant", quota.c.tenant)
    change = Table(
        "input_change",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("change_time", BigInt, nullable=False),
        Column("entry", Text, nullable=False),
    )
    end = Table(
        "month_end",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("month", BigInt, primary_key=True, autoincrement=False),
        Column("kpi_id", Text, primary_key=True),
        Column("basis", Text, primary_key=True),
        Column("group_by", Text, primary_key=True),
        Column("freeze_time", BigInt, nullable=False),
        Column("answer", LargeBinary, nullable=False),
    )
    return {"input_entry": entry, "marketing_quota": quota, "input_change": change, "month_end": end}


def _around_handoffs(metadata: MetaData) -> dict[str, Table]:
    """Declare the facts that hang on a handoff and are read by themselves."""
    happening = Table("happening", metadata, *_columns_of(Happening, key="happening"))
    Index("happening_by_tenant", happening.c.tenant)
    opportunity = Table("opportunity_fact", metadata, *_columns_of(OpportunityFact, key="opportunity"))
    Index("opportunity_fact_by_creation", opportunity.c.tenant, opportunity.c.create_time)
    Index("opportunity_fact_by_state", opportunity.c.tenant, opportunity.c.state, opportunity.c.close_time)
    Index(
        "opportunity_fact_to_close",
        opportunity.c.tenant,
        opportunity.c.close_day,
        sqlite_where=opportunity.c.state == "open",
        postgresql_where=opportunity.c.state == "open",
    )
    Index("opportunity_fact_by_handoff", opportunity.c.handoff)
    Index("opportunity_fact_by_proposal", opportunity.c.tenant, opportunity.c.proposal_time)
    step = Table("opportunity_step", metadata, *_columns_of(StepRow, key="step"))
    Index("opportunity_step_by_opportunity", step.c.opportunity, step.c.number)
    Index("opportunity_step_by_close_day", step.c.tenant, step.c.close_day)
    feedback = Table("feedback_fact", metadata, *_columns_of(FeedbackFact, key="feedback"))
    Index("feedback_fact_by_creation", feedback.c.tenant, feedback.c.create_time)
    alert = Table("alert_fact", metadata, *_columns_of(AlertTold, key="alert"))
    Index("alert_fact_by_creation", alert.c.tenant, alert.c.create_time)
    rung = Table(
        "rung_fact",
        metadata,
        Column("clock", Text, primary_key=True),
        Column("cycle", BigInt, primary_key=True, autoincrement=False),
        Column("rung_id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("fire_time", BigInt, nullable=False),
        Column("fired_count", BigInt, nullable=False),
        Column("delivered_count", BigInt, nullable=False),
    )
    Index("rung_fact_by_time", rung.c.tenant, rung.c.fire_time)
    settled = Table("promise_settled", metadata, *_columns_of(PromiseSettled, key="promise"))
    Index("promise_settled_by_tenant", settled.c.tenant, settled.c.last_time)
    payout = Table("payout_due", metadata, *_columns_of(PayoutDue, key="payout"))
    Index("payout_due_by_time", payout.c.tenant, payout.c.due_time)
    stages = Table(
        "opportunity_stages",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("stages", Text, nullable=False),
    )
    return {
        "payout_due": payout,
        "opportunity_stages": stages,
        "happening": happening,
        "opportunity_fact": opportunity,
        "opportunity_step": step,
        "feedback_fact": feedback,
        "alert_fact": alert,
        "rung_fact": rung,
        "budget_said": Table("budget_said", metadata, *_columns_of(BudgetSaid, key="budget")),
        "promise_settled": settled,
    }


def _rollup(
    name: str,
    metadata: MetaData,
    extra: Sequence[str],
    counters: Sequence[str],
    *others: Column[Any],
) -> Table:
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
        *others,
        sqlite_with_rowid=False,
    )


_TYPE_OF: Final[dict[Any, tuple[type[TypeEngine[Any]] | TypeEngine[Any], bool]]] = {
    str: (Text, False),
    str | None: (Text, True),
    int: (BigInt, False),
    int | None: (BigInt, True),
    float: (Double, False),
    float | None: (Double, True),
    bool: (SmallInteger, False),
    bool | None: (SmallInteger, True),
}


def _columns_of(fact: type[Any], *, key: str) -> list[Column[Any]]:
    hints = get_type_hints(fact)
    columns: list[Column[Any]] = []
    for name, hint in hints.items():
        column_type, nullable = _TYPE_OF[hint]
        columns.append(Column(name, column_type, primary_key=name == key, nullable=nullable))
    return columns
