"""Builders for calendars, agreements and timelines: everything has a default, a test states what matters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.sla.domain.agreement import (
    AgreementVersion,
    Commitment,
    CommitmentKind,
    Grade,
    Party,
    PauseReason,
    Role,
    Rung,
    Tier,
)
from services.sla.domain.calendar import Calendars, CalendarVersion
from services.sla.domain.timeline import Fact, FactKind, Timeline
from smarketing.businesstime import BusinessTime, Calendar, Openings

OFFICE = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
AROUND_THE_CLOCK = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


def a_calendar(
    zone: str = "Asia/Seoul", hours: Mapping[str, Sequence[Sequence[str]]] = OFFICE, **dated: object
) -> Openings:
    """Return the openings of an office in Seoul, Monday to Friday from nine to six, unless told otherwise."""
    return Openings(Calendar.of(zone, hours, **dated))  # type: ignore[arg-type] # forwarded as written


def at(text: str) -> datetime:
    """Return an ISO instant; it must say its offset."""
    instant = datetime.fromisoformat(text)
    assert instant.tzinfo is not None, text
    return instant


def a_commitment(kind: CommitmentKind = CommitmentKind.FIRST_FOLLOW_UP, **changes: object) -> Commitment:
    """Return a promise of sales within four hours, with a warning at half of it and one at due."""
    parts: dict[str, object] = {
        "id": kind.value.lower(),
        "party": Party.SYSTEM if kind is CommitmentKind.ROUTE else Party.SALES,
        "kind": kind,
        "tiers": (Tier(target=BusinessTime.of(hours=4)),),
        "rungs": (Rung(id="half", percent=50), Rung(id="due", percent=100, recipients=(Role.MANAGER,))),
    }
    return Commitment(**{**parts, **changes})  # type: ignore[arg-type] # forwarded as written


def an_agreement(*commitments: Commitment, **changes: object) -> AgreementVersion:
    """Return version 1 of an agreement in force since 2020, which allows an uncapped and a capped pause."""
    parts: dict[str, object] = {
        "name": "tenants/default/agreements/main",
        "version": 1,
        "effective_time": at("2020-01-01T00:00:00+00:00"),
        "commitments": commitments or (a_commitment(),),
        "pause_reasons": (
            PauseReason(code="buyer_asked"),
            PauseReason(code="short", cap=BusinessTime.of(hours=1)),
        ),
    }
    return AgreementVersion(**{**parts, **changes})  # type: ignore[arg-type] # forwarded as written


def calendars(openings: Openings | None = None, **by_team: Openings) -> Calendars:
    """Return version 1 of the office calendar in Seoul for everybody, but for the teams given."""
    return Calendars(
        default=(_version("office", openings or a_calendar()),),
        by_team={team: (_version(team, own),) for team, own in by_team.items()},
    )


def _version(name: str, openings: Openings) -> CalendarVersion:
    since = at("2020-01-01T00:00:00+00:00")
    return CalendarVersion(name=name, version=1, effective_time=since, calendar=openings.calendar)


def a_fact(kind: FactKind, time: str | datetime, position: int = 0, **changes: object) -> Fact:
    """Return a fact recorded as it happened; a follow-up is Kim's and confirmed by its channel."""
    occurred = at(time) if isinstance(time, str) else time
    parts: dict[str, object] = {
        "position": position,
        "kind": kind,
        "occur_time": occurred,
        "record_time": occurred,
    }
    if kind is FactKind.FOLLOW_UP:
        parts |= {"person": "kim", "grade": Grade.CONFIRMED}
    return Fact(**{**parts, **changes})  # type: ignore[arg-type] # forwarded as written


def a_timeline(*facts: Fact) -> Timeline:
    """Return the timeline of a handoff; facts without a position get theirs from the order given."""
    numbered = [replace(fact, position=fact.position or at + 1) for at, fact in enumerate(facts)]
    return Timeline(handoff="tenants/default/leads/1/handoffs/1", facts=tuple(numbered))
