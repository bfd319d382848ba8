"""Every reason for which reports says no.

ReportError
├── KpiUnknown
├── DimensionUnsupported
├── PeriodInvalid
├── BasisRequired
└── FactMissing        (a log told of something that it never began)
"""

from datetime import date

__all__ = [
    "BasisRequired",
    "DimensionUnsupported",
    "FactMissing",
    "KpiUnknown",
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


class FactMissing(Exception):
    """A log tells of a handoff that it never began; the fold stops rather than count the unknown."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the log tells of {name}, which it never began")
        self.name = name
