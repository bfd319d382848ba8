"""Disputes about rejections: within a window, answered by the rejecting side or leadership, once."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from services.leads.domain.desk import to_fallback
from services.leads.domain.directory import Directory, Party
from services.leads.domain.errors import (
    DisputeFinal,
    DisputeWindowClosed,
    EtagStale,
    FieldInvalid,
    NotYourDispute,
    StateForbids,
)
from services.leads.domain.events import HandoffEvent
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.playbook import Playbook
from services.leads.domain.routing import A_PERSONS_CHOICE, Placement
from services.leads.domain.states import HandoffState
from services.leads.domain.work_events import DisputeResolved, DisputeState, RejectionDisputed
from smarketing.businesstime import Calendar, CalendarNeverOpens, Openings

_WEEK = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """Marketing's word against a rejection; a handoff has one at most."""

    handoff: HandoffId
    version: int = 1
    state: DisputeState = DisputeState.OPEN
    reason_code: str
    accountable_party: Party | None
    person: str
    evidence: str = ""
    """What was said to prove it: told to those who may see personal data, absent everywhere else."""
    sealed_evidence: bytes = b""
    """The same as it is kept."""
    rejecting_team: str
    dispute_time: datetime
    answer_due_time: datetime
    resolver: str = ""
    resolve_time: datetime | None = None

    @property
    def name(self) -> str:
        """The resource name."""
        return f"{self.handoff.name}/dispute"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers a dispute, and as what."""

    person: str
    manages: bool
    leads: bool
    """Whether they are leadership."""


def dispute(
    handoff: Handoff,
    known: Dispute | None,
    directory: Directory,
    playbook: Playbook,
    *,
    person: str,
    evidence: str,
    openings_of: Callable[[str], Openings | None],
    now: datetime,
) -> tuple[Dispute, RejectionDisputed]:
    """Return the dispute of a rejection, and what happened; business days are the rejecting team's own.

    Raises:
        DisputeFinal: it was disputed before.
        StateForbids: it is not rejected.
        DisputeWindowClosed: too many business days have passed since.
    """
    if known is not None:
        raise DisputeFinal(known.name, known.state.name)
    if handoff.state is not HandoffState.REJECTED or handoff.close_time is None:
        raise StateForbids(handoff.name, handoff.state.name, handoff.etag)
    team = _rejecting_team(handoff, directory)
    openings = openings_of(team) or weekdays_in(directory.settings.time_zone)
    until = business_days_after(handoff.close_time, playbook.dispute_window_days, openings)
    if now > until:
        raise DisputeWindowClosed(handoff.name, until)
    made = Dispute(
        handoff=handoff.id,
        reason_code=handoff.reason_code,
        accountable_party=handoff.accountable_party,
        person=person,
        evidence=evidence,
        rejecting_team=team,
        dispute_time=now,
        answer_due_time=business_days_after(now, playbook.dispute_answer_days, openings),
    )
    happened = RejectionDisputed(
        handoff=handoff.id,
        occur_time=now,
        person=person,
        reason_code=made.reason_code,
        accountable_party=made.accountable_party,
        rejecting_team=team,
        answer_due_time=made.answer_due_time,
    )
    return made, happened


def resolve(
    known: Dispute, directory: Directory, answerer: Answerer, state: DisputeState, *, etag: str, now: datetime
) -> tuple[Dispute, DisputeResolved]:
    """Return the dispute answered, and what happened; who overturns it offers the handoff again.

    Raises:
        NotYourDispute: it is for somebody else to answer, or no longer.
        DisputeFinal: it was answered before.
        EtagStale: somebody was faster.
        FieldInvalid: that is no answer.
    """
    is_late = now > known.answer_due_time
    if not (answerer.leads if is_late else _answers_for(directory, known.rejecting_team, answerer)):
        raise NotYourDispute(known.name, "LEADERSHIP" if is_late else known.rejecting_team)
    if known.state is not DisputeState.OPEN:
        raise DisputeFinal(known.name, known.state.name)
    if etag and etag != known.etag:
        raise EtagStale(known.name, known.etag)
    if state not in {DisputeState.UPHELD, DisputeState.OVERTURNED}:
        raise FieldInvalid("state", "UPHELD or OVERTURNED")
    answered = replace(
        known, version=known.version + 1, state=state, resolver=answerer.person, resolve_time=now
    )
    happened = DisputeResolved(
        handoff=known.handoff,
        occur_time=now,
        person=answerer.person,
        state=state,
        by_leadership=is_late,
        dispute_time=known.dispute_time,
    )
    return answered, happened


def undo_rejection(
    handoff: Handoff, placement: Placement | None, *, expire_time: datetime | None, now: datetime
) -> tuple[Handoff, tuple[HandoffEvent, ...]]:
    """Return the handoff offered again; without a placement it waits for routing.

    Raises:
        StateForbids: it is not rejected any more.
    """
    if handoff.state is not HandoffState.REJECTED:
        raise StateForbids(handoff.name, handoff.state.name, handoff.etag)
    opened = handoff.step(
        now,
        state=HandoffState.SUBMITTED,
        close_time=None,
        reason_code="",
        accountable_party=None,
        evidence="",
        sealed_evidence=b"",
    )
    if placement is None:
        return opened, ()
    offered, happened = opened.place(placement, expire_time=expire_time, now=now)
    return offered, (happened,)


def queue_of(directory: Directory, team: str) -> Placement | None:
    """Return a queue of the team that somebody answers for, or the fallback; None without either."""
    own = (
        queue
        for queue in directory.queues
        if queue.team == team and not queue.inactive and directory.manager_of(queue.name)
    )
    queue = next(own, None)
    if queue is None:
        return to_fallback(directory)
    return Placement(queue.name, queue.team, A_PERSONS_CHOICE, is_queue=True)


def business_days_after(start: datetime, days: int, openings: Openings) -> datetime:
    """Return the instant that many business days later, as the service `sla` counts them.

    A calendar that does not open in a year decides nothing: then it is whole days from Monday to Friday.
    """
    calendar = openings.calendar
    if any(calendar.hours):
        with suppress(CalendarNeverOpens):
            return openings.add(start, calendar.business_days(days))
    weekdays = weekdays_in(calendar.zone)
    return weekdays.add(start, weekdays.calendar.business_days(days))


def weekdays_in(time_zone: str) -> Openings:
    """Return the time of a team of which `sla` has told no calendar: whole days from Monday to Friday."""
    return Openings(Calendar.of(time_zone, _WEEK))


def _rejecting_team(handoff: Handoff, directory: Directory) -> str:
    assignee = "" if handoff.offer is None else handoff.offer.assignee
    queue = directory.queue(assignee)
    if queue is not None:
        return queue.team
    team = directory.team_of(assignee)
    return "" if team is None else team.name


def _answers_for(directory: Directory, team: str, answerer: Answerer) -> bool:
    """Whether they manage the team or one above it; a team that nobody manages has any sales manager."""
    managers: set[str] = set()
    seen: set[str] = set()
    above = directory.team(team)
    while above is not None and above.name not in seen:
        seen.add(above.name)
        if directory.active_person(above.manager) is not None:
            managers.add(above.manager)
        above = directory.team(above.parent_team)
    return answerer.person in managers if managers else answerer.manages
