"""SlaService: parse, ask a use case or a query, render."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import grpc.aio
from google.protobuf.message import Message

from services.sla.domain.accord import Accord
from services.sla.domain.alert import Alert
from services.sla.domain.almanac import Leave, MadeCalendar
from services.sla.domain.clock import ClockState
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import AgreementUnknown, AlertUnknown, CalendarUnknown, ClockUnknown
from services.sla.rpc.policy import only_for, parties_of, sees_groups
from services.sla.rpc.reaching import Reaching
from services.sla.rpc.refusals import reason_of
from services.sla.store.accords import find_accord, page_of_accords
from services.sla.store.alerts import find_alert_in_sight, page_of_alerts
from services.sla.store.archive import Archive
from services.sla.store.calendars import page_of_calendars, page_of_leave
from services.sla.store.clocks import ClockFilter, find_clock, page_of_clocks
from services.sla.store.commands import unit_of
from services.sla.store.tx import SlaTx
from services.sla.store.webhooks import page_of_endpoints
from services.sla.usecases import agreements, alerts, calendars, webhooks
from services.sla.usecases.account import behind
from services.sla.usecases.explain import states_of
from services.sla.usecases.provisional import provisional
from services.sla.wire.agreements import agreement_message, terms_of
from services.sla.wire.blanks import blanks_in
from services.sla.wire.calendars import calendar_message, calendar_of, leave_message
from services.sla.wire.clocks import alert_message, clock_message, explanation_message
from services.sla.wire.endpoints import created_message, endpoint_message
from services.sla.wire.instants import instant, instant_in
from services.sla.wire.names import LEAVE
from smarketing import names, wallclock
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.sla_pb2_grpc import SlaServiceServicer
from smarketing.delivery import AddressPolicy, Endpoint, NewEndpoint, Sealer, new_secret
from smarketing.delivery.addresses import resolve
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, Done, answer, call_for
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens
from smarketing.server.policy import permission_denied
from smarketing.sql import Connection, Writer, to_micros

__all__ = ["SlaServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
M = TypeVar("M", bound=Message)
T = TypeVar("T")


class SlaServicer(Reaching, SlaServiceServicer):
    """Answers for agreements, calendars, leave, clocks, alerts and the addresses they go to."""

    def __init__(
        self,
        writer: Writer,
        archive: Archive,
        pages: PageTokens,
        *,
        sealer: Sealer,
        addresses: AddressPolicy,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(writer, archive, pages, sealer=sealer, addresses=addresses, now=now)
        self._archive = archive

        def unit(use_case: Callable[..., Any], render: Callable[[Any], Message]) -> Any:
            return unit_of(archive, use_case, render, reason_of)

        self._propose = unit(agreements.propose, agreement_message)
        self._accept = unit(agreements.accept, agreement_message)
        self._activate = unit(agreements.activate, agreement_message)
        self._make_calendar = unit(calendars.make_calendars, calendar_message)
        self._record_leave = unit(calendars.record_leave, leave_message)
        self._cancel_leave = unit(calendars.cancel_leave, leave_message)
        self._acknowledge = unit(alerts.acknowledge, alert_message)
        self._resolve = unit(alerts.resolve, alert_message)
        self._create_endpoint = unit(partial(webhooks.create, sealer=sealer), created_message)
        self._remove_endpoint = unit(webhooks.remove, endpoint_message)

    # Agreements.

    async def ProposeAgreement(  # noqa: N802 -- the contract names it
        self, request: slapb.ProposeAgreementRequest, context: _Context
    ) -> slapb.AgreementVersion:
        """Propose a version; the caller's party thereby accepts it."""
        del context
        tenant, agreement = names.AGREEMENT.parse(request.parent, field="parent")
        wanted = agreements.Propose(
            tenant=tenant,
            agreement=agreement,
            terms=terms_of(request.agreement_version),
            principal=current_call().caller.actor,
            parties=parties_of(current_call().caller),
            blanks=tuple(blanks_in(request.agreement_version)),
        )
        if not request.validate_only:
            return await self._run(self._propose, request, wanted, slapb.AgreementVersion)
        now = self._now()

        def look(connection: Connection) -> Accord:
            return agreements.look(SlaTx(connection, self._archive, now=now), wanted, now=now)

        seen = agreement_message(await self._writer.read(look))
        for field in ("name", "etag", "state", "acceptances", "consent"):
            seen.ClearField(field)
        return seen

    async def AcceptAgreement(  # noqa: N802 -- the contract names it
        self, request: slapb.AcceptAgreementRequest, context: _Context
    ) -> slapb.AgreementVersion:
        """Accept a version for the caller's party."""
        del context
        wanted = agreements.Accept(
            name=request.name,
            etag=request.etag,
            principal=current_call().caller.actor,
            parties=parties_of(current_call().caller),
        )
        return await self._run(self._accept, request, wanted, slapb.AgreementVersion)

    async def ActivateAgreement(  # noqa: N802 -- the contract names it
        self, request: slapb.ActivateAgreementRequest, context: _Context
    ) -> slapb.AgreementVersion:
        """Put a version in force."""
        del context
        wanted = agreements.Activate(
            name=request.name,
            etag=request.etag,
            principal=current_call().caller.actor,
            effective_time=instant_in(request, "effective_time"),
        )
        return await self._run(self._activate, request, wanted, slapb.AgreementVersion)

    async def GetAgreementVersion(  # noqa: N802 -- the contract names it
        self, request: slapb.GetAgreementVersionRequest, context: _Context
    ) -> slapb.AgreementVersion:
        """Return a version."""
        del context
        accord = await self._writer.read(lambda connection: find_accord(connection, request.name))
        if accord is None:
            raise AgreementUnknown(request.name)
        return agreement_message(accord)

    async def ListAgreementVersions(  # noqa: N802 -- the contract names it
        self, request: slapb.ListAgreementVersionsRequest, context: _Context
    ) -> slapb.ListAgreementVersionsResponse:
        """List versions, the newest of each agreement first."""
        del context
        tenant, agreement = _collection(request.parent, "agreements")

        def find(connection: Connection, limit: int, after: Any) -> list[Accord]:
            return page_of_accords(connection, tenant, agreement, limit=limit, after=after)

        found, token = await self._page(request, find, lambda each: [each.agreement, each.number])
        return slapb.ListAgreementVersionsResponse(
            agreement_versions=map(agreement_message, found), next_page_token=token
        )

    # Calendars and leave.

    async def CreateCalendarVersion(  # noqa: N802 -- the contract names it
        self, request: slapb.CreateCalendarVersionRequest, context: _Context
    ) -> slapb.CalendarVersion:
        """Make a version of a calendar."""
        del context
        tenant, calendar = names.CALENDAR.parse(request.parent, field="parent")
        wanted = calendars.MakeCalendar(
            tenant=tenant,
            id=calendar,
            title=request.calendar_version.title,
            calendar=calendar_of(request.calendar_version),
            actor=current_call().caller.actor,
        )
        return await self._run(self._make_calendar, request, wanted, slapb.CalendarVersion)

    async def GetCalendarVersion(  # noqa: N802 -- the contract names it
        self, request: slapb.GetCalendarVersionRequest, context: _Context
    ) -> slapb.CalendarVersion:
        """Return a version."""
        del context
        made = await self._writer.read(lambda connection: self._archive.calendar(connection, request.name))
        if made is None:
            raise CalendarUnknown(request.name)
        return calendar_message(made)

    async def ListCalendarVersions(  # noqa: N802 -- the contract names it
        self, request: slapb.ListCalendarVersionsRequest, context: _Context
    ) -> slapb.ListCalendarVersionsResponse:
        """List versions, the newest of each calendar first."""
        del context
        tenant, calendar = _collection(request.parent, "calendars")

        def find(connection: Connection, limit: int, after: Any) -> list[MadeCalendar]:
            return page_of_calendars(connection, tenant, calendar, limit=limit, after=after)

        found, token = await self._page(request, find, lambda each: [each.id, each.number])
        return slapb.ListCalendarVersionsResponse(
            calendar_versions=map(calendar_message, found), next_page_token=token
        )

    async def CreateLeave(  # noqa: N802 -- the contract names it
        self, request: slapb.CreateLeaveRequest, context: _Context
    ) -> slapb.Leave:
        """Record leave."""
        del context
        tenant, _ = names.PERSON.parse(request.parent, field="parent")
        for field in ("start_time", "end_time"):
            if not request.leave.HasField(field):
                raise field_invalid(f"leave.{field}", "an instant", reason="LEAVE_INVALID")
        leave = Leave(
            tenant=tenant,
            person=request.parent,
            id=wallclock.new_id(),
            start_time=instant(request.leave.start_time),
            end_time=instant(request.leave.end_time),
        )
        caller = current_call().caller
        wanted = calendars.RecordLeave(leave=leave, actor=caller.actor, only_for=only_for(caller))
        return await self._run(self._record_leave, request, wanted, slapb.Leave)

    async def CancelLeave(  # noqa: N802 -- the contract names it
        self, request: slapb.CancelLeaveRequest, context: _Context
    ) -> slapb.Leave:
        """Take leave back."""
        del context
        tenant, person, _ = LEAVE.parse(request.name)
        caller = current_call().caller
        wanted = calendars.CancelLeave(
            name=request.name,
            person=names.PERSON.build(tenant, person),
            actor=caller.actor,
            only_for=only_for(caller),
        )
        return await self._run(self._cancel_leave, request, wanted, slapb.Leave)

    async def ListLeave(  # noqa: N802 -- the contract names it
        self, request: slapb.ListLeaveRequest, context: _Context
    ) -> slapb.ListLeaveResponse:
        """List leave that has not ended, soonest first."""
        del context
        tenant, person = _collection(request.parent, "people")
        who = None if person is None else request.parent
        now = self._now()

        def find(connection: Connection, limit: int, after: Any) -> list[Leave]:
            return page_of_leave(connection, tenant, who, now=now, limit=limit, after=after)

        found, token = await self._page(
            request, find, lambda each: [to_micros(each.start_time), each.person, each.id]
        )
        return slapb.ListLeaveResponse(leave=map(leave_message, found), next_page_token=token)

    # Clocks.

    async def GetClock(  # noqa: N802 -- the contract names it
        self, request: slapb.GetClockRequest, context: _Context
    ) -> slapb.Clock:
        """Return a clock, with the time counted until now."""
        del context
        clock, state = await self._clock_at(request.name, self._now())
        unsure = await self._writer.read(lambda connection: provisional(connection, self._archive, [clock]))
        return clock_message(clock, state if clock.is_open else None, provisional=bool(unsure))

    async def ListClocks(  # noqa: N802 -- the contract names it
        self, request: slapb.ListClocksRequest, context: _Context
    ) -> slapb.ListClocksResponse:
        """List clocks, the one due first at the top."""
        del context
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        wanted = ClockFilter(
            states=tuple(slapb.Clock.State.Name(state).removeprefix("STATE_") for state in request.states),
            handoff=request.handoff,
            owner=request.owner,
            team=request.team,
            commitment_id=request.commitment_id,
            overdue_only=request.overdue_only,
        )

        sight = await self._sight(tenant)

        def find(connection: Connection, limit: int, after: Any) -> list[Clock]:
            return page_of_clocks(connection, tenant, wanted, sight=sight, limit=limit, after=after)

        found, token = await self._page(request, find, lambda each: [to_micros(each.due_time), each.id])
        now = self._now()
        still_open = [clock for clock in found if clock.is_open]
        states, unsure = await self._writer.read(
            lambda connection: (
                states_of(connection, self._archive, still_open, as_of=now),
                provisional(connection, self._archive, still_open),
            )
        )
        return slapb.ListClocksResponse(
            clocks=[
                clock_message(clock, states.get(clock.name), provisional=clock.name in unsure)
                for clock in found
            ],
            next_page_token=token,
        )

    async def ExplainClock(  # noqa: N802 -- the contract names it
        self, request: slapb.ExplainClockRequest, context: _Context
    ) -> slapb.ClockExplanation:
        """Account for a clock's time."""
        del context
        now = self._now()
        as_of = instant_in(request, "as_of_time") or now
        if as_of > now:
            raise field_invalid("as_of_time", "an instant that is not in the future")
        clock, state = await self._clock_at(request.name, as_of)
        if state is None:
            raise field_invalid("as_of_time", "an instant at which the clock had started")
        shown = await self._writer.read(
            lambda connection: behind(connection, self._archive, clock, state, as_of=as_of)
        )
        return explanation_message(
            _as_evaluated(clock, state), state, as_of, parts=shown.parts, segments=shown.segments
        )

    # Alerts.

    async def GetAlert(  # noqa: N802 -- the contract names it
        self, request: slapb.GetAlertRequest, context: _Context
    ) -> slapb.Alert:
        """Return an alert."""
        del context
        tenant, _ = names.ALERT.parse(request.name)
        sight = await self._sight(tenant)
        alert = await self._writer.read(
            lambda connection: find_alert_in_sight(connection, request.name, sight)
        )
        if alert is None:
            # Out of sight reads like not there, for those who do not see all.
            raise AlertUnknown(request.name) if sight is None else permission_denied()
        return alert_message(alert)

    async def ListAlerts(  # noqa: N802 -- the contract names it
        self, request: slapb.ListAlertsRequest, context: _Context
    ) -> slapb.ListAlertsResponse:
        """List alerts, newest first."""
        del context
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        states = [slapb.Alert.State.Name(state).removeprefix("STATE_") for state in request.states]

        sight = await self._sight(tenant)

        def find(connection: Connection, limit: int, after: Any) -> list[Alert]:
            return page_of_alerts(
                connection,
                tenant,
                states=states,
                owner=request.owner,
                handoff=request.handoff,
                sight=sight,
                limit=limit,
                after=after,
            )

        found, token = await self._page(request, find, lambda each: [to_micros(each.create_time), each.id])
        return slapb.ListAlertsResponse(alerts=map(alert_message, found), next_page_token=token)

    async def AcknowledgeAlert(  # noqa: N802 -- the contract names it
        self, request: slapb.AcknowledgeAlertRequest, context: _Context
    ) -> slapb.Alert:
        """Note that somebody has seen an alert."""
        del context
        return await self._run(self._acknowledge, request, _on_alert(request.name), slapb.Alert)

    async def ResolveAlert(  # noqa: N802 -- the contract names it
        self, request: slapb.ResolveAlertRequest, context: _Context
    ) -> slapb.Alert:
        """Note that an alert is dealt with."""
        del context
        return await self._run(self._resolve, request, _on_alert(request.name), slapb.Alert)

    # Addresses.

    async def CreateWebhookEndpoint(  # noqa: N802 -- the contract names it
        self, request: slapb.CreateWebhookEndpointRequest, context: _Context
    ) -> slapb.CreateWebhookEndpointResponse:
        """Register an address and show its secret this once."""
        del context
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        await resolve(request.webhook_endpoint.url, self._addresses)
        wanted = NewEndpoint(
            tenant=tenant,
            endpoint_id=wallclock.new_id(),
            url=request.webhook_endpoint.url,
            display_name=request.webhook_endpoint.display_name,
            secret=new_secret(),
        )
        (outcome,) = await self._writer.run(self._create_endpoint, [Command(wanted, call_for(request))])
        response = answer(outcome, slapb.CreateWebhookEndpointResponse)
        if isinstance(outcome, Done) and not outcome.replayed:
            # The secret never leaves this method but in the answer: what is kept for a repetition lacks it.
            response.secret = wanted.secret
        return response

    async def DeleteWebhookEndpoint(  # noqa: N802 -- the contract names it
        self, request: slapb.DeleteWebhookEndpointRequest, context: _Context
    ) -> slapb.WebhookEndpoint:
        """Remove an address."""
        del context
        tenant, endpoint = names.WEBHOOK_ENDPOINT.parse(request.name)
        wanted = webhooks.RemoveEndpoint(tenant=tenant, endpoint_id=endpoint)
        return await self._run(self._remove_endpoint, request, wanted, slapb.WebhookEndpoint)

    async def ListWebhookEndpoints(  # noqa: N802 -- the contract names it
        self, request: slapb.ListWebhookEndpointsRequest, context: _Context
    ) -> slapb.ListWebhookEndpointsResponse:
        """List addresses, newest first."""
        del context
        (tenant,) = names.TENANT.parse(request.parent, field="parent")

        def find(connection: Connection, limit: int, after: Any) -> list[Endpoint]:
            return page_of_endpoints(connection, tenant, limit=limit, after=after)

        found, token = await self._page(
            request, find, lambda each: [to_micros(each.create_time), each.endpoint_id]
        )
        return slapb.ListWebhookEndpointsResponse(
            webhook_endpoints=map(endpoint_message, found), next_page_token=token
        )

    async def _clock_at(self, name: str, as_of: datetime) -> tuple[Clock, ClockState | None]:
        tenant, _ = names.CLOCK.parse(name)
        # Both parties' managers may look into what counts for either; lists stay with the own people.
        sight = None if sees_groups(current_call().caller) else await self._sight(tenant)

        def find(connection: Connection) -> tuple[Clock, ClockState | None]:
            clock = find_clock(connection, name, sight)
            if clock is None:
                raise ClockUnknown(name) if sight is None else permission_denied()
            return clock, states_of(connection, self._archive, [clock], as_of=as_of).get(clock.name)

        return await self._writer.read(find)


def _as_evaluated(clock: Clock, state: ClockState) -> Clock:
    """Return a clock as it stood at the instant of an evaluation."""
    return replace(
        clock,
        outcome=state.outcome,
        cycle=state.cycle + clock.retractions,
        due_time=state.due_time,
        stop_time=state.stop_time,
        breach_time=state.breach_time,
        detect_time=clock.detect_time if state.breach_time is not None else None,
        fired=tuple(rung.id for rung in state.rungs if rung.is_passed),
        void_reason=state.void_reason or "",
    )


def _on_alert(name: str) -> alerts.OnAlert:
    names.ALERT.parse(name)
    caller = current_call().caller
    return alerts.OnAlert(name=name, actor=caller.actor, only_for=only_for(caller))


def _collection(parent: str, kind: str) -> tuple[str, str | None]:
    """Return tenant and id of `tenants/{tenant}/{kind}/{id}`; no id where it is `-`, which stands for all."""
    pattern = names.Pattern(f"tenants/{{tenant}}/{kind}/{{id}}")
    if parent.endswith(f"/{kind}/-"):
        tenant, _ = pattern.parse(f"{parent[:-1]}all", field="parent")
        return tenant, None
    tenant, each = pattern.parse(parent, field="parent")
    return tenant, each
