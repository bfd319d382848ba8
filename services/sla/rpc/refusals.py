"""The one table: what this service refuses → code, reason and what to do next."""

import grpc

from services.sla.domain.exceptions import ExceptionUnknown
from services.sla.domain.holidays import HolidayReviewUnknown
from services.sla.domain.refused import (
    AgreementInvalid,
    AgreementUnknown,
    AlertChannelUnknown,
    AlertUnknown,
    BudgetUnknown,
    CalendarClosed,
    CalendarInvalid,
    CalendarUnknown,
    ClockUnknown,
    EtagStale,
    LeaveInvalid,
    LeaveUnknown,
    NoParty,
    NotAcceptedByBoth,
    NotYours,
    PeriodUnknown,
    StateForbids,
    Unknown,
)
from services.sla.rpc.calendar_refusals import calendar_refusal_of
from services.sla.rpc.clock_refusals import clock_refusal_of
from services.sla.rpc.exception_refusals import exception_refusal_of
from smarketing.delivery import AddressForbidden, EndpointUnknown
from smarketing.eventlog.refusals import log_refusal_of
from smarketing.server.commands import reason_by_name
from smarketing.server.errors import FieldViolation, Refusal, field_invalid
from smarketing.server.policy import permission_denied
from smarketing.server.refusals import library_refusal_of

__all__ = ["reason_of", "refusal_of"]

_UNKNOWN = {
    AgreementUnknown: "AGREEMENT_UNKNOWN",
    CalendarUnknown: "CALENDAR_UNKNOWN",
    LeaveUnknown: "LEAVE_UNKNOWN",
    ClockUnknown: "CLOCK_UNKNOWN",
    AlertUnknown: "ALERT_UNKNOWN",
    HolidayReviewUnknown: "HOLIDAY_REVIEW_UNKNOWN",
    AlertChannelUnknown: "ALERT_CHANNEL_UNKNOWN",
    ExceptionUnknown: "EXCEPTION_UNKNOWN",
    BudgetUnknown: "BUDGET_UNKNOWN",
    PeriodUnknown: "PERIOD_UNKNOWN",
}


def refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error; None for one that is nobody's answer."""
    match error:
        case Unknown(name=name):
            return _not_found(_UNKNOWN[type(error)], name)
        case EndpointUnknown(endpoint_id=endpoint):
            return _not_found("WEBHOOK_ENDPOINT_UNKNOWN", endpoint)
        case NoParty() | NotYours():
            return permission_denied()
        case StateForbids() | NotAcceptedByBoth() | EtagStale():
            return _of_state(error)
        case _:
            return (
                _of_input(error)
                or calendar_refusal_of(error)
                or clock_refusal_of(error)
                or exception_refusal_of(error)
                or log_refusal_of(error)
                or library_refusal_of(error)
            )


def reason_of(error: Exception) -> str:
    """Return the reason under which a refusal stands in the audit trail."""
    refusal = refusal_of(error)
    return refusal.reason if refusal is not None else reason_by_name(error)


def _of_state(error: StateForbids | NotAcceptedByBoth | EtagStale) -> Refusal:
    match error:
        case StateForbids(name=name, state=state):
            return Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                "STATE_FORBIDS",
                f"{name} is {state}, which does not allow this; look at it again.",
                {"name": name, "state": state},
            )
        case NotAcceptedByBoth(name=name, missing=missing):
            parties = ", ".join(missing)
            return Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                "NOT_ACCEPTED_BY_BOTH",
                f"{name} still needs the word of {parties}; have it accepted first.",
                {"name": name, "missing": parties},
            )
        case EtagStale(name=name, etag=etag):
            return Refusal(
                grpc.StatusCode.ABORTED,
                "ETAG_STALE",
                f"{name} has changed; read it again and decide anew.",
                {"name": name, "etag": etag},
            )


def _of_input(error: BaseException) -> Refusal | None:
    match error:
        case AgreementInvalid(faults=faults):
            first = faults[0]
            return Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                "AGREEMENT_INVALID",
                f"Correct the agreement in {len(faults)} places, first `{first.path}`: {first.description}.",
                {
                    "fault_count": str(len(faults)),
                    "field": f"agreement_version.{first.path}",
                    "description": first.description,
                },
                field_violations=[
                    FieldViolation(f"agreement_version.{fault.path}", fault.description) for fault in faults
                ],
            )
        case CalendarInvalid(field=field, reason=reason):
            return field_invalid(f"calendar_version.{field}", reason, reason="CALENDAR_INVALID")
        case CalendarClosed():
            return field_invalid(
                "calendar_version.weekly_windows",
                "windows that open within a year from now; for night and day, open from 00:00 to 24:00",
                reason="CALENDAR_NEVER_OPENS",
            )
        case LeaveInvalid(field=field, reason=reason):
            return field_invalid(field, reason, reason="LEAVE_INVALID")
        case AddressForbidden(why=why):
            return field_invalid("webhook_endpoint.url", why, reason="WEBHOOK_ADDRESS_FORBIDDEN")
        case _:
            return None


def _not_found(reason: str, name: str) -> Refusal:
    return Refusal(
        grpc.StatusCode.NOT_FOUND, reason, f"There is no {name}; list what there is.", {"name": name}
    )
