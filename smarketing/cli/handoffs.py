"""`smarketing leads accept | decline | reject | log | qualify | …`: what sales does with a handoff."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import grpc
import typer

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.options import (
    At,
    Handoff,
    Money,
    Person,
    date_message,
    money_option,
    number_of,
    timestamp_of,
)
from smarketing.cli.session import Session, session_of
from smarketing.cli.views import follow_up_view, handoff_view, opportunity_view
from smarketing.client import LeadsClient, RefusedError

__all__ = ["register"]

Reason = Annotated[str, typer.Option(help="A reason code.")]
Evidence = Annotated[str, typer.Option(help="A link or record id that proves the reason; no personal data.")]
Etag = Annotated[str, typer.Option(help="Only when the handoff still has this etag.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    for command in (
        accept,
        decline,
        reject,
        claim,
        log,
        qualify,
        disqualify,
        recycle,
        void,
        convert,
        close,
        reassign,
    ):
        app.command(command.__name__)(command)


def accept(ctx: typer.Context, handoff: Handoff, person: Person = "") -> None:
    """Accept the open offer of a handoff."""
    session = session_of(ctx)

    async def answer(leads: LeadsClient, offer: leadspb.Offer) -> leadspb.Handoff:
        return await leads.accept_offer(
            leadspb.AcceptOfferRequest(
                name=offer.name, fencing_token=offer.fencing_token, person=_person(session, person)
            )
        )

    _answer_offer(session, handoff, answer)


def decline(ctx: typer.Context, handoff: Handoff, reason: Reason = "", person: Person = "") -> None:
    """Say "not me": the handoff is offered to the next."""
    session = session_of(ctx)

    async def answer(leads: LeadsClient, offer: leadspb.Offer) -> leadspb.Handoff:
        return await leads.decline_offer(
            leadspb.DeclineOfferRequest(
                name=offer.name,
                fencing_token=offer.fencing_token,
                person=_person(session, person),
                reason_code=reason,
            )
        )

    _answer_offer(session, handoff, answer)


def reject(
    ctx: typer.Context, handoff: Handoff, reason: Reason, evidence: Evidence = "", person: Person = ""
) -> None:
    """Say that this is no lead for sales, with a reason code."""
    session = session_of(ctx)

    async def answer(leads: LeadsClient, offer: leadspb.Offer) -> leadspb.Handoff:
        return await leads.reject_offer(
            leadspb.RejectOfferRequest(
                name=offer.name,
                fencing_token=offer.fencing_token,
                person=_person(session, person),
                reason_code=reason,
                evidence=evidence,
            )
        )

    _answer_offer(session, handoff, answer)


def claim(
    ctx: typer.Context,
    *,
    queue: Annotated[str, typer.Argument(help="The queue's id.")],
    person: Person = "",
) -> None:
    """Take the best waiting handoff out of a queue."""
    session = session_of(ctx)
    request = leadspb.ClaimOfferRequest(queue=session.name("queues", queue), person=_person(session, person))
    _show_handoff(session, lambda leads: leads.claim_offer(request))


def log(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    channel: Annotated[str, typer.Option(help="call, email, meeting_online, demo, chat, sms …")],
    contact: Annotated[
        bool, typer.Option("--contact/--no-contact", help="Whether the lead answered.")
    ] = False,
    at: At = "",
    person: Person = "",
    external_id: Annotated[
        str, typer.Option(help="The channel system's id, so that it is not logged twice.")
    ] = "",
) -> None:
    """Log a follow-up: an attempt to reach the lead."""
    session = session_of(ctx)
    follow_up = leadspb.FollowUp(
        person=_person(session, person),
        channel=number_of(termspb.FollowUpChannel, channel),
        contact=contact,
        occur_time=timestamp_of(at),
        external_id=external_id,
    )
    request = leadspb.LogFollowUpRequest(parent=session.handoff(handoff), follow_up=follow_up)
    logged = session.ask(LeadsClient, lambda leads: leads.log_follow_up(request))
    session.show(logged, lambda: follow_up_view(logged))


def qualify(ctx: typer.Context, handoff: Handoff, person: Person = "", etag: Etag = "") -> None:
    """Say that sales qualifies the lead."""
    session = session_of(ctx)
    request = leadspb.QualifyHandoffRequest(
        name=session.handoff(handoff), etag=etag, person=_person(session, person)
    )
    _show_handoff(session, lambda leads: leads.qualify_handoff(request))


def disqualify(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    reason: Reason,
    evidence: Evidence = "",
    person: Person = "",
    etag: Etag = "",
) -> None:
    """Say, after work, that nothing will come of it."""
    session = session_of(ctx)
    request = leadspb.DisqualifyHandoffRequest(
        name=session.handoff(handoff),
        etag=etag,
        person=_person(session, person),
        reason_code=reason,
        evidence=evidence,
    )
    _show_handoff(session, lambda leads: leads.disqualify_handoff(request))


def recycle(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    reason: Reason,
    until: Annotated[str, typer.Option(help="Until when marketing nurtures it, with an offset.")],
    person: Person = "",
    etag: Etag = "",
) -> None:
    """Give the lead back to marketing until a date."""
    session = session_of(ctx)
    request = leadspb.RecycleHandoffRequest(
        name=session.handoff(handoff),
        etag=etag,
        person=_person(session, person),
        reason_code=reason,
        recycle_until_time=timestamp_of(until),
    )
    _show_handoff(session, lambda leads: leads.recycle_handoff(request))


def void(ctx: typer.Context, *, handoff: Handoff, reason: Reason, etag: Etag = "") -> None:
    """Say, as operator, that it should never have been, such as a test record."""
    session = session_of(ctx)
    request = leadspb.VoidHandoffRequest(name=session.handoff(handoff), etag=etag, reason_code=reason)
    _show_handoff(session, lambda leads: leads.void_handoff(request))


def convert(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    amount: Money = "",
    probability: Annotated[
        int | None, typer.Option(min=0, max=100, help="Chance of winning in percent.")
    ] = None,
    expected_close: Annotated[str, typer.Option(help="When it is expected to close: 2026-12-31.")] = "",
    person: Person = "",
    etag: Etag = "",
) -> None:
    """Make an opportunity of a handoff."""
    session = session_of(ctx)
    request = leadspb.ConvertHandoffRequest(
        name=session.handoff(handoff),
        etag=etag,
        person=_person(session, person),
        amount=money_option(amount),
        probability_percent=probability,
        expected_close_date=date_message(expected_close),
    )
    opportunity = session.ask(LeadsClient, lambda leads: leads.convert_handoff(request))
    session.show(opportunity, lambda: opportunity_view(opportunity))


def close(
    ctx: typer.Context,
    *,
    opportunity: Annotated[str, typer.Argument(help="The opportunity's id, or LEAD/NUMBER of its handoff.")],
    state: Annotated[str, typer.Argument(metavar="won|lost")],
    amount: Money = "",
    reason: Reason = "",
    at: At = "",
    person: Person = "",
) -> None:
    """End an opportunity, won or lost."""
    session = session_of(ctx)
    request = leadspb.CloseOpportunityRequest(
        person=_person(session, person),
        state=number_of(leadspb.Opportunity.State, state),
        amount=money_option(amount),
        reason_code=reason,
        occur_time=timestamp_of(at),
    )

    async def closed(leads: LeadsClient) -> leadspb.Opportunity:
        request.name = await _opportunity_name(session, leads, opportunity)
        return await leads.close_opportunity(request)

    ended = session.ask(LeadsClient, closed)
    session.show(ended, lambda: opportunity_view(ended))


def reassign(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    assignee: Annotated[str, typer.Argument(help="A person's id, or queues/ID.")],
    etag: Etag = "",
) -> None:
    """Give a handoff to another person or queue."""
    session = session_of(ctx)
    request = leadspb.ReassignHandoffRequest(
        name=session.handoff(handoff), etag=etag, assignee=session.assignee(assignee)
    )
    _show_handoff(session, lambda leads: leads.reassign_handoff(request))


def _answer_offer(
    session: Session,
    handoff: str,
    answer: Callable[[LeadsClient, leadspb.Offer], Awaitable[leadspb.Handoff]],
) -> None:
    request = leadspb.GetHandoffRequest(name=session.handoff(handoff))

    async def answered(leads: LeadsClient) -> leadspb.Handoff:
        offered = (await leads.get_handoff(request)).offer
        if not offered.name:
            raise RefusedError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "OFFER_ENDED",
                "There is no offer to answer; look at the handoff's state.",
            )
        return await answer(leads, offered)

    _show_handoff(session, answered)


def _show_handoff(session: Session, question: Callable[[LeadsClient], Awaitable[leadspb.Handoff]]) -> None:
    handoff = session.ask(LeadsClient, question)
    session.show(handoff, lambda: handoff_view(handoff))


async def _opportunity_name(session: Session, leads: LeadsClient, given: str) -> str:
    is_handoff = "/" in given.removeprefix("opportunities/") and "/opportunities/" not in given
    if not is_handoff:
        return session.name("opportunities", given)
    handoff = await leads.get_handoff(leadspb.GetHandoffRequest(name=session.handoff(given)))
    return handoff.opportunity


def _person(session: Session, given: str) -> str:
    return session.name("people", given) if given else ""
