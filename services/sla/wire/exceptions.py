"""Exceptions as they are asked for and shown, and as the log tells of them."""

from services.sla.domain.exceptions import ExceptionInvalid, ExceptionReason, SlaException, Span
from services.sla.wire.agreements import party_value_of
from services.sla.wire.instants import instant_in, stamp, stamp_or_none
from smarketing.api.sla.v1 import exceptions_pb2 as exceptionspb

__all__ = ["counts_message", "exception_changed", "exception_message", "note_in", "reason_in", "span_in"]

_LONGEST_NOTE = 500


def reason_in(message: exceptionspb.SlaException) -> ExceptionReason:
    """Return why an exception is asked for.

    Raises:
        ExceptionInvalid: when nothing is said, or something newer than this build.
    """
    names = {
        number: name.removeprefix("REASON_") for name, number in exceptionspb.SlaException.Reason.items()
    }
    if not message.reason or message.reason not in names:
        raise ExceptionInvalid("exception.reason", "one of the reasons")
    return ExceptionReason(names[message.reason])


def note_in(message: exceptionspb.SlaException) -> str:
    """Return what else there is to say.

    Raises:
        ExceptionInvalid: when it is too long.
    """
    if len(message.note) > _LONGEST_NOTE:
        raise ExceptionInvalid("exception.note", f"at most {_LONGEST_NOTE} characters")
    return message.note


def span_in(message: exceptionspb.SlaException) -> Span | None:
    """Return the span that is asked for; None where it is for a clock.

    Raises:
        ExceptionInvalid: when both are given, or neither, or the span is not complete.
    """
    start, end = instant_in(message, "start_time"), instant_in(message, "end_time")
    of_span = {
        "agreement": bool(message.agreement),
        "commitment_id": bool(message.commitment_id),
        "start_time": start is not None,
        "end_time": end is not None,
    }
    if message.clock:
        for field, is_given in of_span.items():
            if is_given:
                raise ExceptionInvalid(f"exception.{field}", "nothing, where a clock is given")
        return None
    for field, is_given in of_span.items():
        if not is_given:
            raise ExceptionInvalid(f"exception.{field}", "a value, unless a clock is given")
    assert start is not None and end is not None  # noqa: S101, PT018 - looked at above
    return Span(start_time=start, end_time=end)


def exception_message(exception: SlaException) -> exceptionspb.SlaException:
    """Return an exception as it is shown."""
    span = exception.span
    return exceptionspb.SlaException(
        name=exception.name,
        etag=exception.etag,
        state=exceptionspb.SlaException.State.Value(f"STATE_{exception.state.value}"),
        clock=exception.clock,
        agreement=exception.agreement,
        commitment_id=exception.commitment_id,
        start_time=stamp_or_none(span.start_time if span else None),
        end_time=stamp_or_none(span.end_time if span else None),
        reason=exceptionspb.SlaException.Reason.Value(f"REASON_{exception.reason.value}"),
        note=exception.note,
        requesting_party=party_value_of(exception.requesting_party.value),
        deciding_party=party_value_of(exception.deciding_party.value),
        request_principal=exception.request_principal,
        request_time=stamp(exception.request_time),
        lapse_time=stamp(exception.lapse_time),
        decide_principal=exception.decide_principal,
        decide_time=stamp_or_none(exception.decide_time),
        self_approved=exception.self_approved,
    )


def exception_changed(exception: SlaException) -> exceptionspb.ExceptionChanged:
    """Return the event of an exception that was asked for, answered, or lapsed; people's words stay here."""
    shown = exception_message(exception)
    shown.ClearField("note")
    return exceptionspb.ExceptionChanged(exception=shown)


def counts_message(commitment_id: str, counts: dict[str, int]) -> exceptionspb.ExceptionCounts:
    """Return the totals of a commitment."""
    return exceptionspb.ExceptionCounts(
        commitment_id=commitment_id, **{f"{name}_count": count for name, count in counts.items()}
    )
