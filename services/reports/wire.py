"""The dictionary: questions and answers of reports, protobuf on one side and domain values on the other."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.reports.domain.as_of import AskedAsOf
from services.reports.domain.errors import AsOfInvalid, PeriodInvalid
from services.reports.domain.estimators import Point
from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.kpi_kinds import Basis, Kpi
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Micros, Period
from services.reports.domain.responses import Measure
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb

__all__ = [
    "CURVE_POINTS",
    "as_of_from",
    "basis_from",
    "basis_to",
    "dimensions_from",
    "dimensions_to",
    "figure_to",
    "group_to",
    "instant_to",
    "kind_to",
    "kpi_to",
    "measure_to",
    "party_to",
    "period_from",
    "point_to",
]

CURVE_POINTS: Final = 200
"""So many points at most does a curve have on the wire."""

_DIMENSIONS: Final[dict[int, Dimension]] = {
    reportspb.Dimension.Value(f"DIMENSION_{dimension.name}"): dimension for dimension in Dimension
}
_DIMENSION_NUMBERS: Final = {
    dimension: reportspb.Dimension.Value(f"DIMENSION_{dimension.name}") for dimension in Dimension
}
_BASES: Final = {Basis.COHORT: reportspb.BASIS_COHORT, Basis.EVENT: reportspb.BASIS_EVENT}
_UNDEFINED: Final = {
    reason: reportspb.UndefinedReason.Value(f"UNDEFINED_REASON_{reason.name}") for reason in Undefined
}
_MEASURES: Final = {
    Measure.TIME_TO_ACCEPT: reportspb.ResponseTimesRow.MEASURE_TIME_TO_ACCEPT,
    Measure.OWNER_FIRST_FOLLOW_UP: reportspb.ResponseTimesRow.MEASURE_OWNER_TIME_TO_FIRST_FOLLOW_UP,
    Measure.BUYER_FIRST_FOLLOW_UP: reportspb.ResponseTimesRow.MEASURE_BUYER_TIME_TO_FIRST_FOLLOW_UP,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND: Final = 253_402_300_799
"""The last of year 9999."""


def period_from(request_period: reportspb.Period | None) -> Period | None:
    """Return the period asked for; None when none was given.

    Raises:
        PeriodInvalid: for a date that is none, or an end that is not after the start.
    """
    if request_period is None:
        return None
    try:
        start, end = _date_from(request_period.start_date), _date_from(request_period.end_date)
    except ValueError:
        raise PeriodInvalid(None, None) from None
    return Period.of(start, end)


def as_of_from(asked: reportspb.AsOf | None) -> AskedAsOf | None:
    """Return the past state asked for; None when none was.

    Raises:
        AsOfInvalid: for one without an instant, or that names a log twice.
    """
    if asked is None:
        return None
    if not asked.HasField("as_of_time") or not _is_instant(asked.as_of_time):
        raise AsOfInvalid("as_of.as_of_time", "an instant that is past")
    time = asked.as_of_time.seconds * 1_000_000 + asked.as_of_time.nanos // 1000
    if not asked.positions:
        return AskedAsOf(time)
    positions = {each.service: (each.log_id, each.position) for each in asked.positions}
    if len(positions) < len(asked.positions):
        raise AsOfInvalid("as_of.positions", "one position a log")
    return AskedAsOf(time, positions)


def _is_instant(said: Timestamp) -> bool:
    return 0 <= said.seconds <= _LAST_SECOND and 0 <= said.nanos < 1_000_000_000


def dimensions_from(numbers: Iterable[int]) -> tuple[Dimension | None, ...]:
    """Return the dimensions; None for a number that is none."""
    return tuple(_DIMENSIONS.get(number) for number in numbers)


def dimensions_to(dimensions: Iterable[Dimension]) -> list[reportspb.Dimension.ValueType]:
    """Return dimensions for the wire."""
    return [_DIMENSION_NUMBERS[dimension] for dimension in dimensions]


def basis_from(number: int) -> Basis | None:
    """Return the basis; None when it was not given."""
    return next((basis for basis, known in _BASES.items() if known == number), None)


def basis_to(basis: Basis) -> reportspb.Basis.ValueType:
    """Return a basis for the wire."""
    return _BASES[basis]


def party_to(word: str) -> termspb.Party.ValueType:
    """Return a party for the wire."""
    return termspb.Party.Value(f"PARTY_{word.upper()}")


def kind_to(word: str) -> slapb.CommitmentKind.ValueType:
    """Return a kind of commitment; UNSPECIFIED where only clocks, no agreement, tell of it."""
    return slapb.CommitmentKind.Value(f"COMMITMENT_KIND_{word.upper() or 'UNSPECIFIED'}")


def measure_to(measure: Measure) -> reportspb.ResponseTimesRow.Measure.ValueType:
    """Return a measure for the wire."""
    return _MEASURES[measure]


def kpi_to(kpi: Kpi) -> reportspb.Kpi:
    """Return a definition for the wire."""
    return reportspb.Kpi(
        kpi_id=kpi.kpi_id,
        title=kpi.title,
        formula=kpi.formula,
        unit=kpi.unit,
        dimensions=dimensions_to(kpi.dimensions),
        bases=[_BASES[basis] for basis in kpi.bases],
        edge_cases=list(kpi.edge_cases),
        parties=[party_to(party) for party in kpi.parties],
        logs=kpi.logs,
    )


def figure_to(figure: Figure) -> reportspb.KpiValue:
    """Return a value for the wire: exactly one of value and reason, the rest only where it is known."""
    value = reportspb.KpiValue(
        numerator=figure.numerator,
        denominator=figure.denominator,
        interval_low=figure.interval.low if figure.interval else None,
        interval_high=figure.interval.high if figure.interval else None,
        open_count=figure.open_count,
        maturity_ratio=figure.maturity,
        invalid_interval_count=figure.invalid_count,
    )
    if figure.undefined is not None:
        value.undefined_reason = _UNDEFINED[figure.undefined]
    elif figure.ratio is not None:
        value.ratio = figure.ratio
    elif figure.count is not None:
        value.count = figure.count
    elif figure.duration is not None:
        value.duration.CopyFrom(_duration_to(figure.duration))
    elif figure.amount is not None:
        value.money.currency_code = figure.amount.currency
        value.money.minor_units = figure.amount.minor_units
    elif figure.scalar is not None:
        value.scalar = figure.scalar
    return value


def group_to(group_by: Sequence[Dimension], group: Sequence[str | None]) -> list[reportspb.GroupKey]:
    """Return a group for the wire; an absent value stays absent."""
    return [
        reportspb.GroupKey(dimension=_DIMENSION_NUMBERS[dimension], value=value)
        for dimension, value in zip(group_by, group, strict=True)
    ]


def point_to(point: Point) -> reportspb.CurvePoint:
    """Return a point of a curve for the wire."""
    return reportspb.CurvePoint(
        duration=_duration_to(point.duration), answered_ratio=point.answered, at_risk_count=point.at_risk
    )


def instant_to(instant: Micros) -> Timestamp:
    """Return an instant for the wire."""
    timestamp = Timestamp()
    timestamp.FromDatetime(_EPOCH + timedelta(microseconds=instant))
    return timestamp


def _duration_to(micros: Micros) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(micros)
    return duration


def _date_from(said: Any) -> date:
    return date(said.year, said.month, said.day)
