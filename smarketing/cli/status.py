"""`smarketing status`: whether the three services live, are ready, and keep up with one another."""

import asyncio
import dataclasses
from typing import Any

import grpc
import typer

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.cli.output import table
from smarketing.cli.services import AnyClient, Service, client_of
from smarketing.cli.session import Exit, Session, session_of
from smarketing.client import CallError, DeniedError, ReportsClient

__all__ = ["show"]

_READY_NAMES = {
    Service.LEADS: "smarketing.api.leads.v1.LeadService",
    Service.SLA: "smarketing.api.sla.v1.SlaService",
    Service.REPORTS: "smarketing.api.reports.v1.ReportService",
}


@dataclasses.dataclass(slots=True)
class _State:
    """What is known of one service."""

    service: str
    target: str
    live: bool = False
    ready: bool = False
    log_id: str = ""
    head_position: int | None = None
    """Where its log ends; `None` when that is not known, or not for this caller to know."""
    lag_events: int | None = None
    """How far `reports` is behind this log; `None` when it cannot be told."""
    fault: str = ""


def show(ctx: typer.Context) -> None:
    """Show health, readiness, log heads and lag; ends with 4 when a service is not ready."""
    session = session_of(ctx)
    states = asyncio.run(_states(session))
    if session.wants_json:
        session.show_document({"services": [dataclasses.asdict(state) for state in states]})
    else:
        rows = [
            (
                state.service,
                state.target,
                "yes" if state.live else "no",
                "yes" if state.ready else "no",
                _number(state.head_position),
                _number(state.lag_events),
                state.fault,
            )
            for state in states
        ]
        columns = ("service", "address", "live", "ready", "log head", "reports behind", "fault")
        session.out.print(table(columns, rows))
        if any(state.live and state.head_position is None and not state.fault for state in states):
            session.note("Log heads are for those who may read the logs.")
    if not all(state.ready for state in states):
        raise typer.Exit(Exit.UNAVAILABLE)


async def _states(session: Session) -> list[_State]:
    states = await asyncio.gather(*(_state_of(session, service) for service in Service))
    folded = await _folded(session)
    for state in states:
        # Positions of two views of a log cannot be compared.
        if state.head_position is not None and state.log_id in folded:
            state.lag_events = max(0, state.head_position - folded[state.log_id])
    return states


async def _state_of(session: Session, service: Service) -> _State:
    state = _State(service, getattr(session.settings, service))
    try:
        async with client_of(session, service) as client:
            state.live = await client.is_serving()
            state.ready = await client.is_serving(_READY_NAMES[service])
            if head := await _head(client, session.parent):
                state.log_id, state.head_position = head.log_id, head.head_position
    except CallError as error:
        state.fault = str(error)
    return state


async def _head(client: AnyClient, parent: str) -> eventlogpb.ReadEventsResponse | None:
    """Return where the log stands, as `reports` counts for this caller: the whole one, or the tenant's.

    `None` for a caller who may read neither: that is no fault of the service.
    """
    for log in ("tenants/-", parent):
        try:
            return await client.events.read_events(eventlogpb.ReadEventsRequest(parent=log, limit=1))
        except DeniedError as error:
            if error.code is not grpc.StatusCode.PERMISSION_DENIED:
                raise
    return None


async def _folded(session: Session) -> dict[str, int]:
    """Return up to which position of each log `reports` has folded; nothing when it does not say."""
    request = reportspb.GetFunnelRequest(parent=session.parent)
    try:
        async with ReportsClient(session.settings) as reports:
            as_of = (await reports.get_funnel(request)).as_of
    except CallError:
        return {}
    return {each.log_id: each.position for each in as_of.positions}


def _number(number: Any) -> str:
    return "" if number is None else str(number)
