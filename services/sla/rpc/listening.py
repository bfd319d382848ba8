"""The gRPC side of the process: everything that it serves, behind one edge."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

from services.sla.config import SlaConfig
from services.sla.rpc.agreement_servicer import AgreementServicer
from services.sla.rpc.backtest_servicer import BacktestServicer
from services.sla.rpc.budget_servicer import BudgetServicer
from services.sla.rpc.calendar_servicer import CalendarServicer
from services.sla.rpc.clock_servicer import ClockServicer
from services.sla.rpc.exception_servicer import ExceptionServicer
from services.sla.rpc.period_servicer import PeriodServicer
from services.sla.rpc.policy import POLICY
from services.sla.rpc.refusals import refusal_of
from services.sla.rpc.servicer import SlaServicer
from services.sla.store.archive import Archive
from services.sla.store.schema import command_tables
from smarketing.api.audit.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import add_EventLogServiceServicer_to_server
from smarketing.api.sla.v1.agreements_pb2_grpc import add_AgreementServiceServicer_to_server
from smarketing.api.sla.v1.backtest_pb2_grpc import add_BacktestServiceServicer_to_server
from smarketing.api.sla.v1.budgets_pb2_grpc import add_BudgetServiceServicer_to_server
from smarketing.api.sla.v1.calendars_pb2_grpc import add_CalendarServiceServicer_to_server
from smarketing.api.sla.v1.clocks_pb2_grpc import add_ClockServiceServicer_to_server
from smarketing.api.sla.v1.exceptions_pb2_grpc import add_ExceptionServiceServicer_to_server
from smarketing.api.sla.v1.periods_pb2_grpc import add_PeriodServiceServicer_to_server
from smarketing.api.sla.v1.sla_pb2_grpc import add_SlaServiceServicer_to_server
from smarketing.eventlog.servicer import EventLogServicer
from smarketing.server.admission import Admission, AdmissionLimits
from smarketing.server.audit_servicer import AuditServicer
from smarketing.server.auth import Authenticator
from smarketing.server.bootstrap import RunningServer, Servicer, start_server
from smarketing.server.denials import DenialRecorder
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.paging import PageTokens
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Validator
from smarketing.sql import Writer

__all__ = ["start_listening"]


async def start_listening(
    config: SlaConfig,
    stack: AsyncExitStack,
    *,
    servicer: SlaServicer,
    archive: Archive,
    writer: Writer,
    pages: PageTokens,
    authenticator: Authenticator,
    denials: DenialRecorder,
    telemetry: Telemetry,
    now: Callable[[], datetime],
) -> RunningServer:
    """Return the server, listening and not ready; it is drained with `stack`."""
    draining = Draining()
    limits = AdmissionLimits(
        unary_in_flight=config.unary_in_flight,
        streams_in_flight=config.streams_in_flight,
        streams_per_principal=config.streams_per_principal,
        tenant_calls_per_second=config.tenant_calls_per_second,
        tenant_burst=config.tenant_burst,
    )
    edge = Edge(
        authenticator=authenticator,
        admission=Admission(limits),
        telemetry=telemetry,
        draining=draining,
        validator=Validator(),
        refusal_of=refusal_of,
        note_denial=denials.note,
        access_log=config.access_log,
    )
    event_log = EventLogServicer(writer, draining=draining)
    stack.callback(event_log.close)
    servicers: Sequence[Servicer] = [
        Servicer(add_SlaServiceServicer_to_server, servicer),
        Servicer(add_CalendarServiceServicer_to_server, CalendarServicer(writer, archive, pages)),
        Servicer(add_AgreementServiceServicer_to_server, AgreementServicer(writer, archive, pages, now=now)),
        Servicer(add_BacktestServiceServicer_to_server, BacktestServicer(writer, archive, pages, now=now)),
        Servicer(add_ClockServiceServicer_to_server, ClockServicer(writer, archive, pages, now=now)),
        Servicer(add_ExceptionServiceServicer_to_server, ExceptionServicer(writer, archive, pages, now=now)),
        Servicer(add_PeriodServiceServicer_to_server, PeriodServicer(writer, archive, pages, now=now)),
        Servicer(add_BudgetServiceServicer_to_server, BudgetServicer(writer, archive, pages, now=now)),
        Servicer(add_EventLogServiceServicer_to_server, event_log),
        Servicer(add_AuditServiceServicer_to_server, AuditServicer(command_tables.audit, writer, pages)),
    ]
    running = await start_server(config, edge=edge, draining=draining, policy=POLICY, servicers=servicers)
    stack.push_async_callback(running.drain)
    return running
