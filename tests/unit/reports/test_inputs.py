"""What figures make of recorded inputs where a smallest log shows too little."""

from datetime import date
from itertools import pairwise
from typing import Any

from services.reports.domain.agreements import CalendarKnown, MarketingQuota, TenantSet
from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period
from services.reports.domain.words import Accepted, Closed
from services.reports.store.figures import Figures
from services.reports.store.queries import Queries, Question
from services.reports.wire import figure_to
from smarketing.businesstime import Calendar
from tests.builders.figures import ask
from tests.builders.kpi_case import MARCH, NORTH, NOW, cost, earned, goal, head, shown, touchpoint
from tests.builders.reports import TENANT, Ledger, a_ledger, submitted

_EUR = TenantSet(TENANT, "Etc/UTC", "EUR")
_SOUTH = f"{TENANT}/teams/south"
_KIM = f"{TENANT}/people/kim"


def _ask(ledger: Ledger, kpi_id: str, *group_by: Dimension) -> dict[tuple[str | None, ...], Figure]:
    question = Question(tenant=TENANT, period=MARCH, group_by=group_by, now=NOW)
    with ledger.database.reading() as connection:
        rows = Figures(Queries(ledger.tables)).query(connection, kpi_id, question, None)
    return {row.group: row.figure for row in rows}


def _won(number: int, team: str, minor_units: int) -> tuple[Any, ...]:
    return (
        submitted(number),
        Accepted(*head(number), "", _KIM, team),
        Closed(*head(number, hours=1), True, "EUR", minor_units),
    )


def test_a_quota_that_is_met_needs_no_cover() -> None:
    with a_ledger() as ledger:
        ledger.leads(_EUR, *_won(1, NORTH, 900))
        ledger.inputs(goal(900))

        assert _ask(ledger, "P5")[()].undefined is Undefined.QUOTA_MET


def test_the_pace_of_a_quota_of_millions_fits_into_an_answer() -> None:
    millions = 500_000_000_00
    calendar = f"{TENANT}/calendars/always/versions/1"
    always = Calendar.of(
        "Etc/UTC", {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    )
    with a_ledger() as ledger:
        ledger.leads(_EUR, submitted(1, value_currency="EUR", value_minor_units=millions))
        ledger.sla(CalendarKnown(calendar, always))
        ledger.quotas(MarketingQuota("v1", TENANT, "active", calendar, 0, "month", "EUR", millions))

        answer = figure_to(_ask(ledger, "K5")[()])

    assert (answer.numerator, answer.denominator) == (millions, millions)


def test_each_team_is_held_against_its_own_quota_and_the_party_against_their_sum() -> None:
    with a_ledger() as ledger:
        ledger.leads(_EUR, *_won(1, NORTH, 300), *_won(2, _SOUTH, 500))
        ledger.inputs(
            goal(1000, team=NORTH, party="sales"),
            # One who came in the middle of the month, in a team that has no quota of its own.
            goal(600, team=_SOUTH, person=_KIM, first=date(2026, 3, 15)),
        )

        by_team = _ask(ledger, "V4", Dimension.TEAM)
        whole = _ask(ledger, "V4")

    assert {group: shown(figure) for group, figure in by_team.items()} == {
        (NORTH,): (300, 1000),
        (_SOUTH,): (500, 600),
    }
    assert shown(whole[()]) == (800, 1600)


def test_a_contact_after_the_sale_is_credited_with_nothing() -> None:
    with a_ledger() as ledger:
        ledger.inputs(
            *(cost(100, campaign=campaign) for campaign in ("spring", "thanks")),
            touchpoint("spring", date(2026, 3, 1)),
            touchpoint("thanks", date(2026, 3, 20)),
            earned(1000, 0, journey="order-1", first=date(2026, 3, 9), last=date(2026, 3, 10)),
        )

        found = _ask(ledger, "G24", Dimension.CAMPAIGN)

    assert {shown(figure) for (_, campaign), figure in found.items() if campaign == "spring"} == {(1000, 100)}
    assert {shown(figure) for (_, campaign), figure in found.items() if campaign == "thanks"} == {(0, 100)}


def test_money_spent_and_nothing_earned_is_all_lost() -> None:
    with a_ledger() as ledger:
        ledger.inputs(cost(100))

        assert shown(_ask(ledger, "F1")[()]) == -100.0


def test_what_recurs_at_the_start_of_a_quarter_told_by_months_is_not_counted_thrice() -> None:
    starts = [date(2026, month, 1) for month in (1, 2, 3, 4)]
    with a_ledger() as ledger:
        for number, (first, last) in enumerate(pairwise(starts)):
            month = {"first": first, "last": last}
            ledger.inputs(
                earned(1000 - 100 * number, word="recurring_at_start", **month),
                earned(100, word="churned", **month),
                earned(50, word="expansion", **month),
            )
        quarter = Period.of(starts[0], starts[-1])
        found = {kpi_id: ask(ledger, kpi_id, period=quarter)[()] for kpi_id in ("U3", "U3.gross", "U13")}

    assert {kpi_id: shown(figure) for kpi_id, figure in found.items()} == {
        "U3": (1000 + 3 * 50 - 3 * 100, 1000),
        "U3.gross": (1000 - 3 * 100, 1000),
        "U13": (3 * 50, 1000),
    }


def test_without_an_input_no_figure_is_nought() -> None:
    with a_ledger() as ledger:
        answers = {
            kpi_id: shown(_ask(ledger, kpi_id)[()]) for kpi_id in ("F1", "V2", "V4", "G16", "U1", "U8")
        }

    assert set(answers.values()) == {Undefined.NO_DATA}


def test_months_of_an_input_add_up_to_it() -> None:
    with a_ledger() as ledger:
        ledger.inputs(earned(1000, 0, first=date(2026, 2, 20), last=date(2026, 4, 5)))
        question = Question(tenant=TENANT, period=None, group_by=(Dimension.MONTH,), now=NOW)
        with ledger.database.reading() as connection:
            rows = Figures(Queries(ledger.tables)).query(connection, "V2", question, None)

    amounts = {row.group[0]: row.figure.amount.minor_units for row in rows if row.figure.amount}
    assert list(amounts) == ["2026-02", "2026-03", "2026-04"]
    assert sum(amounts.values()) == 1000
