"""A source channel that a newer peer has added stops nobody, and is neither lost nor taken for another."""

from services.reports.consumers.lead_events import words_of
from services.reports.domain.words import Submitted
from services.sla.domain.condition import Condition
from services.sla.wire.facts import told_of
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.reports import TENANT, handoff


def _submitted(channel: int) -> eventlogpb.Event:
    said = leadeventspb.HandoffSubmitted(handoff=handoff(1), lead="l1")
    # On the wire any number is allowed: a varint field of the qualification.
    said.qualification.MergeFromString(_varint_field("source_channel", channel))
    event = eventlogpb.Event(position=1, tenant=TENANT)
    event.payload.Pack(said)
    return event


def _varint_field(name: str, number: int) -> bytes:
    field = leadeventspb.HandoffSubmitted().qualification.DESCRIPTOR.fields_by_name[name].number
    assert field < 16
    return bytes([field << 3, number & 127 | 128, number >> 7])


def test_both_readers_keep_the_number_of_a_channel_newer_than_they_are() -> None:
    event = _submitted(999)

    (word,) = words_of([event])
    (told,) = told_of(event)

    assert isinstance(word, Submitted)
    assert word.origin.source_channel == "unknown_999"
    assert told.fact.attributes is not None
    assert told.fact.attributes.source_channel == "UNKNOWN_999"
    named = frozenset(name.removeprefix("SOURCE_CHANNEL_") for name, _ in termspb.SourceChannel.items())
    assert not Condition(source_channels=named).matches(told.fact.attributes)
    assert Condition().matches(told.fact.attributes)


def test_known_channels_keep_their_words() -> None:
    event = _submitted(termspb.SOURCE_CHANNEL_PAID_SEARCH)

    (word,) = words_of([event])
    (told,) = told_of(event)

    assert isinstance(word, Submitted)
    assert word.origin.source_channel == "paid_search"
    assert told.fact.attributes is not None
    assert told.fact.attributes.source_channel == "PAID_SEARCH"
