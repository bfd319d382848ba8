"""What the log says of agreements, calendars, leave and alerts."""

from google.protobuf.timestamp_pb2 import Timestamp

from services.sla.domain.accord import Accord
from services.sla.domain.alert import Alert
from services.sla.domain.almanac import Leave, MadeCalendar
from services.sla.wire.agreements import agreement_message
from services.sla.wire.calendars import calendar_message, leave_message
from services.sla.wire.clocks import alert_message
from smarketing.api.sla.v1 import events_pb2 as slaeventspb


def agreement_changed(accord: Accord) -> slaeventspb.AgreementVersionChanged:
    """Return the event of a version that was proposed, accepted, put in force or retired."""
    return slaeventspb.AgreementVersionChanged(agreement_version=agreement_message(accord))


def calendar_created(made: MadeCalendar) -> slaeventspb.CalendarVersionCreated:
    """Return the event of a new calendar version."""
    return slaeventspb.CalendarVersionCreated(calendar_version=calendar_message(made))


def leave_changed(leave: Leave) -> slaeventspb.LeaveChanged:
    """Return the event of leave that was recorded or taken back."""
    return slaeventspb.LeaveChanged(leave=leave_message(leave))


def alert_changed(alert: Alert) -> slaeventspb.AlertChanged:
    """Return the event of an alert that was made, acknowledged or resolved."""
    return slaeventspb.AlertChanged(alert=alert_message(alert))


class NewAlert:
    """What the log says of a new alert, written out before it is made."""

    __slots__ = ("_event",)

    def __init__(self, alert: Alert) -> None:
        self._event = alert_changed(alert)

    def made_at(self, created: Timestamp) -> slaeventspb.AlertChanged:
        """Return the event of the alert as made at an instant."""
        event = slaeventspb.AlertChanged()
        event.CopyFrom(self._event)
        event.alert.create_time.CopyFrom(created)
        return event
