"""How long handoffs took: whom a duration counts, from when, and what ends the waiting."""

from collections.abc import Iterator

import pytest

from services.reports.domain.clocks import AlertTold, RungTold
from services.reports.domain.figures import Undefined
from services.reports.domain.words import (
    Accepted,
    Closed,
    FollowedUp,
    Offered,
    OfferEnded,
    OfferOutcome,
    Origin,
    Rejected,
    Revised,
)
from tests.builders.figures import ask, funnel, share_of
from tests.builders.kpi_case import HOUR, NORTH, head
from tests.builders.reports import TENANT, Ledger, a_ledger, at, handoff, submitted


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with a_ledger() as empty:
        yield empty


def test_s8_counts_those_who_have_not_answered_and_an_expiry_does_not_end_the_waiting(ledger: Ledger) -> None:
    ledger.leads(
        *(submitted(number) for number in (1, 2, 3)),
        *(Offered(*head(number), f"o{number}", "kim", NORTH) for number in (1, 2, 3)),
        Accepted(*head(1, hours=1), "o1", "kim", NORTH),
        OfferEnded(*head(2, hours=2), "o2", OfferOutcome.EXPIRED),
        Rejected(*head(3, minutes=30), "o3", "bad_data", "marketing"),
    )

    figure = ask(ledger, "S8")[()]
    decided = ask(ledger, "S9")[()]

    assert (figure.undefined, figure.denominator, figure.open_count) == (Undefined.QUANTILE_NOT_REACHED, 3, 1)
    assert decided.duration == HOUR


def test_s11_is_buyer_time_from_the_first_inquiry_whatever_was_told_later(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1, inquire_time=at(hours=-2)),
        Revised(*head(1, hours=1), Origin("webform", "website_form", inquire_time=at(hours=1))),
        FollowedUp(*head(1, hours=3), contact=False, counts=True),
    )

    assert ask(ledger, "S11")[()].duration == 5 * HOUR
    assert ask(ledger, "K10")[()].duration == 2 * HOUR


def test_evidence_that_does_not_count_is_no_follow_up_and_an_attempt_is_no_contact(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1),
        FollowedUp(*head(1, hours=1), contact=True, counts=False),
        FollowedUp(*head(1, hours=4), contact=False, counts=True),
    )

    assert ask(ledger, "S11")[()].duration == 4 * HOUR
    assert ask(ledger, "S12")[()].undefined is Undefined.QUANTILE_NOT_REACHED


def test_a_follow_up_told_late_but_made_early_is_the_first(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1),
        FollowedUp(*head(1, hours=9), contact=False, counts=True),
        FollowedUp(*head(1, hours=2), contact=False, counts=True),
    )

    assert ask(ledger, "S11")[()].duration == 2 * HOUR


def test_a_deal_won_before_the_first_contact_is_in_the_funnel_and_out_of_every_duration(
    ledger: Ledger,
) -> None:
    ledger.leads(
        submitted(1, historical=True),
        Closed(*head(1, days=-2), True, "EUR", 500),
        submitted(2),
        Closed(*head(2, hours=1), True),
        FollowedUp(*head(2, hours=2), contact=True, counts=True),
    )

    figure = ask(ledger, "S11")[()]

    assert funnel(ledger)[0].tally.won == 2
    assert (figure.denominator, figure.invalid_count) == (0, 2)


def test_s14_waits_until_a_handoff_is_a_day_old_and_then_counts_the_untouched(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1),
        submitted(2),
        submitted(3, at(hours=20)),
        FollowedUp(*head(1, hours=1), contact=False, counts=True),
        FollowedUp(*head(3, hours=21), contact=False, counts=True),
    )

    touched = ask(ledger, "S13", now=at(hours=30))[()]
    untouched = ask(ledger, "S14", now=at(hours=30))[()]

    assert (*share_of(touched), touched.open_count) == (1, 2, 1)
    assert share_of(untouched) == (1, 2)


def test_history_that_tells_of_no_follow_up_does_not_say_that_nobody_followed_up(ledger: Ledger) -> None:
    ledger.leads(
        submitted(1, historical=True),
        Closed(*head(1, hours=5), True, "EUR", 500),
        submitted(2),
        FollowedUp(*head(2, hours=1), contact=True, counts=True),
        submitted(3),
    )

    assert share_of(ask(ledger, "S14", now=at(hours=30))[()]) == (1, 2)


def test_archived_history_waits_for_nobody(ledger: Ledger) -> None:
    ledger.leads(submitted(1, historical=True, archived=True))

    assert ask(ledger, "S11")[()].undefined is Undefined.NO_DENOMINATOR


def test_s28_waits_for_the_first_alert_behind_the_rungs_own_instant(ledger: Ledger) -> None:
    clock = f"{TENANT}/clocks/c1"
    told = (handoff(1), "first-follow-up", "due", NORTH, "open")
    ledger.sla(
        RungTold(TENANT, clock, at(hours=8), 1, "due", delivered=True),
        *(
            AlertTold(f"a{hour}", TENANT, *told, at(hours=hour), None, None, clock=clock)
            for hour in (7, 9, 11)
        ),
    )

    assert ask(ledger, "S28")[()].duration == HOUR
