"""Who may see to holidays and to teams' calendars: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["CALENDAR_POLICY"]

_SERVICE: Final = "/smarketing.api.sla.v1.CalendarService"
_KEEPERS: Final = (Role.MARKETING_MANAGER, Role.SALES_MANAGER, Role.OPERATOR)

CALENDAR_POLICY: Final[Policy] = {
    f"{_SERVICE}/ProposeHolidays": Allow(*_KEEPERS, mutation=True),
    f"{_SERVICE}/GetHolidayReview": Allow(*Role),
    f"{_SERVICE}/ListHolidayReviews": Allow(*Role),
    # Besides, only a person can: a system's word is refused by the use case.
    f"{_SERVICE}/ActivateHolidays": Allow(*_KEEPERS, mutation=True),
    f"{_SERVICE}/AssignCalendar": Allow(*_KEEPERS, mutation=True, tenant_from="holder"),
    f"{_SERVICE}/ListCalendarAssignments": Allow(*Role),
}
