"""Ways to people, as they are shown: never with their addresses."""

from typing import Final

from services.sla.domain.notice import Channel, ChannelWay, Language
from services.sla.wire.instants import stamp
from smarketing.api.sla.v1 import sla_pb2 as slapb

WAYS: Final = {
    slapb.AlertChannel.WAY_EMAIL: ChannelWay.EMAIL,
    slapb.AlertChannel.WAY_WEBHOOK: ChannelWay.WEBHOOK,
    slapb.AlertChannel.WAY_CHAT: ChannelWay.CHAT,
}
_WAY_VALUES: Final = {way: value for value, way in WAYS.items()}
_LANGUAGE_VALUES: Final = {
    Language.ENGLISH: slapb.AlertChannel.LANGUAGE_ENGLISH,
    Language.KOREAN: slapb.AlertChannel.LANGUAGE_KOREAN,
}


def language_of(message: slapb.AlertChannel) -> Language:
    """Return the language that is asked for; English where none is, or one that we do not know."""
    return Language.KOREAN if message.language == slapb.AlertChannel.LANGUAGE_KOREAN else Language.ENGLISH


def channel_message(channel: Channel) -> slapb.AlertChannel:
    """Return a way as it is shown."""
    return slapb.AlertChannel(
        name=channel.name,
        way=_WAY_VALUES[channel.way],
        language=_LANGUAGE_VALUES[channel.language],
        calendar=channel.calendar,
        cover=channel.cover,
        update_time=stamp(channel.update_time),
    )


def set_message(channel: Channel) -> slapb.SetAlertChannelResponse:
    """Return the answer to a setting as it is kept for a repetition: without the secret."""
    return slapb.SetAlertChannelResponse(alert_channel=channel_message(channel))
