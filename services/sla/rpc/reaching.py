"""The part of SlaService about reaching people: the ways to them, and putting alerts off."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import grpc.aio
from email_validator import EmailNotValidError, validate_email

from services.sla.domain.notice import Channel, ChannelWay, Language
from services.sla.domain.refused import AlertChannelUnknown
from services.sla.rpc.answering import Answering
from services.sla.rpc.policy import only_for
from services.sla.rpc.refusals import reason_of
from services.sla.store.archive import Archive
from services.sla.store.commands import unit_of
from services.sla.store.notices import page_of_channels
from services.sla.usecases import alerts, channels
from services.sla.wire.channels import WAYS, channel_message, language_of, set_message
from services.sla.wire.clocks import alert_message
from services.sla.wire.instants import instant_in
from services.sla.wire.names import ALERT_CHANNEL
from smarketing import names, wallclock
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.delivery import (
    AddressForbidden,
    AddressPolicy,
    Sealer,
    check_chat_address,
    is_chat_installed,
    new_secret,
    personal_webhook,
)
from smarketing.delivery.addresses import resolve
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, Done, answer, call_for
from smarketing.server.errors import Refusal, field_invalid
from smarketing.server.paging import PageTokens
from smarketing.server.policy import permission_denied
from smarketing.sql import Connection, Writer

__all__ = ["Reaching"]

_Context = grpc.aio.ServicerContext[Any, Any]
_LONGEST_SNOOZE: Final = timedelta(days=30)
_LONGEST_ADDRESS: Final = 2_000


class Reaching(Answering):
    """Answers SnoozeAlert and the calls about alert channels."""

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
        super().__init__(writer, pages, now=now)
        self._addresses = addresses
        self._snooze = unit_of(archive, alerts.snooze, alert_message, reason_of)
        self._set_channel = unit_of(
            archive, partial(channels.set_channels, sealer=sealer), set_message, reason_of
        )
        self._remove_channel = unit_of(archive, channels.remove_channels, channel_message, reason_of)

    async def SnoozeAlert(  # noqa: N802 -- the contract names it
        self, request: slapb.SnoozeAlertRequest, context: _Context
    ) -> slapb.Alert:
        """Put an alert off."""
        del context
        names.ALERT.parse(request.name)
        until, now = instant_in(request, "until_time"), self._now()
        if until is None or not now < until <= now + _LONGEST_SNOOZE:
            raise field_invalid("until_time", "an instant in the future, at most 30 days from now")
        caller = current_call().caller
        wanted = alerts.Snooze(name=request.name, actor=caller.actor, only_for=only_for(caller), until=until)
        return await self._run(self._snooze, request, wanted, slapb.Alert)

    async def SetAlertChannel(  # noqa: N802 -- the contract names it
        self, request: slapb.SetAlertChannelRequest, context: _Context
    ) -> slapb.SetAlertChannelResponse:
        """Set a way to a person; the secret of a webhook is shown this once."""
        del context
        channel = self._channel_in(request)
        secret = new_secret() if channel.way is ChannelWay.WEBHOOK else ""
        address = await self._checked(channel.way, request.alert_channel.address.strip())
        wanted = channels.SetChannel(
            channel=channel,
            address=personal_webhook(address, secret) if secret else address,
            only_for=only_for(current_call().caller),
        )
        (outcome,) = await self._writer.run(self._set_channel, [Command(wanted, call_for(request))])
        response = answer(outcome, slapb.SetAlertChannelResponse)
        if isinstance(outcome, Done) and not outcome.replayed:
            # It never leaves this method but in the answer: what is kept for a repetition lacks it.
            response.secret = secret
        return response

    async def DeleteAlertChannel(  # noqa: N802 -- the contract names it
        self, request: slapb.DeleteAlertChannelRequest, context: _Context
    ) -> slapb.AlertChannel:
        """Forget a way to a person."""
        del context
        tenant, person, word = ALERT_CHANNEL.parse(request.name)
        if word not in {way.value for way in ChannelWay}:
            raise AlertChannelUnknown(request.name)
        wanted = channels.RemoveChannel(
            tenant=tenant,
            person=names.PERSON.build(tenant, person),
            way=ChannelWay(word),
            only_for=only_for(current_call().caller),
        )
        return await self._run(self._remove_channel, request, wanted, slapb.AlertChannel)

    async def ListAlertChannels(  # noqa: N802 -- the contract names it
        self, request: slapb.ListAlertChannelsRequest, context: _Context
    ) -> slapb.ListAlertChannelsResponse:
        """List ways to people."""
        del context
        every = request.parent.endswith("/people/-")
        parent = f"{request.parent[:-1]}all" if every else request.parent
        tenant, _ = names.PERSON.parse(parent, field="parent")
        person = None if every else request.parent
        own = only_for(current_call().caller)
        if own is not None:
            if person not in (None, own):
                raise permission_denied()
            person = own

        def find(connection: Connection, limit: int, after: Any) -> list[Channel]:
            return page_of_channels(connection, tenant, person, limit=limit, after=after)

        found, token = await self._page(request, find, lambda each: [each.person, each.way.value])
        return slapb.ListAlertChannelsResponse(
            alert_channels=map(channel_message, found), next_page_token=token
        )

    def _channel_in(self, request: slapb.SetAlertChannelRequest) -> Channel:
        tenant, _ = names.PERSON.parse(request.parent, field="parent")
        given = request.alert_channel
        if given.way not in WAYS:
            raise field_invalid("alert_channel.way", "e-mail, webhook or chat")
        for value, pattern, field in (
            (given.calendar, names.CALENDAR, "alert_channel.calendar"),
            (given.cover, names.PERSON, "alert_channel.cover"),
        ):
            if value and pattern.parse(value, field=field)[0] != tenant:
                raise field_invalid(field, "one of the same tenant")
        language: Language = language_of(given)
        return Channel(
            tenant=tenant,
            person=request.parent,
            way=WAYS[given.way],
            endpoint_id=wallclock.new_id(),
            language=language,
            calendar=given.calendar,
            cover=given.cover,
            update_time=self._now(),
        )

    async def _checked(self, way: ChannelWay, address: str) -> str:
        """Return an address as it is to be kept; a refusal never repeats it."""
        if len(address) > _LONGEST_ADDRESS:
            raise _address_invalid(f"at most {_LONGEST_ADDRESS} characters")
        try:
            if way is ChannelWay.EMAIL:
                return validate_email(address, check_deliverability=False).normalized
            if way is ChannelWay.WEBHOOK:
                await resolve(address, self._addresses)
                return address
            if not is_chat_installed():
                raise _address_invalid("another way: this installation lacks the extra `chat`")
            await check_chat_address(address, self._addresses)
        except EmailNotValidError:
            raise _address_invalid("an address of e-mail such as name@example.com") from None
        except AddressForbidden as error:
            raise _address_invalid(error.why) from None
        return address


def _address_invalid(wanted: str) -> Refusal:
    return field_invalid("alert_channel.address", wanted, reason="ALERT_ADDRESS_INVALID")
