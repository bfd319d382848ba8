"""`smarketing routing preview | load`: who would get a lead, what a day would come to, how fair it was."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Annotated, cast

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group, RenderableType

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import routing_pb2 as routingpb
from smarketing.cli.configuration import Kind, read_documents
from smarketing.cli.kinds import READERS
from smarketing.cli.messages import message_in
from smarketing.cli.options import read, timestamp_of
from smarketing.cli.output import id_of, record, table
from smarketing.cli.session import Session, session_of
from smarketing.client import LeadsClient
from smarketing.mapping.fields import zone_of
from smarketing.mapping.texts import date_of, first_instant_of

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.command()
def preview(
    ctx: typer.Context,
    *,
    handoff: Annotated[str, typer.Option(help="Of this handoff, as it is now: LEAD/NUMBER.")] = "",
    lead_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Of a lead that was not handed over: a Submission, YAML."
        ),
    ] = None,
    day: Annotated[str, typer.Option(help="Of a past day's traffic, in the tenant's zone: 2026-11-20.")] = "",
    start: Annotated[str, typer.Option(help="Of a span of traffic, 31 days at most: from then on.")] = "",
    end: Annotated[str, typer.Option(help="Of a span of traffic: until then.")] = "",
    routing: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A Directory file whose routing to try; else the present."
        ),
    ] = None,
) -> None:
    """Say who would be offered a lead and why, or how a day's traffic would be shared; nothing is written."""
    given = [handoff, lead_file, day, start and end]
    if sum(map(bool, given)) != 1 or bool(start) != bool(end):
        raise typer.BadParameter("give one of: --handoff, --lead-file, --day, or --start with --end")
    session = session_of(ctx)
    request = routingpb.PreviewRoutingRequest(parent=session.parent)
    if handoff:
        request.handoff = session.handoff(handoff)
    elif lead_file is not None:
        request.submission.CopyFrom(message_in(lead_file, leadspb.Submission))
    else:
        request.span.CopyFrom(_span(session, day, start, end))
    if routing is not None:
        request.routing.CopyFrom(_routing_in(session, routing))
    answer = session.ask(LeadsClient, lambda leads: leads.routing.preview_routing(request))
    is_one = bool(handoff or lead_file)
    session.show(answer, lambda: _decision_view(answer) if is_one else _traffic_view(answer))


@app.command()
def load(ctx: typer.Context) -> None:
    """Show how the turns of each rule were shared, and how far that is from everybody's due."""
    session = session_of(ctx)
    request = routingpb.GetRoutingLoadRequest(parent=session.parent)
    found = session.ask(LeadsClient, lambda leads: leads.routing.get_routing_load(request))
    session.show(found, lambda: Group(_rules_view(found.rules), _people_view(found.people, "turns")))


def _span(session: Session, day: str, start: str, end: str) -> routingpb.RoutingTraffic:
    if not day:
        return routingpb.RoutingTraffic(start_time=timestamp_of(start), end_time=timestamp_of(end))
    wanted = read(date_of, day)
    request = directorypb.GetDirectoryRequest(name=f"{session.parent}/directory")
    directory = session.ask(LeadsClient, lambda leads: leads.directory.get_directory(request))
    zone = zone_of(directory.time_zone) if directory.time_zone else UTC
    instants = []
    for each in (wanted, wanted + timedelta(days=1)):
        instant = Timestamp()
        instant.FromDatetime(first_instant_of(each, zone))
        instants.append(instant)
    return routingpb.RoutingTraffic(start_time=instants[0], end_time=instants[1])


def _routing_in(session: Session, file: Path) -> directorypb.Routing:
    documents = read_documents([file], session.settings.tenant, READERS)
    for document in documents:
        if document.kind is Kind.DIRECTORY:
            return cast("directorypb.Directory", document.message).routing
    raise typer.BadParameter(f"{file} holds no Directory")


def _decision_view(answer: routingpb.PreviewRoutingResponse) -> RenderableType:
    decision = answer.decision
    passed = ", ".join(
        f"{id_of(each.person)} ({each.reason.lower().replace('_', ' ')})" for each in decision.passed_over
    )
    return record(
        [
            ("offered to", id_of(answer.assignee)),
            ("because of", decision.ground.lower().replace("_", " ")),
            ("rule", decision.rule_id),
            ("passed over", passed),
            ("account owner", id_of(decision.account_owner)),
            ("candidates", decision.candidates),
            ("routing version", str(decision.routing_version or "")),
        ]
    )


def _traffic_view(answer: routingpb.PreviewRoutingResponse) -> RenderableType:
    queues = [
        (id_of(each.queue), str(each.handoff_count), each.ground.lower().replace("_", " "))
        for each in answer.queues
    ]
    tried = f"{answer.handoff_count} handoffs" + (
        ", and more that were not tried" if answer.truncated else ""
    )
    return Group(
        record([("tried", tried)]),
        _people_view(answer.people, "handoffs"),
        table(("queue", "handoffs", "why"), queues),
        _rules_view(answer.rules),
    )


def _people_view(people: Sequence[routingpb.RoutingPersonLoad], counted: str) -> RenderableType:
    rows = [
        (
            id_of(each.person),
            str(each.handoff_count),
            str(each.open_handoff_count),
            str(each.capacity or "no limit"),
            ", ".join(f"{one.reason.lower().replace('_', ' ')} {one.count}" for one in each.passed_over),
        )
        for each in people
    ]
    return table(("person", counted, "open now", "capacity", "passed over"), rows)


def _rules_view(rules: Sequence[routingpb.RoutingRuleLoad]) -> RenderableType:
    rows = [
        (
            rule.rule_id,
            id_of(share.person),
            str(share.turn_count),
            f"{share.due_turns:.2f}",
            f"{share.turn_count - share.due_turns:+.2f}",
            f"{rule.bound_turns:g}",
        )
        for rule in rules
        for share in rule.shares
    ]
    return table(("rule", "person", "turns", "due", "off by", "never more than"), rows)
