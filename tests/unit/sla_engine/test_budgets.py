"""Budgets as clocks are settled: what counts, from when, and what is said of it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from services.sla.domain.agreement import Party, TimeBasis
from services.sla.domain.budget import BudgetState, Count
from services.sla.domain.budget_terms import BudgetTerms
from services.sla.domain.consequence import BudgetTrigger, Consequence, ConsequenceKind
from services.sla.domain.course import Outcome
from services.sla.domain.exceptions import ExceptionReason, Span
from services.sla.domain.judged import Judged
from services.sla.domain.terms import Mode
from services.sla.store.budgets import Of
from services.sla.store.tx import SlaTx
from services.sla.usecases.budgets import budget_of, budgets_in_force
from services.sla.usecases.exceptions import Answer, AskForSpan, approve, ask
from services.sla.usecases.promptly import do_what_is_due, next_instant
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from tests.builders.sla_engine import (
    MARKETING_MANAGER,
    MONDAY_NINE,
    SALES_MANAGER,
    TENANT,
    Engine,
    a_promise,
    some_terms,
)

OF = Of("default", "main", "first-follow-up")
REVIEW = Consequence(id="review", kind=ConsequenceKind.REVIEW, budget=BudgetTrigger.EXHAUSTED)
THROTTLE = Consequence(id="less", kind=ConsequenceKind.THROTTLE_INTAKE, budget=BudgetTrigger.WARN, percent=50)


class Books(Engine):
    """An engine whose budgets are looked at."""

    handoffs: int = 0

    def handed_over(self) -> str:
        """Assign one more handoff now, and return it."""
        self.handoffs += 1
        handoff = f"{TENANT}/leads/l{self.handoffs}/handoffs/h1"
        self.submit(handoff)
        self.assign(handoff)
        return handoff

    def kept(self, count: int = 1) -> None:
        for _ in range(count):
            self.follow_up(self.handed_over())

    def missed(self, count: int = 1) -> None:
        """Hand over some, and let four hours and a minute pass without a follow-up."""
        for _ in range(count):
            self.handed_over()
        self.advance(hours=4, minutes=1)
        self.sweep()

    def budget(self) -> Judged:
        with self.database.reading() as connection:
            judged = budget_of(SlaTx(connection, self.archive, now=self.now), OF)
        assert judged is not None
        return judged

    def judge(self) -> int:
        """Do what is due now besides clocks; return how much that was."""
        with self.database.writer_engine.begin() as connection:
            return do_what_is_due(connection, self.archive, now=self.now)

    def next_instant(self) -> datetime | None:
        with self.database.reading() as connection:
            return next_instant(connection)

    def payloads(self, message: Any) -> list[Any]:
        kind = message.DESCRIPTOR.full_name
        return [message.FromString(payload) for payload in self.payloads_of(kind)]

    def state_changes(self) -> list[tuple[str, str]]:
        names = budgetspb.Budget.State.Name
        return [
            (
                names(each.earlier_state).removeprefix("STATE_"),
                names(each.budget.state).removeprefix("STATE_"),
            )
            for each in self.payloads(budgetspb.BudgetStateChanged)
        ]

    def excuse(self, start: datetime, end: datetime) -> None:
        request = AskForSpan(
            tenant="default",
            id="outage",
            agreement=f"{TENANT}/agreements/main",
            commitment_id=OF.commitment_id,
            span=Span(start_time=start, end_time=end),
            reason=ExceptionReason.OUTAGE,
            note="",
            actor=SALES_MANAGER,
            speaks_for=(Party.SALES,),
            manages=(Party.SALES,),
        )
        (asked,) = self._act(ask, [request])
        answer = Answer(name=asked.name, etag="", actor=MARKETING_MANAGER, parties=(Party.MARKETING,))
        self._act(approve, [answer])
        self.sweep()


def books(
    *consequences: Consequence,
    mode: Mode = Mode.ENFORCE,
    minimum: int = 4,
    basis: TimeBasis = TimeBasis.BUSINESS,
) -> Books:
    """Return an office that for sixty days has promised nine of ten first follow-ups within four hours."""
    opened = Books(now=MONDAY_NINE - timedelta(days=60))
    promise = a_promise(budget=BudgetTerms(least_settled=minimum), consequences=consequences, basis=basis)
    opened.agree(some_terms(promise, mode=mode))
    opened.now = MONDAY_NINE
    return opened


def test_a_clock_counts_when_it_falls_due_even_if_it_was_met_before() -> None:
    office = books()
    office.kept()
    due = MONDAY_NINE + timedelta(hours=4)
    office.now = due - timedelta(seconds=1)
    before = office.budget().counts.window
    office.now = due
    after = office.budget().counts.window

    assert (before, after) == (Count(), Count(settled=1, breached=0))
    assert office.next_instant() == due


def test_a_miss_counts_from_the_end_of_the_minute_in_which_it_fell_due() -> None:
    office = books()
    office.advance(seconds=20)
    office.handed_over()
    office.now = MONDAY_NINE + timedelta(hours=4, seconds=59)
    office.sweep()
    within = office.budget().counts.window
    office.advance(seconds=1)

    assert (within, office.budget().counts.window) == (Count(), Count(settled=1, breached=1))


def test_each_window_holds_what_fell_due_in_its_own_time() -> None:
    office = books()
    office.missed(1)
    # Due at 13:00. 41 minutes later it has left the short window, and eight hours later the long one.
    office.now = MONDAY_NINE + timedelta(hours=4, minutes=40)
    at_the_edge = office.budget().counts
    office.now -= timedelta(minutes=1)
    inside = office.budget().counts
    # Tuesday at noon: five hours on Monday and three on Tuesday are over.
    office.now = MONDAY_NINE + timedelta(days=1, hours=3)
    next_day = office.budget().counts
    # A business day of nine hours after, at 13:00 on Tuesday, it has left the slow short window.
    office.now += timedelta(hours=1)
    later = office.budget().counts

    one, none = Count(settled=1, breached=1), Count()
    assert (inside.fast_short, at_the_edge.fast_short) == (one, none)
    assert (at_the_edge.fast_long, next_day.fast_long) == (one, none)
    assert (next_day.slow_short, later.slow_short) == (one, none)
    assert (later.slow_long, later.window) == (one, one)


def test_the_window_ends_after_160_hours_of_open_time() -> None:
    office = books()
    office.missed(1)
    # Five hours are left of Monday; 155 hours are 17 days of nine and two hours more. Seventeen working days
    # after Monday the 21st is Wednesday, October 14; but the two hours end on the day after, at eleven.
    gone = MONDAY_NINE + timedelta(days=24, hours=2)
    office.now = gone - timedelta(minutes=1)
    last = office.budget().counts.window
    office.now = gone

    assert (last, office.budget().counts.window) == (Count(settled=1, breached=1), Count())


def test_a_promise_in_wall_time_has_windows_in_wall_time() -> None:
    office = books(basis=TimeBasis.WALL)
    office.missed(1)
    office.now = MONDAY_NINE + timedelta(hours=4 + 160) - timedelta(minutes=1)
    last = office.budget().counts.window
    office.advance(minutes=1)

    assert (last, office.budget().counts.window) == (Count(settled=1, breached=1), Count())


def test_a_late_proof_and_an_excuse_give_budget_back() -> None:
    office = books()
    office.missed(3)
    spent = office.budget().counts.window
    first = f"{TENANT}/leads/l1/handoffs/h1"
    office.follow_up(first, at=MONDAY_NINE + timedelta(hours=1))
    proved = office.budget().counts.window
    office.excuse(MONDAY_NINE, MONDAY_NINE + timedelta(days=1))
    excused = office.budget().counts.window

    assert spent == Count(settled=3, breached=3)
    assert proved == Count(settled=3, breached=2)
    assert excused == Count(settled=1, breached=0)


@pytest.mark.parametrize("number", range(6))
def test_whatever_happens_in_whatever_order_the_counts_are_those_of_the_clocks(number: int) -> None:
    chance = Random(number)
    office = books()
    for _ in range(12):
        match chance.randrange(6):
            case 0 | 1:
                office.handed_over()
            case 2:
                office.follow_up(office.handed_over())
            case 3:
                some = f"{TENANT}/leads/l{chance.randint(1, max(office.handoffs, 1))}/handoffs/h1"
                at = office.now - timedelta(hours=chance.randrange(6))
                office.follow_up(some, at=max(at, MONDAY_NINE))
            case 4:
                office.void(f"{TENANT}/leads/l{chance.randint(1, max(office.handoffs, 1))}/handoffs/h1")
            case _:
                office.advance(minutes=chance.randrange(300))
                office.sweep()
    office.excuse(MONDAY_NINE, MONDAY_NINE + timedelta(hours=5))
    office.advance(days=5)
    office.sweep()

    outcomes = Counter(clock.outcome for clock in office.clocks())
    settled = outcomes[Outcome.MET] + outcomes[Outcome.BREACHED]
    assert settled
    assert office.budget().counts.window == Count(settled=settled, breached=outcomes[Outcome.BREACHED])


def test_what_is_void_or_history_counts_for_nothing() -> None:
    office = books()
    office.void(office.handed_over())
    old = f"{TENANT}/leads/old/handoffs/h1"
    office.submit(old, historical=True)
    office.assign(old, manner=leadeventspb.HandoffAccepted.MANNER_IMPORTED)
    office.advance(hours=5)
    office.sweep()

    assert office.budget().counts.window == Count()


def test_a_change_of_state_is_said_once_with_what_was_agreed_to_do() -> None:
    office = books(THROTTLE, REVIEW)
    office.kept(1)
    office.missed(4)
    judged = [office.judge(), office.judge()]
    office.restart()
    office.judge()

    # Four of five missed where one of ten may be: nothing is left.
    assert office.budget().budget.state is BudgetState.EXHAUSTED
    assert judged == [1, 0]
    assert office.state_changes() == [("OK", "EXHAUSTED")]
    (due,) = office.payloads(slaeventspb.ConsequenceDue)
    assert (due.consequence.consequence_id, due.commitment_id) == ("review", "first-follow-up")


def test_an_agreement_that_only_observes_says_the_state_and_asks_nothing_of_anybody() -> None:
    office = books(REVIEW, mode=Mode.OBSERVE)
    office.missed(5)
    office.judge()

    assert office.state_changes() == [("OK", "EXHAUSTED")]
    assert office.payloads(slaeventspb.ConsequenceDue) == []


def test_time_alone_brings_a_budget_back_and_that_is_said_when_it_happens() -> None:
    office = books()
    office.missed(5)
    office.judge()
    turned: list[datetime] = []
    while (following := office.next_instant()) is not None:
        office.now = max(office.now, following)
        office.judge()
        turned.append(office.now)

    # The last miss leaves the window of 160 hours, and then nothing is to be looked at any more.
    assert turned[-1] == MONDAY_NINE + timedelta(days=24, hours=2)
    assert office.state_changes()[-1][1] == "OK"
    # Once for each of the five windows that it leaves, at the most.
    assert len(turned) <= 5


def test_taking_a_miss_back_takes_the_state_back_without_waiting() -> None:
    office = books()
    office.missed(5)
    office.judge()
    office.excuse(MONDAY_NINE, MONDAY_NINE + timedelta(days=1))
    office.judge()

    assert office.state_changes() == [("OK", "EXHAUSTED"), ("EXHAUSTED", "OK")]


def test_at_low_volume_a_single_miss_says_nothing() -> None:
    office = books(minimum=30)
    office.missed(1)
    office.judge()

    assert office.budget().budget.remaining_so_far == Fraction(-9)
    assert office.state_changes() == []


def test_a_budget_outlives_the_version_that_it_was_counted_under() -> None:
    office = books()
    office.missed(2)
    stricter = a_promise(objective_basis_points=9_500, budget=BudgetTerms(least_settled=4))
    office.agree(some_terms(stricter))
    budget = office.budget()

    assert budget.accord.number == 2
    # Of two, a tenth of one may be missed.
    assert (budget.counts.window.breached, budget.budget.remaining_so_far) == (
        2,
        1 - Fraction(2) / Fraction(1, 10),
    )


def test_budgets_are_listed_by_commitment_page_by_page() -> None:
    office = Books()
    office.agree(some_terms(*(a_promise(id=name) for name in ("b", "c", "a"))))

    def page(after: Sequence[str] | None) -> list[str]:
        with office.database.reading() as connection:
            tx = SlaTx(connection, office.archive, now=office.now)
            return [each.promise.id for each in budgets_in_force(tx, "default", limit=2, after=after)]

    assert page(None) == ["a", "b"]
    assert page(["main", "b"]) == ["c"]


@pytest.mark.parametrize("count", [3, 30])
def test_what_is_read_and_written_of_a_budget_does_not_grow_with_the_clocks(count: int) -> None:
    office = books()
    for _ in range(2):
        office.missed(count)
    with office.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM budget_count").scalar_one()

    # They fell due at 13:00 and at 17:01 of one day: two minutes, two hours, and the day.
    assert rows == 2 + 2 + 1
