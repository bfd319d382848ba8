"""Why this service says no.

Refused
├── AgreementUnknown · CalendarUnknown · LeaveUnknown · ClockUnknown · AlertUnknown
├── AlertChannelUnknown · BudgetUnknown · PeriodUnknown
├── AgreementInvalid     one fault per path
├── CalendarInvalid · CalendarClosed · LeaveInvalid
├── StateForbids         what is asked does not go with where it stands
├── NotAcceptedByBoth    a party has not given its word
├── NoParty              the caller speaks for neither party
├── NotYours             somebody else's leave or alert
└── EtagStale            it changed since the caller looked
"""

from collections.abc import Sequence

from services.sla.domain.fault import Fault


class Refused(Exception):
    """A request that changes nothing."""


class Unknown(Refused):
    """There is no such resource."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist")
        self.name = name


class AgreementUnknown(Unknown):
    """There is no such version of an agreement."""


class CalendarUnknown(Unknown):
    """There is no such version of a calendar."""


class LeaveUnknown(Unknown):
    """There is no such leave."""


class ClockUnknown(Unknown):
    """There is no such clock."""


class AlertUnknown(Unknown):
    """There is no such alert."""


class PeriodUnknown(Unknown):
    """Nothing was handed over in such a period."""


class BudgetUnknown(Unknown):
    """There is no commitment in force whose budget it could be."""


class AlertChannelUnknown(Unknown):
    """There is no such way to that person."""


class AgreementInvalid(Refused):
    """Terms that cannot be agreed to."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.description}" for fault in faults))
        self.faults = tuple(faults)


class CalendarInvalid(Refused):
    """A calendar that cannot be used as it is written."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class CalendarClosed(Refused):
    """A calendar that opens on no day of the coming year."""

    def __init__(self) -> None:
        super().__init__("the calendar does not open within 366 days from now")


class LeaveInvalid(Refused):
    """Leave without an end, or longer than may be."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class StateForbids(Refused):
    """What is asked does not go with where the resource stands."""

    def __init__(self, name: str, state: str) -> None:
        super().__init__(f"{name} is {state}")
        self.name = name
        self.state = state


class NotAcceptedByBoth(Refused):
    """A party has not given its word."""

    def __init__(self, name: str, missing: tuple[str, ...]) -> None:
        super().__init__(f"{name} is not accepted by {' and '.join(missing)}")
        self.name = name
        self.missing = missing


class NoParty(Refused):
    """The caller speaks for neither party."""


class NotYours(Refused):
    """Somebody else's leave or alert."""


class EtagStale(Refused):
    """The resource changed since the caller looked at it."""

    def __init__(self, name: str, etag: str) -> None:
        super().__init__(f"{name} has changed")
        self.name = name
        self.etag = etag
