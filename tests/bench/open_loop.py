"""Arrivals at a fixed rate, from a quarter of the peak to five times of it, and what the service is then.

Latency is counted from the instant at which a call was due. The peak is that of a closed loop in the same
run, of the same shape. Goodput under overload is what is answered in time with success, a second.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.bench.loading import Loaded, Run, closed_loop, open_loop
from tests.bench.phases import Span, seconds_until_normal
from tests.bench.shapes import POSTGRES, SQLITE, SQLITE_NATIVE, running
from tests.bench.sizes import is_small, lasting, sized

STEPS: Final = (0.25, 0.5, 0.8, 1.0)
OVERLOADS: Final = (2.0, 5.0)
IN_FLIGHT: Final = 256
_CALM: Final = 0.5
"""Share of the peak at which it is watched before and after an overload."""
_NORMAL: Final = 2.0
"""Times of the p99 at that share that still counts as back to normal."""
_REFUSED_MS: Final = 50.0
_GOODPUT: Final = 0.8
_MOST_A_SECOND: Final = 6_000
"""Requests made for a second of a closed loop: more than any shape answers."""

Figures = dict[str, Any]


def open_loop_load() -> Figures:
    """`SubmitLead` at fixed arrival rates, the full product path, on SQLite and on PostgreSQL."""
    shapes = (SQLITE,) if is_small() else (SQLITE, SQLITE_NATIVE, POSTGRES)
    with running(shapes) as started:
        seen = {shape: measured(each.loaded) for shape, each in started.items()}
    return {"shapes": seen, "lines": _lines(seen), **judged(seen)}


def measured(loaded: Loaded) -> Figures:
    """Find the peak of one shape, then load it in steps, then beyond what it can do."""
    seconds = lasting(2.5, 0.3)
    if not is_small():
        closed_loop(loaded, in_flight=IN_FLIGHT, seconds=1.0, most=_MOST_A_SECOND)
    loaders = sized(2, 1)
    most = round(seconds * _MOST_A_SECOND)
    [peak] = closed_loop(loaded, in_flight=IN_FLIGHT, seconds=seconds, most=most, loaders=loaders).figures
    rate = max(1.0, peak["goodput_per_second"])
    pause = (0.0, lasting(0.4, 0.05))
    steps = open_loop(
        loaded,
        [part for step in STEPS for part in ((step * rate, lasting(2.0, 0.1)), pause)],
        loaders=loaders,
    )
    over = overload(rate)
    return {
        "peak": peak,
        "steps": dict(zip(map(str, STEPS), steps.figures[::2], strict=True)),
        "overload": _overload(open_loop(loaded, over, loaders=loaders)),
    }


def overload(rate: float) -> list[tuple[float, float]]:
    """Return the phases of an overload: calm, then each too much with calm behind it."""
    calm, much = (_CALM * rate, lasting(2.5, 0.25)), lasting(2.5, 0.1)
    return [calm, *(part for times in OVERLOADS for part in ((times * rate, much), calm))]


def _overload(run: Run) -> Figures:
    normal = _NORMAL * run.figures[0]["p99_ms"] / 1000
    found = {}
    for nth, times in enumerate(OVERLOADS):
        figures, after = run.figures[1 + 2 * nth], run.spans[2 + 2 * nth]
        found[f"{times:g}"] = {**figures, "back_to_normal_seconds": _back(run, after, normal)}
    return {"calm": run.figures[0], **found}


def _back(run: Run, after: Span, normal: float) -> float | None:
    return seconds_until_normal(run.calls, after, normal=normal)


def judged(seen: Mapping[str, Figures]) -> Figures:
    """Return the ratios that goals are set for, and the goals."""
    ratios: dict[str, float] = {}
    goals: dict[str, float] = {}
    for shape, of in seen.items():
        name, over = shape.replace(" ", "_"), of["overload"]
        peak = max(of["peak"]["goodput_per_second"], 1.0)
        ratios[f"{name}_goodput_at_2x_to_peak"] = over["2"]["goodput_per_second"] / peak
        goals[f"{name}_goodput_at_2x_to_peak"] = _GOODPUT
        for times in ("2", "5"):
            p99 = over[times]["refused_p99_ms"]
            if p99 > 0:
                ratios[f"{name}_50_ms_to_p99_of_refusals_at_{times}x"] = _REFUSED_MS / p99
                goals[f"{name}_50_ms_to_p99_of_refusals_at_{times}x"] = 1.0
        ratios[f"{name}_goodput_at_5x_to_peak"] = over["5"]["goodput_per_second"] / peak
    return {"ratios": ratios, "goals": goals}


def _lines(seen: Mapping[str, Figures]) -> list[str]:
    lines = ["latency from the instant a call was due, in ms; processor time a call that ended, in µs"]
    for shape, of in seen.items():
        lines.append(f"{shape}: closed loop, {IN_FLIGHT} in flight: {_line(of['peak'])}")
        lines += [f"  {float(step):>4.0%}  {_line(figures)}" for step, figures in of["steps"].items()]
        for times in map("{:g}".format, OVERLOADS):
            lines += _overload_lines(times, of["overload"][times])
    return lines


def _line(of: Figures) -> str:
    return (
        f"{of['arrivals_per_second']:>7,.0f}/s in, {of['goodput_per_second']:>6,.0f}/s kept,"
        f" p50 {of['p50_ms']:.1f}, p99 {of['p99_ms']:.1f}, p99.9 {of['p999_ms']:.1f};{_spent(of)}"
    )


def _overload_lines(times: str, of: Figures) -> Sequence[str]:
    back = of["back_to_normal_seconds"]
    said = "not back to normal while watched" if back is None else f"back to normal after {back:.2f} s"
    by_status = _by(of["failed_by_status"])
    failed = f"p99 of refusals {of['refused_p99_ms']:.1f} ms, failed otherwise {of['failed']}{by_status}"
    return (
        f"  {times:>3}x  {_line(of)}",
        f"        refused {of['refused_share']:.0%}, {failed}, {said}",
    )


def _by(statuses: Mapping[str, int]) -> str:
    """Say with which status of gRPC; -1 is no answer at all within eight seconds."""
    return (
        f" (by status {', '.join(f'{status}: {many}' for status, many in statuses.items())})"
        if statuses
        else ""
    )


def _spent(of: Figures) -> str:
    spent = [
        f" {name} {of[f'{name}_cpu_us']:.0f} µs" for name in ("server", "database") if f"{name}_cpu_us" in of
    ]
    return f"{','.join(spent)}, loader {of['loader_cpu_us']:.0f} µs; {of['server_mib']:.0f} MiB"
