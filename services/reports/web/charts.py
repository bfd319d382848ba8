"""Where the marks of a chart lie. Lengths are percent of its width, so that it fits a wall and a phone."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log
from typing import Final

from services.reports.domain.estimators import Curve
from services.reports.domain.figures import Figure
from services.reports.domain.periods import Micros
from services.reports.domain.responses import ResponseItems

__all__ = ["BULLET_FEW", "Bullet", "CurveChart", "NestedBar", "Tick", "bullet", "curve_chart", "nested"]

BULLET_FEW: Final = 30
"""Below so many items the interval is drawn."""

_SECOND: Final = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_WALL_TICKS: Final = (
    _MINUTE,
    5 * _MINUTE,
    15 * _MINUTE,
    _HOUR,
    4 * _HOUR,
    _DAY,
    3 * _DAY,
    7 * _DAY,
    30 * _DAY,
    90 * _DAY,
    365 * _DAY,
)
_BUSINESS_TICKS: Final = (
    _MINUTE,
    5 * _MINUTE,
    15 * _MINUTE,
    _HOUR,
    4 * _HOUR,
    8 * _HOUR,
    24 * _HOUR,
    80 * _HOUR,
    240 * _HOUR,
    2000 * _HOUR,
)
_MOST_TICKS: Final = 6
_CLOSE: Final = 0.15
"""Of the axis: labels that stand nearer touch."""
_CURVE_POINTS: Final = 120


@dataclass(frozen=True, slots=True)
class Bullet:
    """A share as a bar, with its objective and, of few items, its interval; all in percent."""

    share: float
    objective: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class NestedBar:
    """One group's stages, the widest first; in percent of the largest group."""

    widths: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the axis of time, with how many still waited then."""

    at: float
    micros: Micros
    at_risk: int


@dataclass(frozen=True, slots=True)
class CurveChart:
    """A step curve on an axis of time that is logarithmic; `path` is in a square of 100 by 100."""

    path: str
    area: str
    ticks: tuple[Tick, ...]
    median: float | None


def bullet(figure: Figure, objective_basis_points: int) -> Bullet | None:
    """Return the bar of a share; None where there is no share to draw."""
    if figure.ratio is None:
        return None
    few = figure.interval is not None and (figure.denominator or 0) < BULLET_FEW
    return Bullet(
        share=_percent(figure.ratio),
        objective=objective_basis_points / 100 if objective_basis_points else None,
        low=_percent(figure.interval.low) if few and figure.interval else None,
        high=_percent(figure.interval.high) if few and figure.interval else None,
    )


def nested(groups: Sequence[Sequence[int]]) -> list[NestedBar]:
    """Return a bar for each group, all on the scale of the largest."""
    largest = max((max(counts, default=0) for counts in groups), default=0)
    return [
        NestedBar(tuple(_percent(count / largest) if largest else 0.0 for count in counts))
        for counts in groups
    ]


def curve_chart(items: ResponseItems, curve: Curve, *, business_time: bool) -> CurveChart | None:
    """Return the curve of the share answered by a time; None where nothing was ever waited for."""
    weighed = items.durations()
    if not weighed:
        return None
    durations = [duration for duration, _ in weighed]
    passed = list(accumulate((number for _, number in weighed), initial=0))
    axis = _Axis(_ticks(durations, _BUSINESS_TICKS if business_time else _WALL_TICKS))
    steps, height = ["M0 100"], 0.0
    for point in curve.thinned(_CURVE_POINTS):
        steps.append(f"H{axis.at(point.duration):.2f}V{100 - 100 * point.answered:.2f}")
        height = point.answered
    last = axis.at(durations[-1])
    steps.append(f"H{last:.2f}")
    path = "".join(steps)
    median = curve.quantile(0.5)
    return CurveChart(
        path=path,
        area=f"{path}V100H0Z",
        ticks=tuple(
            Tick(axis.at(micros), micros, passed[-1] - passed[bisect_left(durations, micros)])
            for micros in axis.ticks
        ),
        median=None if median is None or not height else axis.at(median),
    )


class _Axis:
    """Places durations between the first and the last tick, by their logarithm."""

    def __init__(self, ticks: Sequence[Micros]) -> None:
        self.ticks = ticks
        self._first = log(ticks[0])
        self._length = log(ticks[-1]) - self._first

    def at(self, duration: Micros) -> float:
        """Return a place in percent; what lies outside is put on the edge."""
        place = (log(max(duration, 1)) - self._first) / self._length
        return min(max(100 * place, 0.0), 100.0)


def _ticks(durations: Sequence[Micros], known: Sequence[int]) -> list[Micros]:
    """Return the ticks around nine tenths of the durations, at least three and not too many to read."""
    middle = durations[len(durations) // 20]
    first = max((number for number, tick in enumerate(known) if tick * _SECOND <= middle), default=0)
    last = next(
        (number for number, tick in enumerate(known) if tick * _SECOND >= durations[-1]), len(known) - 1
    )
    first = min(first, len(known) - 3)
    last = max(last, first + 2)
    chosen = list(known[first : last + 1])
    while len(chosen) > _MOST_TICKS:
        # The ends stay; of the rest every second goes.
        chosen = [chosen[0], *chosen[2:-1:2], chosen[-1]]
    if len(chosen) > 3 and log(chosen[-1] / chosen[-2]) < _CLOSE * log(chosen[-1] / chosen[0]):
        del chosen[-2]
    return [tick * _SECOND for tick in chosen]


def _percent(share: float) -> float:
    return round(100 * share, 2)
