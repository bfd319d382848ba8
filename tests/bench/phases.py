"""What calls that were due at known instants say of each phase of a load."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from tests.bench.wire import OK, RESOURCE_EXHAUSTED

_MILLI: Final = 1e-3
_MICRO: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Call:
    """When it was due, in seconds from the start, how long it took from then, and how it ended."""

    due: float
    took: float
    status: int

    @property
    def ended(self) -> float:
        """When its answer came."""
        return self.due + self.took


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of a run, in seconds from its start."""

    begins: float
    ends: float

    @property
    def seconds(self) -> float:
        return self.ends - self.begins

    def holds(self, instant: float) -> bool:
        """Whether the instant is in it."""
        return self.begins <= instant < self.ends


def calls_of(seen: Mapping[str, Sequence[int]]) -> list[Call]:
    """Read what a loader printed."""
    columns = (seen["due"], seen["took"], seen["status"])
    return [Call(_MICRO * due, _MICRO * took, status) for due, took, status in zip(*columns, strict=True)]


def spans_of(phases: Sequence[tuple[float, float]]) -> list[Span]:
    """Return when each phase begins and ends."""
    spans: list[Span] = []
    for _, seconds in phases:
        begins = spans[-1].ends if spans else 0.0
        spans.append(Span(begins=begins, ends=begins + seconds))
    return spans


def figures_of(calls: Sequence[Call], span: Span) -> dict[str, Any]:
    """Sum up the calls that were due in a span; goodput counts the answers that came in it."""
    due = [call for call in calls if span.holds(call.due)]
    kept = sorted(call.took for call in due if call.status == OK)
    refused = sorted(call.took for call in due if call.status == RESOURCE_EXHAUSTED)
    good = sum(1 for call in calls if call.status == OK and span.holds(call.ended))
    return {
        "arrivals": len(due),
        "arrivals_per_second": len(due) / span.seconds,
        "goodput_per_second": good / span.seconds,
        "p50_ms": percentile(kept, 0.5) / _MILLI,
        "p99_ms": percentile(kept, 0.99) / _MILLI,
        "p999_ms": percentile(kept, 0.999) / _MILLI,
        "refused_share": len(refused) / max(1, len(due)),
        "refused_p99_ms": percentile(refused, 0.99) / _MILLI,
        "failed": len(due) - len(kept) - len(refused),
        "failed_by_status": dict(
            Counter(str(each.status) for each in due if each.status not in (OK, RESOURCE_EXHAUSTED))
        ),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that so large a share does not exceed; 0 of nothing."""
    return ordered[max(0, ceil(len(ordered) * share) - 1)] if ordered else 0.0


def seconds_until_normal(
    calls: Sequence[Call], span: Span, *, normal: float, window: float = 0.25
) -> float | None:
    """Return how long after the beginning of a span p99 was back at what is normal, and stayed there.

    Looked at are the calls due in each window; one in which a call failed or was refused is not normal.
    None when the span ended before that.
    """
    windows = int(span.seconds / window + 1e-9)
    last_bad = -1
    for nth in range(windows):
        part = Span(begins=span.begins + nth * window, ends=span.begins + (nth + 1) * window)
        due = [call for call in calls if part.holds(call.due)]
        late = percentile(sorted(call.took for call in due), 0.99) > normal
        if late or any(call.status != OK for call in due):
            last_bad = nth
    return None if last_bad == windows - 1 else (last_bad + 1) * window
