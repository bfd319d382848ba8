"""Folds what hangs on a handoff or a clock and is read by itself: opportunities, feedback, alerts, rungs."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, TypeAlias, get_args

from sqlalchemy import Connection, Table

from services.reports.domain.agreements import StagesSet
from services.reports.domain.budgets import BudgetSaid, PayoutDue
from services.reports.domain.clocks import AlertTold, RungTold
from services.reports.domain.field_notes import FeedbackFact, FeedbackGiven, FeedbackMoved, fold_feedback
from services.reports.domain.opportunities import (
    OpportunityFact,
    OpportunityStep,
    StepRow,
    begin_opportunity,
    fold_opportunity,
)
from services.reports.domain.settled_periods import PromiseSettled
from services.reports.store.facts import Facts
from services.reports.store.schema import Tables
from smarketing.sql.rows import FindRows, InsertRows, UpsertRows

__all__ = ["SIDE_WORDS", "SideFacts", "SideWord"]

SideWord: TypeAlias = (
    OpportunityStep
    | FeedbackGiven
    | FeedbackMoved
    | RungTold
    | AlertTold
    | BudgetSaid
    | PayoutDue
    | PromiseSettled
    | StagesSet
)
"""What the logs say of these."""

SIDE_WORDS: Final = frozenset(get_args(SideWord))
"""The same, to ask a word's type for: a fold asks every word."""

_feedback_row: Final = attrgetter(*FeedbackFact.__dataclass_fields__)


class SideFacts:
    """Writes these tables in the caller's transaction. Holds compiled statements, no data."""

    def __init__(self, tables: Tables) -> None:
        self._add_steps = InsertRows(tables.opportunity_step)
        self._find_feedback = FindRows(tables.feedback_fact, key=["feedback"])
        self._put_feedback = _upsert(tables.feedback_fact, 1)
        self._put_alerts = _upsert(tables.alert_fact, 1)
        self._put_budgets = _upsert(tables.budget_said, 1)
        self._put_settled = _upsert(tables.promise_settled, 1)
        self._put_payouts = _upsert(tables.payout_due, 1)
        self._put_stages = _upsert(tables.opportunity_stages, 1)
        self._put_rungs = UpsertRows(
            tables.rung_fact,
            key=["clock", "cycle", "rung_id"],
            replace=["tenant", "fire_time"],
            add=["fired_count", "delivered_count"],
        )

    def fold(self, connection: Connection, words: Sequence[SideWord], deals: Facts[OpportunityFact]) -> None:
        """Take words of one log, in its order, into the tables; opportunities only into what is at hand."""
        if not words:
            return
        self._take_steps(connection, [each for each in words if type(each) is OpportunityStep], deals)
        self._fold_feedback(
            connection, [each for each in words if isinstance(each, FeedbackGiven | FeedbackMoved)]
        )
        alerts = {each.alert: each for each in words if isinstance(each, AlertTold)}
        self._put_alerts.upsert(connection, list(alerts.values()))
        budgets = {each.budget: each for each in words if isinstance(each, BudgetSaid)}
        self._put_budgets.upsert(connection, list(budgets.values()))
        settled = {each.promise: each for each in words if isinstance(each, PromiseSettled)}
        self._put_settled.upsert(connection, list(settled.values()))
        payouts = {each.payout: each for each in words if isinstance(each, PayoutDue)}
        self._put_payouts.upsert(connection, list(payouts.values()))
        stages = {each.tenant: ",".join(each.stages) for each in words if isinstance(each, StagesSet)}
        self._put_stages.upsert(connection, list(stages.items()))
        self._fold_rungs(connection, [each for each in words if isinstance(each, RungTold)])

    def _take_steps(
        self, connection: Connection, words: Sequence[OpportunityStep], deals: Facts[OpportunityFact]
    ) -> None:
        deals.read(connection, dict.fromkeys(word.opportunity for word in words))
        steps: list[StepRow] = []
        for word in words:
            name = word.opportunity
            fact = deals[name] if name in deals else deals.add(name, begin_opportunity(word))
            steps.append(fold_opportunity(fact, word))
        self._add_steps.insert(connection, steps)

    def _fold_feedback(self, connection: Connection, words: Sequence[FeedbackGiven | FeedbackMoved]) -> None:
        if not words:
            return
        keys = [(word.feedback,) for word in words]
        facts = {row[0]: FeedbackFact(*row) for row in self._find_feedback.find(connection, keys)}
        for word in words:
            fact = fold_feedback(facts.get(word.feedback), word)
            if fact is not None:
                facts[word.feedback] = fact
        self._put_feedback.upsert(connection, list(map(_feedback_row, facts.values())))

    def _fold_rungs(self, connection: Connection, words: Sequence[RungTold]) -> None:
        rows: dict[tuple[str, int, str], tuple[str, int, int, int]] = {}
        for word in words:
            key = (word.clock, word.cycle, word.rung_id)
            _, _, fired, delivered = rows.get(key, ("", 0, 0, 0))
            rows[key] = (word.tenant, word.time, fired + 1, delivered + word.delivered)
        self._put_rungs.upsert(connection, [(*key, *row) for key, row in rows.items()])


def _upsert(table: Table, key_columns: int) -> UpsertRows:
    names = [column.name for column in table.columns]
    return UpsertRows(table, key=names[:key_columns], replace=names[key_columns:])
