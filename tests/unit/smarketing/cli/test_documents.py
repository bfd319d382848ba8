"""JSON documents follow the contract's names and order, and lose nothing."""

from datetime import timedelta

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.documents import document_of
from smarketing.cli.output import plain, span
from smarketing.mapping.texts import LARGEST_MINOR_UNITS


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (LARGEST_MINOR_UNITS, 9_007_199_254_740_991),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (0, 0),
    ],
)
def test_a_number_that_readers_would_round_is_a_string(number: int, shown: int | str) -> None:
    assert document_of(termspb.Money(minor_units=number))["minor_units"] == shown


def test_absent_and_empty_are_told_apart() -> None:
    assert "source" not in document_of(leadspb.Qualification())
    assert document_of(leadspb.Qualification(source=""))["source"] == ""


def test_instants_enums_and_maps_have_the_forms_of_proto_json() -> None:
    contact = leadspb.Contact(attributes={"b": "2", "a": "1"})
    follow_up = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL)
    follow_up.occur_time.FromJsonString("2026-01-02T03:04:05Z")

    document = document_of(follow_up)

    assert document["channel"] == "FOLLOW_UP_CHANNEL_CALL"
    assert document["occur_time"] == "2026-01-02T03:04:05Z"
    assert list(document_of(contact)["attributes"].items()) == [("a", "1"), ("b", "2")]


def test_an_event_of_a_known_type_is_opened_and_another_keeps_its_bytes() -> None:
    known, strange = AnyMessage(), AnyMessage(type_url="type.googleapis.com/x.Unknown", value=b"\x01")
    known.Pack(leadspb.Handoff(owner="o"))

    documents = document_of(
        eventlogpb.ReadEventsResponse(
            events=[eventlogpb.Event(payload=known), eventlogpb.Event(payload=strange)]
        )
    )

    first, second = (event["payload"] for event in documents["events"])
    assert first["@type"].endswith("smarketing.api.leads.v1.Handoff")
    assert first["owner"] == "o"
    assert second == {"@type": "type.googleapis.com/x.Unknown", "value": "AQ=="}


def test_signs_that_steer_a_terminal_are_made_visible() -> None:
    assert plain("a\x1b[2Jb\nc\u202ed가") == "a\ufffd[2Jb\ufffdc\ufffdd가"


def test_lengths_of_time_are_shown_in_their_two_largest_units() -> None:
    assert span(timedelta(days=2, hours=3, minutes=4)) == "2d 3h"
    assert span(timedelta(minutes=-5, seconds=-10)) == "-5m 10s"
    assert span(timedelta(0)) == "0s"
