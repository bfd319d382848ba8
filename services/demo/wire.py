"""What the demo says to the services and hears from them, in the contract's messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from google.type.date_pb2 import Date  # type: ignore[import-untyped] # it ships no types

from services.leads.domain.lead import Submission
from services.leads.wire.leads import contact_message, put_qualification
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.figures import value_text

__all__ = [
    "Offered",
    "PartyScore",
    "Score",
    "accept",
    "all_handoffs",
    "call_made",
    "decline",
    "endpoint",
    "endpoints",
    "log_head",
    "offers_in",
    "positions_of",
    "reject",
    "removal",
    "scorecard",
    "scores_of",
    "submit",
    "watch",
]


@dataclass(frozen=True, slots=True)
class Offered:
    """An open offer to a person."""

    name: str
    handoff: str
    external_id: str
    assignee: str
    fencing_token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One line of a party's scorecard, as people read it."""

    title: str
    value: str
    promised: str = ""
    met: str = ""
    missed: str = ""
    retracted: str = ""
    overdue: str = ""
    is_kept: bool | None = None
    """None where nothing was promised, or nothing is settled."""


@dataclass(frozen=True, slots=True)
class PartyScore:
    """One party's part of the scorecard."""

    party: str
    scores: tuple[Score, ...]


def submit(parent: str, submission: Submission) -> leadspb.SubmitLeadRequest:
    """Hand a lead over."""
    message = leadspb.Submission(
        source_system=submission.source_system,
        external_id=submission.external_id,
        contact=contact_message(submission.contact),
    )
    put_qualification(message.qualification, submission.qualification)
    return leadspb.SubmitLeadRequest(parent=parent, submission=message)


def watch(parent: str, assignees: list[str]) -> leadspb.WatchOffersRequest:
    """Follow the offers to some people."""
    return leadspb.WatchOffersRequest(parent=parent, assignees=assignees)


def offers_in(response: leadspb.WatchOffersResponse) -> Iterator[Offered]:
    """Return the open offers of a response."""
    for handoff in response.handoffs:
        offer = handoff.offer
        if offer.state == leadspb.Offer.STATE_OPEN:
            yield Offered(offer.name, handoff.name, handoff.external_id, offer.assignee, offer.fencing_token)


def accept(offered: Offered) -> leadspb.AcceptOfferRequest:
    """Accept an offer for whom it is to."""
    return leadspb.AcceptOfferRequest(
        name=offered.name, fencing_token=offered.fencing_token, person=offered.assignee
    )


def decline(offered: Offered) -> leadspb.DeclineOfferRequest:
    """Say "not me"."""
    return leadspb.DeclineOfferRequest(
        name=offered.name,
        fencing_token=offered.fencing_token,
        person=offered.assignee,
        reason_code="TOO_MANY",
    )


def reject(offered: Offered, reason_code: str, evidence: str) -> leadspb.RejectOfferRequest:
    """Say that it is no lead for sales."""
    return leadspb.RejectOfferRequest(
        name=offered.name,
        fencing_token=offered.fencing_token,
        person=offered.assignee,
        reason_code=reason_code,
        evidence=evidence,
    )


def call_made(offered: Offered, *, contact: bool) -> leadspb.LogFollowUpRequest:
    """Log a call that the dialler saw, made now."""
    follow_up = leadspb.FollowUp(
        person=offered.assignee,
        channel=termspb.FOLLOW_UP_CHANNEL_CALL,
        grade=termspb.EVIDENCE_GRADE_CONFIRMED,
        contact=contact,
    )
    return leadspb.LogFollowUpRequest(parent=offered.handoff, follow_up=follow_up)


def all_handoffs(parent: str) -> leadspb.ListHandoffsRequest:
    """List every handoff."""
    return leadspb.ListHandoffsRequest(parent=f"{parent}/leads/-", page_size=1_000)


def endpoint(parent: str, url: str) -> slapb.CreateWebhookEndpointRequest:
    """Register the receiver."""
    made = slapb.WebhookEndpoint(url=url, display_name="The demo's receiver")
    return slapb.CreateWebhookEndpointRequest(parent=parent, webhook_endpoint=made)


def endpoints(parent: str) -> slapb.ListWebhookEndpointsRequest:
    """List where alerts go."""
    return slapb.ListWebhookEndpointsRequest(parent=parent, page_size=1_000)


def removal(name: str) -> slapb.DeleteWebhookEndpointRequest:
    """Send alerts there no more."""
    return slapb.DeleteWebhookEndpointRequest(name=name)


def log_head(parent: str) -> eventlogpb.ReadEventsRequest:
    """Ask how far a view of a log reaches."""
    return eventlogpb.ReadEventsRequest(parent=parent, limit=1)


def scorecard(parent: str, first: date, behind_last: date) -> reportspb.GetScorecardRequest:
    """Ask how both parties stand."""
    period = reportspb.Period(start_date=_day(first), end_date=_day(behind_last))
    return reportspb.GetScorecardRequest(parent=parent, period=period)


def positions_of(card: reportspb.Scorecard) -> dict[str, int]:
    """Return how far each log is folded into the scorecard."""
    return {each.service: each.position for each in card.as_of.positions}


def scores_of(card: reportspb.Scorecard) -> list[PartyScore]:
    """Return the scorecard of each party, and of both."""
    parties = [
        PartyScore(
            termspb.Party.Name(party.party).removeprefix("PARTY_").capitalize(),
            (*map(_commitment, party.commitments), *map(_line, party.lines)),
        )
        for party in card.parties
    ]
    return [*parties, PartyScore("Both", tuple(map(_line, card.joint)))]


def _commitment(score: reportspb.CommitmentScore) -> Score:
    known = score.compliance.WhichOneof("value") == "ratio"
    promised = score.objective_basis_points / 10_000
    return Score(
        title=score.title,
        value=value_text(score.compliance),
        promised=f"{promised:.0%}",
        met=f"{score.met_count:,}",
        missed=f"{score.breached_count:,}",
        retracted=f"{score.retracted_count:,}",
        overdue=f"{score.overdue_count:,}",
        is_kept=score.compliance.ratio >= promised if known else None,
    )


def _line(line: reportspb.ScorecardLine) -> Score:
    return Score(title=line.title, value=value_text(line.value))


def _day(day: date) -> Any:
    return Date(year=day.year, month=day.month, day=day.day)
