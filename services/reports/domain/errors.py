"""Every reason for which reports says no.

ReportError
├── KpiUnknown
├── DimensionUnsupported
├── PeriodInvalid
├── BasisRequired
├── AsOfInvalid
├── AsOfOutOfReach
├── AsOfBusy
├── LogUnreachable
└── FactMissing        (a log told of something that it never began)
"""

from datetime import date

__all__ = [
    "AsOfBusy",
    "AsOfInvalid",
    "AsOfOutOfReach",
    "BasisRequired",
    "DimensionUnsupported",
    "FactMissing",
    "KpiUnknown",
    "LogUnreachable",
    "PeriodInvalid",
    "ReportError",
]


class ReportError(Exception):
    """A question that cannot be answered as asked."""


class KpiUnknown(ReportError):
    """No figure has this id."""

    def __init__(self, kpi_id: str) -> None:
        super().__init__(f"no figure has the id {kpi_id}")
        self.kpi_id = kpi_id


class DimensionUnsupported(ReportError):
    """The figure cannot be grouped like this."""

    def __init__(self, subject: str, dimension: str) -> None:
        super().__init__(f"{subject} cannot be grouped by {dimension}")
        self.subject = subject
        self.dimension = dimension


class PeriodInvalid(ReportError):
    """A period without a day."""

    def __init__(self, start: date | None, end: date | None) -> None:
        super().__init__(f"the period from {start} to {end} holds no day")
        self.start = start
        self.end = end


class BasisRequired(ReportError):
    """The figure reads differently by cohort and by event, and the question says neither."""

    def __init__(self, kpi_id: str) -> None:
        super().__init__(f"say on which basis {kpi_id} is wanted")
        self.kpi_id = kpi_id


class AsOfInvalid(ReportError):
    """There is no such past state."""

    def __init__(self, field: str, wanted: str) -> None:
        super().__init__(f"{field} must be {wanted}")
        self.field = field
        self.wanted = wanted


class AsOfOutOfReach(ReportError):
    """There was such a state, but neither a copy nor the log reaches back to it."""

    def __init__(self, field: str, wanted: str) -> None:
        super().__init__(f"{field} must be {wanted}")
        self.field = field
        self.wanted = wanted


class AsOfBusy(ReportError):
    """So many past states are being made that no other is begun."""


class LogUnreachable(ReportError):
    """A past state needs events of a log whose service does not answer."""

    def __init__(self, service: str) -> None:
        super().__init__(f"the log of {service} cannot be read at present")
        self.service = service


class FactMissing(Exception):
    """A log tells of a handoff that it never began; the fold stops rather than count the unknown."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the log tells of {name}, which it never began")
        self.name = name
