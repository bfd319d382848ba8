"""What holidays and teams' calendars refuse, as callers see it; the service's table asks here."""

from services.sla.domain.holidays import HolidaysUnknown, ListInvalid
from services.sla.usecases.planning import TooEarly
from smarketing.server.errors import Refusal, field_invalid

__all__ = ["calendar_refusal_of"]


def calendar_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only these have; None for any other."""
    match error:
        case HolidaysUnknown(field=field, reason=reason):
            return field_invalid(field, reason, reason="HOLIDAYS_UNKNOWN")
        case ListInvalid(field=field, reason=reason):
            return field_invalid(field, reason, reason="CALENDAR_INVALID")
        case TooEarly(earliest=earliest):
            return field_invalid("effective_time", f"{earliest.isoformat()} or later, or nothing")
        case _:
            return None
