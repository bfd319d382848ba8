"""What protobuf takes and we cannot keep is refused, and named by its path."""

import math
from datetime import timedelta

import pytest

from smarketing.server.errors import Refusal
from smarketing.server.validation import Limits, TextRule, Validator
from tests.unit.smarketing.server.probe import PACKAGE, Probe, a_probe

validate = Validator()


def fault_of(probe, validator=validate):
    with pytest.raises(Refusal) as caught:
        validator(probe)
    assert [violation.field for violation in caught.value.field_violations] == [
        caught.value.metadata["field"]
    ]
    return caught.value.reason, caught.value.metadata["field"]


@pytest.mark.parametrize(
    "probe",
    [
        a_probe(name="Zoë 영업팀 – 100 %", note="two\nlines\tand a tab\r\n"),
        a_probe(name="x" * 1024),
        a_probe(at={"seconds": 0}),
        a_probe(at={"seconds": 253402300799, "nanos": 999999000}),
        a_probe(wait={"seconds": -5, "nanos": -1000}),
        a_probe(words=["a"] * 1000, labels={"k": "v"}, colour=2, ratio=-0.0, raw=bytes(65536)),
    ],
)
def test_what_can_be_kept_is_taken_unchanged(probe):
    before = probe.SerializeToString(deterministic=True)
    validate(probe)

    assert probe.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("probe", "field"),
    [
        (a_probe(name="a\x00b"), "name"),
        (a_probe(name="a\nb"), "name"),
        (a_probe(name="a\x7f"), "name"),
        (a_probe(name="a\x85b"), "name"),
        (a_probe(note="a\x0bb"), "note"),
        (a_probe(note="a\x1b[31m"), "note"),
        (a_probe(name="Zoe\u0308"), "name"),
        (a_probe(name="x" * 1025), "name"),
        (a_probe(name="é" * 513), "name"),
        (a_probe(note="x" * 16385), "note"),
        (a_probe(ratio=math.nan), "ratio"),
        (a_probe(ratio=math.inf), "ratio"),
        (a_probe(raw=bytes(65537)), "raw"),
        (a_probe(colour=3), "colour"),
        (a_probe(colour=-1), "colour"),
        (a_probe(at={"seconds": -1}), "at"),
        (a_probe(at={"seconds": 253402300800}), "at"),
        (a_probe(at={"nanos": 1_000_000_000}), "at"),
        (a_probe(at={"nanos": -1}), "at"),
        (a_probe(wait={"seconds": 1, "nanos": -1}), "wait"),
        (a_probe(wait={"nanos": 1_000_000_000}), "wait"),
        (a_probe(wait={"seconds": 400_000_000}), "wait"),
        (a_probe(words=["a"] * 1001), "words"),
        (a_probe(words=["a", "b\x00"]), "words[1]"),
        (a_probe(labels={"k": "\x01"}), "labels['k']"),
        (a_probe(labels={"k\x01": "v"}), "labels key"),
        (a_probe(labels={str(n): "v" for n in range(1001)}), "labels"),
        (a_probe(inner={"inners": [{}, {"inner": {"name": "\x02"}}]}), "inner.inners[1].inner.name"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_path(probe, field):
    assert fault_of(probe) == ("FIELD_INVALID", field)


def test_a_refusal_never_repeats_the_value():
    with pytest.raises(Refusal) as caught:
        validate(a_probe(name="canary\x00"))

    assert "canary" not in caught.value.message


def test_times_are_cut_to_microseconds():
    probe = a_probe(at={"seconds": 5, "nanos": 1999}, wait={"seconds": -1, "nanos": -1999})
    validate(probe)

    assert (probe.at.nanos, probe.wait.nanos) == (1000, -1000)


@pytest.mark.parametrize(
    ("request_id", "reason"),
    [
        ("", "REQUEST_ID_REQUIRED"),
        ("42", "REQUEST_ID_INVALID"),
        ("7d1f8a526f0e4a569f5b1b8f4a1d2c3e", "REQUEST_ID_INVALID"),
        ("7d1f8a52-6f0e-4a56-9f5b-1b8f4a1d2c3e\n", "REQUEST_ID_INVALID"),
        ("7d1f8a52-6f0e-4a56-9f5b-1b8f4a1d2c3g", "REQUEST_ID_INVALID"),
    ],
)
def test_a_request_id_is_a_uuid(request_id, reason):
    assert fault_of(Probe(request_id=request_id)) == (reason, "request_id")


def test_a_request_id_below_the_top_is_an_ordinary_field():
    validate(a_probe(inner={"name": "x"}))


def test_a_service_widens_single_fields():
    limits = Limits(
        text_of={f"{PACKAGE}.Probe.name": TextRule(max_bytes=2000, multiline=True)},
        items_of={f"{PACKAGE}.Probe.words": 1},
        duration=timedelta(days=1),
    )
    widened = Validator(limits)
    widened(a_probe(name="x\n" * 1000))

    assert fault_of(a_probe(name="x" * 2001), widened) == ("FIELD_INVALID", "name")
    assert fault_of(a_probe(words=["a", "b"]), widened) == ("FIELD_INVALID", "words")
    assert fault_of(a_probe(wait={"seconds": 86401}), widened) == ("FIELD_INVALID", "wait")


def test_a_message_as_deep_as_protobuf_allows_is_walked():
    probe = a_probe(name="x")
    for _ in range(98):
        probe = a_probe(inner=probe)

    validate(Probe.FromString(probe.SerializeToString()))
