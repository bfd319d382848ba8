"""`smarketing leads next | plan | reply | timeline | reasons`: the work beside the handoff's own course."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.leads import taken
from smarketing.cli.options import All, At, Handoff, Limit, Person, number_of, timestamp_of
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.session import session_of
from smarketing.cli.views import short
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["register"]

_PAGE = 1_000
_CHANNELS = termspb.FollowUpChannel.DESCRIPTOR


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    app.command("next")(next_)
    app.command("plan")(plan)
    app.command("reply")(reply)
    app.command("timeline")(timeline)
    app.command("reasons")(reasons)


def next_(
    ctx: typer.Context,
    *,
    person: Annotated[str, typer.Argument(help="A person's id; yourself when none.")] = "",
    limit: Limit = 50,
) -> None:
    """List what a person should do next, the most pressing first, with why."""
    session = session_of(ctx)
    request = workpb.ListNextActionsRequest(
        parent=session.parent,
        page_size=min(limit, _PAGE),
        person=session.name("people", person) if person else "",
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.work.next_actions(request), limit))
    reasons = workpb.NextStep.Reason.DESCRIPTOR
    rows = [
        (
            short(each.handoff),
            _action(each),
            when(each.due_time),
            enum_word(_CHANNELS, each.channel),
            ", ".join(enum_word(reasons, reason).replace("_", " ") for reason in each.reasons),
        )
        for each in found
    ]
    columns = ("handoff", "do", "by", "channel", "why now")
    session.show_list("next_steps", found, lambda: table(columns, rows), more=more)


def plan(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    due: Annotated[str, typer.Option(help="By when, with an offset; at most 366 days from now.")],
    action: Annotated[
        str, typer.Option(help="What to do: follow_up …; the usual next action when none.")
    ] = "",
    channel: Annotated[str, typer.Option(help="On which channel: call, email …")] = "",
    person: Person = "",
) -> None:
    """Say what to do next on a handoff, and by when; it holds until the next follow-up or change."""
    session = session_of(ctx)
    request = workpb.SetNextActionRequest(
        name=session.handoff(handoff),
        person=session.name("people", person) if person else "",
        action=number_of(leadspb.Handoff.NextAction, action),
        due_time=timestamp_of(due),
        channel=number_of(termspb.FollowUpChannel, channel),
    )
    planned = session.ask(LeadsClient, lambda leads: leads.work.set_next_action(request))
    session.show(
        planned,
        lambda: record(
            [
                ("handoff", short(planned.handoff)),
                ("do", _action(planned)),
                ("by", when(planned.due_time)),
                ("channel", enum_word(_CHANNELS, planned.channel)),
                ("said by", id_of(planned.person)),
            ]
        ),
    )


def reply(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    channel: Annotated[str, typer.Option(help="call, email, chat …")],
    at: At = "",
    external_id: Annotated[
        str, typer.Option(help="The channel system's id, so that it is not recorded twice.")
    ] = "",
) -> None:
    """Record that the lead answered."""
    session = session_of(ctx)
    answer = workpb.Reply(
        channel=number_of(termspb.FollowUpChannel, channel),
        occur_time=timestamp_of(at),
        external_id=external_id,
    )
    request = workpb.RecordReplyRequest(parent=session.handoff(handoff), reply=answer)
    recorded = session.ask(LeadsClient, lambda leads: leads.work.record_reply(request))
    session.show(
        recorded,
        lambda: record(
            [
                ("reply", id_of(recorded.name)),
                ("channel", enum_word(_CHANNELS, recorded.channel)),
                ("happened", when(recorded.occur_time)),
                ("contact", "yes" if recorded.contact else "no: nobody had tried before it"),
            ]
        ),
    )


def timeline(
    ctx: typer.Context,
    *,
    lead: Annotated[str, typer.Argument(metavar="LEAD", help="The lead's id.")],
    limit: Limit = 200,
    unlimited: All = False,
) -> None:
    """List what happened to a lead over all its handoffs, oldest first."""
    session = session_of(ctx)
    most = 0 if unlimited else limit
    request = workpb.ListTimelineRequest(
        parent=session.name("leads", lead), page_size=min(most or _PAGE, _PAGE)
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.work.timeline(request), most))
    rows = [
        (when(each.occur_time), short(each.handoff), each.type, id_of(each.person or each.actor), _what(each))
        for each in found
    ]
    columns = ("happened", "handoff", "event", "who", "what")
    session.show_list("entries", found, lambda: table(columns, rows), more=more)


def reasons(
    ctx: typer.Context,
    *,
    use: Annotated[
        str, typer.Option(help="Only for: reject, disqualify, recycle, lose, decline, void.")
    ] = "",
) -> None:
    """List the codes with which sales says no, and whom each counts on."""
    session = session_of(ctx)
    wanted = number_of(leadspb.ReasonCode.Use, use)
    request = leadspb.ListReasonCodesRequest(parent=session.parent, page_size=_PAGE)
    every, _ = session.ask(LeadsClient, lambda leads: taken(leads.reason_codes(request), 0))
    found = [each for each in every if wanted in {0, each.use}]
    session.show_list("reason_codes", found, lambda: _reasons_view(found))


def _reasons_view(found: list[leadspb.ReasonCode]) -> RenderableType:
    rows = [
        (
            enum_word(leadspb.ReasonCode.Use.DESCRIPTOR, each.use),
            each.code,
            enum_word(termspb.Party.DESCRIPTOR, each.accountable_party),
            "yes" if each.evidence_required else "",
            each.description,
        )
        for each in found
    ]
    return table(("for", "code", "counted on", "evidence", "means"), rows)


def _action(step: workpb.NextStep) -> str:
    return enum_word(leadspb.Handoff.NextAction.DESCRIPTOR, step.action)


def _what(entry: workpb.TimelineEntry) -> str:
    said = entry.qualification
    score = str(entry.score.rating.score) if entry.HasField("score") else ""
    outcomes = leadspb.FollowUp.Outcome.DESCRIPTOR
    return " ".join(
        filter(
            None,
            [
                " / ".join(filter(None, [said.source, said.campaign, said.landing_page])),
                f"score {score}" if score else "",
                enum_word(_CHANNELS, entry.channel),
                "contact" if entry.contact else "",
                enum_word(outcomes, entry.outcome).replace("_", " "),
                entry.reason_code,
                entry.stage,
                money_text(entry.amount) if entry.HasField("amount") else "",
            ],
        )
    )
