"""Whose each stretch of a handoff's time was, by one life told in full."""

from services.sla.domain.account import Part, PartKind, account
from services.sla.domain.agreement import CommitmentKind, Party, PauseReason
from services.sla.domain.clock import evaluate
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import BusinessTime
from tests.builders.sla import a_commitment, a_fact, a_timeline, an_agreement, at, calendars

REASONS = (
    PauseReason(code="BUYER_AWAY"),
    PauseReason(code="NO_DATA", side="MARKETING", cap=BusinessTime.of(hours=1)),
)


def mon(time: str) -> str:
    return f"2026-09-21T{time}:00+09:00"


def told(*facts: Fact, as_of: str, kind: CommitmentKind = CommitmentKind.FIRST_FOLLOW_UP) -> list[Part]:
    agreement = an_agreement(
        a_commitment(
            kind, rungs=(), party=Party.MARKETING if kind is CommitmentKind.NURTURE_RETURN else Party.SALES
        ),
        pause_reasons=REASONS,
    )
    timeline = a_timeline(*facts)
    (state,) = evaluate(agreement, calendars(), timeline, at(as_of))
    return list(account(agreement, calendars(), timeline, state, at(as_of)))


def lines(parts: list[Part]) -> list[tuple[str, str, str]]:
    """Return what each part was, whose, and until when in Seoul."""
    seoul = at(mon("00:00")).tzinfo
    return [
        (part.kind.value, part.side, part.end_time.astimezone(seoul).strftime("%a %H:%M")) for part in parts
    ]


LIFE = (
    a_fact(FactKind.INQUIRED, "2026-09-18T16:00:00+09:00"),
    a_fact(FactKind.SUBMITTED, "2026-09-18T17:00:00+09:00"),
    a_fact(FactKind.OFFERED, mon("09:30")),
    a_fact(FactKind.ASSIGNED, mon("10:00"), person="kim"),
)


def test_every_stretch_has_its_side_from_the_inquiry_to_the_follow_up_and_after_it() -> None:
    parts = told(*LIFE, a_fact(FactKind.FOLLOW_UP, mon("11:00")), as_of=mon("12:00"))

    assert lines(parts) == [
        ("SOURCE_LAG", "MARKETING", "Fri 17:00"),
        ("ROUTING", "SYSTEM", "Fri 18:00"),
        ("CLOSED", "NONE", "Mon 09:00"),
        ("ROUTING", "SYSTEM", "Mon 09:30"),
        ("OFFERED", "SALES", "Mon 10:00"),
        ("OWNER_IDLE", "SALES", "Mon 11:00"),
        ("SETTLED", "NONE", "Mon 12:00"),
    ]


def test_each_stretch_names_the_event_and_the_opening_behind_it() -> None:
    parts = told(*LIFE, as_of=mon("12:00"))

    last = parts[-1]
    assert (last.kind, last.event.kind) == (PartKind.OWNER_IDLE, FactKind.ASSIGNED)
    assert (last.calendar, last.window) == ("office", (at(mon("09:00")), at(mon("12:00"))))
    assert [part.window for part in parts if part.kind is PartKind.CLOSED] == [None]


def test_a_pause_is_whose_its_reason_says_until_its_cap_ends_it() -> None:
    facts = (
        *LIFE,
        a_fact(FactKind.PAUSED, mon("10:30"), reason="NO_DATA"),
        a_fact(FactKind.PAUSED, mon("13:00"), reason="BUYER_AWAY"),
        a_fact(FactKind.RESUMED, mon("14:00"), reason="BUYER_AWAY"),
    )

    assert lines(told(*facts, as_of=mon("14:30")))[5:] == [
        ("OWNER_IDLE", "SALES", "Mon 10:30"),
        ("PAUSED", "MARKETING", "Mon 11:30"),
        ("OWNER_IDLE", "SALES", "Mon 13:00"),
        ("PAUSED", "BUYER", "Mon 14:00"),
        ("OWNER_IDLE", "SALES", "Mon 14:30"),
    ]


def test_between_two_offers_it_is_the_systems_again() -> None:
    facts = (
        *LIFE[:3],
        a_fact(FactKind.OFFER_ENDED, mon("10:00"), reason="EXPIRED"),
        a_fact(FactKind.OFFERED, mon("10:15")),
    )

    assert lines(told(*facts, as_of=mon("11:00"), kind=CommitmentKind.ACCEPT))[4:] == [
        ("OFFERED", "SALES", "Mon 10:00"),
        ("ROUTING", "SYSTEM", "Mon 10:15"),
        ("OFFERED", "SALES", "Mon 11:00"),
    ]


def test_a_rejection_without_its_reasons_is_sales_to_answer_for() -> None:
    facts = *LIFE[:3], a_fact(FactKind.REJECTED, mon("10:00"))

    parts = told(*facts, as_of=mon("11:00"), kind=CommitmentKind.FEEDBACK)

    assert lines(parts)[-1] == ("OWNER_IDLE", "SALES", "Mon 11:00")


def test_a_recycled_lead_is_marketings_until_it_is_back() -> None:
    facts = (
        *LIFE,
        a_fact(FactKind.RECYCLED, mon("11:00"), until=at(mon("15:00"))),
        a_fact(FactKind.REQUALIFIED, mon("13:00")),
    )

    assert lines(told(*facts, as_of=mon("14:00"), kind=CommitmentKind.NURTURE_RETURN))[5:] == [
        ("OWNER_IDLE", "SALES", "Mon 11:00"),
        ("NURTURED", "MARKETING", "Mon 13:00"),
        ("SETTLED", "NONE", "Mon 14:00"),
    ]


def test_an_inquiry_dated_after_its_submission_has_no_source_lag() -> None:
    facts = (
        a_fact(FactKind.SUBMITTED, mon("09:00"), 1),
        a_fact(FactKind.INQUIRED, "2026-09-21T09:00:30+09:00", 2),
        a_fact(FactKind.ASSIGNED, mon("10:00"), 3, person="kim"),
    )

    assert lines(told(*facts, as_of=mon("11:00"))) == [
        ("ROUTING", "SYSTEM", "Mon 10:00"),
        ("OWNER_IDLE", "SALES", "Mon 11:00"),
    ]
