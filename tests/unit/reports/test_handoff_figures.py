"""The smallest log on which the right reading of a figure of handoffs and the plausible wrong one differ."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from services.reports.domain.agreements import TenantSet
from services.reports.domain.errors import BasisRequired, DimensionUnsupported, FactMissing, KpiUnknown
from services.reports.domain.figures import Amount, Undefined
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.kpis import KPIS
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period
from services.reports.domain.words import (
    Accepted,
    Closed,
    Converted,
    Disqualified,
    FollowedUp,
    Offered,
    OfferEnded,
    OfferOutcome,
    Origin,
    Qualified,
    Recycled,
    Rejected,
    Revised,
    Voided,
)
from tests.builders.figures import ask, funnel, share_of
from tests.builders.kpi_case import APRIL, MARCH, NORTH, head
from tests.builders.reports import TENANT, Ledger, a_ledger, at, handoff, submitted

_SOUTH = f"{TENANT}/teams/south"


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with a_ledger() as empty:
        yield empty


# The funnel.


def test_a_skipped_stage_is_credited_to_whoever_passed_it(ledger: Ledger) -> None:
    ledger.leads(submitted(1), Closed(*head(1, days=3), True, "EUR", 500))

    tally = funnel(ledger)[0].tally

    assert (tally.items, tally.accepted, tally.worked, tally.qualified, tally.converted, tally.won) == (
        1,
    ) * 6


def test_a_lost_opportunity_was_an_opportunity_and_no_win(ledger: Ledger) -> None:
    ledger.leads(submitted(1), Closed(*head(1, days=3), False))

    tally = funnel(ledger)[0].tally

    assert (tally.converted, tally.won, tally.lost) == (1, 0, 1)


def test_by_cohort_a_win_in_april_belongs_to_the_march_it_was_submitted_in(ledger: Ledger) -> None:
    ledger.leads(submitted(1), submitted(2), Closed(*head(1, days=35), True, "EUR", 500))

    assert share_of(ask(ledger, "H5", basis=Basis.COHORT, period=MARCH)[()]) == (1, 2)
    assert share_of(ask(ledger, "H5", basis=Basis.EVENT, period=MARCH)[()]) == (0, 2)
    assert ask(ledger, "H5", basis=Basis.EVENT, period=APRIL)[()].undefined is Undefined.NO_DENOMINATOR


def test_where_volume_grows_the_event_reading_stays_below_the_truth_for_ever(ledger: Ledger) -> None:
    # A tenth more every month, a tenth won, each two months later.
    volumes = {3: 100, 4: 110, 5: 121}
    number = 0
    for month, volume in volumes.items():
        for each in range(volume):
            number += 1
            ledger.leads(submitted(number, at(since=_utc(2026, month, 2, 9))))
            if month == 3 and each < 10:
                ledger.leads(Closed(TENANT, handoff(number), at(since=_utc(2026, 5, 2, 9)), True, "EUR", 1))

    assert share_of(ask(ledger, "H5", basis=Basis.COHORT, period=MARCH)[()]) == (10, 100)
    assert share_of(ask(ledger, "H5", basis=Basis.EVENT, period=Period.month(2026, 5))[()]) == (10, 121)
    assert round(10 / 121, 3) == 0.083


def test_an_absent_source_and_the_word_unknown_are_two_groups(ledger: Ledger) -> None:
    ledger.leads(submitted(1, source=None), submitted(2, source="unknown"), submitted(3, source=""))

    groups = [row.group for row in funnel(ledger, Dimension.SOURCE)]

    assert groups == [(None,), ("",), ("unknown",)]


def test_months_are_those_of_the_tenants_zone_also_for_what_was_counted_before_it_was_told(
    ledger: Ledger,
) -> None:
    late = at(since=_utc(2026, 3, 31, 16))
    ledger.leads(submitted(1, late))
    assert [row.group for row in funnel(ledger, Dimension.MONTH)] == [("2026-03",)]

    ledger.leads(TenantSet(TENANT, "Asia/Seoul", "KRW"))

    assert [row.group for row in funnel(ledger, Dimension.MONTH)] == [("2026-04",)]
    assert [row.tally.items for row in funnel(ledger, period=APRIL)] == [1]
    assert [row.tally.items for row in funnel(ledger, period=MARCH)] == [0]


def test_a_revision_moves_the_handoff_to_its_new_group_and_leaves_none_behind(ledger: Ledger) -> None:
    ledger.leads(submitted(1, source="expo"))
    ledger.leads(Revised(*head(1, hours=1), Origin("referral", "referral_program")))

    rows = funnel(ledger, Dimension.SOURCE)

    assert [(row.group, row.tally.items) for row in rows] == [(("referral",), 1)]


def test_won_amounts_of_two_currencies_are_never_added(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1),
        submitted(2),
        Closed(*head(1, days=1), True, "EUR", 500),
        Closed(*head(2, days=1), True, "KRW", 7000),
    )

    assert funnel(ledger)[0].won_amounts == (Amount("EUR", 500), Amount("KRW", 7000))
    assert ask(ledger, "V1")[()].undefined is Undefined.MIXED_CURRENCIES


def test_archived_history_is_in_the_funnel_and_told_apart(ledger: Ledger) -> None:
    ledger.leads(submitted(1, historical=True, archived=True), submitted(2))

    tally = funnel(ledger)[0].tally

    assert (tally.items, tally.archived) == (2, 1)


def test_a_void_handoff_stays_submitted_so_that_the_states_add_up(ledger: Ledger) -> None:
    ledger.leads(submitted(1), Voided(*head(1, hours=1), "test"))

    tally = funnel(ledger)[0].tally

    assert (tally.items, tally.void) == (1, 1)


def test_an_event_of_a_handoff_that_never_began_stops_the_fold(ledger: Ledger) -> None:
    with pytest.raises(FactMissing):
        ledger.leads(Qualified(*head(1)))


# H, K, P, V.


def test_h1_leaves_the_undecided_out_instead_of_counting_them_as_refused(ledger: Ledger) -> None:
    ledger.leads(
        *(submitted(number) for number in (1, 2, 3)),
        Accepted(*head(1), "", "kim", NORTH),
        Rejected(*head(2), "", "bad_data", "marketing"),
    )

    figure = ask(ledger, "H1", basis=Basis.COHORT)[()]

    assert (*share_of(figure), figure.open_count) == (1, 2, 1)


def test_an_overturned_rejection_leaves_every_figure_of_rejections(ledger: Ledger) -> None:
    ledger.leads(submitted(1), Rejected(*head(1), "", "bad_data", "marketing"))
    assert share_of(ask(ledger, "K12", basis=Basis.COHORT)[()]) == (1, 1)

    ledger.leads(Offered(*head(1, days=1), "o2", "queue", NORTH))

    assert ask(ledger, "K12", basis=Basis.COHORT)[()].undefined is Undefined.NO_DENOMINATOR
    assert ask(ledger, "H9", basis=Basis.COHORT) == {}


def test_k12_counts_only_rejections_on_marketings_account_of_all_decided(ledger: Ledger) -> None:
    ledger.leads(
        *(submitted(number) for number in (1, 2, 3, 4)),
        Accepted(*head(1), "", "kim", NORTH),
        Rejected(*head(2), "", "bad_data", "marketing"),
        Rejected(*head(3), "", "no_capacity", "sales"),
    )

    assert share_of(ask(ledger, "K12", basis=Basis.COHORT)[()]) == (1, 3)
    assert share_of(ask(ledger, "K12", basis=Basis.EVENT)[()]) == (1, 3)


def test_k11_leaves_out_what_sales_brought_itself(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1, source_channel="cold_call"),
        submitted(2),
        submitted(3, source_channel=None),
        Accepted(*head(1), "", "kim", NORTH),
        Accepted(*head(2), "", "kim", NORTH),
        Rejected(*head(3), "", "bad_data", "marketing"),
    )

    assert share_of(ask(ledger, "K11", basis=Basis.COHORT)[()]) == (1, 2)
    assert share_of(ask(ledger, "K11", basis=Basis.EVENT)[()]) == (1, 2)


def test_h2_is_the_cohort_of_acceptance_not_of_submission(ledger: Ledger) -> None:
    ledger.leads(submitted(1), Accepted(*head(1, days=35), "", "kim", NORTH), Qualified(*head(1, days=70)))

    assert ask(ledger, "H2", basis=Basis.COHORT, period=MARCH)[()].denominator == 0
    assert share_of(ask(ledger, "H2", basis=Basis.COHORT, period=APRIL)[()]) == (1, 1)


def test_h3_counts_all_submitted_not_the_accepted_alone(ledger: Ledger) -> None:
    ledger.leads(submitted(1), submitted(2), Qualified(*head(1, days=1)))

    assert share_of(ask(ledger, "H3", basis=Basis.COHORT)[()]) == (1, 2)


def test_h5_says_how_much_of_the_cohort_is_old_enough(ledger: Ledger) -> None:
    ledger.leads(submitted(1), submitted(2, at(days=95)), Closed(*head(1, days=3), True))

    figure = ask(ledger, "H5", basis=Basis.COHORT)[()]

    assert (*share_of(figure), figure.maturity) == (1, 2, 0.5)


def test_h6_counts_entries_of_the_stage_in_the_period_and_reentries_once(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1),
        submitted(2),
        Accepted(*head(1), "", "kim", NORTH),
        Accepted(*head(1, days=2), "", "lee", NORTH, "kim"),
        FollowedUp(*head(1, days=40), contact=False, counts=True),
    )

    rows = ask(ledger, "H6", basis=Basis.COHORT, period=MARCH)

    assert share_of(rows["submitted",]) == (1, 2)
    assert share_of(rows["accepted",]) == (1, 1)
    assert share_of(rows["worked",]) == (0, 0)


def test_h9_and_h10_divide_the_rejections_of_each_group_among_themselves(ledger: Ledger) -> None:
    ledger.leads(
        *(submitted(number, source=source) for number, source in ((1, "a"), (2, "a"), (3, "b"), (4, "b"))),
        Rejected(*head(1), "", "bad_data", "marketing"),
        Rejected(*head(2), "", "no_capacity", "sales"),
        Rejected(*head(3), "", "bad_data", "marketing"),
        Disqualified(*head(4, days=1), "no_budget", "marketing"),
    )

    reasons = ask(ledger, "H9", Dimension.REASON_CODE, Dimension.SOURCE, basis=Basis.COHORT)
    parties = ask(ledger, "H10", basis=Basis.EVENT)

    assert {group: share_of(figure) for group, figure in reasons.items()} == {
        ("bad_data", "a"): (1, 2),
        ("bad_data", "b"): (1, 1),
        ("no_capacity", "a"): (1, 2),
    }
    assert {group: share_of(figure) for group, figure in parties.items()} == {
        ("marketing",): (2, 3),
        ("sales",): (1, 3),
    }


def test_h11_takes_a_recycled_handoff_for_one_that_was_accepted(ledger: Ledger) -> None:
    ledger.leads(submitted(1), submitted(2), Recycled(*head(1, days=1), "timing", "sales"))

    assert share_of(ask(ledger, "H11", basis=Basis.COHORT)[()]) == (1, 1)


def test_h12_counts_an_open_handoff_whose_offer_ended_and_none_that_waits_in_a_queue(ledger: Ledger) -> None:
    ledger.leads(
        *(submitted(number) for number in (1, 2, 3)),
        Offered(*head(1), "o1", "kim", NORTH),
        OfferEnded(*head(1, hours=1), "o1", OfferOutcome.EXPIRED),
        Offered(*head(2), "o2", "queue", NORTH),
    )
    assert ask(ledger, "H12")[()].count == 1

    ledger.leads(Offered(*head(1, hours=1), "o3", "lee", NORTH))
    assert ask(ledger, "H12")[()].count == 0


def test_p6_by_cohort_keeps_open_opportunities_in_the_denominator(ledger: Ledger) -> None:
    ledger.leads(
        *(submitted(number) for number in (1, 2, 3)),
        *(Converted(*head(number, days=1), "kim") for number in (1, 2, 3)),
        Closed(*head(1, days=2), True),
        Closed(*head(2, days=40), False),
    )

    cohort = ask(ledger, "P6", basis=Basis.COHORT, period=MARCH)[()]

    assert (*share_of(cohort), cohort.open_count) == (1, 3, 1)
    assert share_of(ask(ledger, "P6", basis=Basis.EVENT, period=MARCH)[()]) == (1, 1)
    assert share_of(ask(ledger, "P6", basis=Basis.EVENT)[()]) == (1, 2)


def test_a_reopened_opportunity_is_neither_won_nor_paid(ledger: Ledger) -> None:
    ledger.leads(
        TenantSet(TENANT, "Etc/UTC", "EUR"),
        submitted(1),
        Closed(*head(1, days=1), True, "EUR", 500),
        Converted(*head(1, days=2), "kim"),
    )

    assert ask(ledger, "V1")[()].amount == Amount("EUR", 0)
    assert funnel(ledger)[0].tally.won == 0


def test_v1_counts_by_the_day_of_the_win_and_v3_leaves_renewals_out(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1),
        submitted(2, source_channel="renewal"),
        Closed(*head(1, days=35), True, "EUR", 500),
        Closed(*head(2, days=35), True, "EUR", 301),
    )

    assert ask(ledger, "V1", period=APRIL)[()].amount == Amount("EUR", 801)
    assert ask(ledger, "P8", period=APRIL)[()].amount == Amount("EUR", 400)
    assert ask(ledger, "V3", period=APRIL)[()].count == 1
    assert ask(ledger, "V3", period=MARCH)[()].count == 0


def test_s23_charges_an_expiry_to_the_team_that_let_it_expire(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1),
        Offered(*head(1), "o1", "kim", NORTH),
        OfferEnded(*head(1, hours=1), "o1", OfferOutcome.EXPIRED),
        Offered(*head(1, hours=1), "o2", "lee", _SOUTH),
        Accepted(*head(1, hours=2), "o2", "lee", _SOUTH),
    )

    rows = ask(ledger, "S23", Dimension.TEAM)

    assert {group: share_of(figure) for group, figure in rows.items()} == {
        (NORTH,): (1, 1),
        (_SOUTH,): (0, 1),
    }


# The asking.


def test_a_figure_that_reads_differently_by_basis_wants_one(ledger: Ledger) -> None:
    with pytest.raises(BasisRequired):
        ask(ledger, "H5")


def test_what_is_not_a_figure_or_not_a_way_to_group_it_is_refused(ledger: Ledger) -> None:
    with pytest.raises(KpiUnknown):
        ask(ledger, "Z99")
    with pytest.raises(DimensionUnsupported):
        ask(ledger, "S23", Dimension.SOURCE)
    with pytest.raises(DimensionUnsupported):
        ask(ledger, "S11", Dimension.TEAM, Dimension.TEAM)


@pytest.mark.parametrize("kpi_id", KPIS)
def test_every_listed_figure_answers_an_empty_ledger_with_a_reason_or_a_count(
    ledger: Ledger, kpi_id: str
) -> None:
    kpi = KPIS[kpi_id]
    for basis in kpi.bases or (None,):
        for group_by in ((), *((dimension,) for dimension in kpi.dimensions)):
            for figure in ask(ledger, kpi_id, *group_by, basis=basis).values():
                assert figure.undefined is not None or figure.count == 0


def _utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def test_the_period_of_a_figure_is_half_open(ledger: Ledger) -> None:
    ledger.leads(submitted(1, at(since=_utc(2026, 3, 31))), submitted(2, at(since=_utc(2026, 4, 1))))

    rows = funnel(ledger, period=Period.of(date(2026, 3, 31), date(2026, 4, 1)))

    assert [row.tally.items for row in rows] == [1]
