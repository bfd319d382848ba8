"""Draws docs/figures/*.svg from build/bench.json: latency by load, goodput under overload, replicas.

    python scripts/plots.py [--from build/bench.json] [--to docs/figures]

What was not measured is not drawn, and said. Each figure carries when it was measured and how busy the
machine was before. The colours follow the reader's light or dark setting, as on the dashboard.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
WIDTH: Final = 760
BAR: Final = 240
STEPS: Final = ("0.25", "0.5", "0.8", "1.0")
LINES: Final = (("p50_ms", "p50", "stage-1"), ("p99_ms", "p99", "stage-2"), ("p999_ms", "p99.9", "stage-3"))
PARTS: Final = (("peak", "peak"), ("2", "2 × peak"), ("5", "5 × peak"))

Bench = Mapping[str, Any]

_STYLE: Final = """\
text { font: 13px "Inter", system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1c2328; }
.title { font-weight: 600; font-size: 15px; }
.quiet { fill: #56616a; font-size: 12px; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.ground { fill: #ffffff; } .track { fill: #efede7; } .grid { stroke: #e5e2db; fill: none; }
.line { fill: none; stroke-width: 2; }
.stage-1 { fill: #86b3c6; stroke: #86b3c6; } .stage-2 { fill: #35809f; stroke: #35809f; }
.stage-3 { fill: #0d4258; stroke: #0d4258; } .bar { stroke: none; } path.line { fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e9ecee; } .quiet { fill: #a7b1b7; }
  .ground { fill: #1b2124; } .track { fill: #262d31; } .grid { stroke: #2d3539; }
  .stage-1 { fill: #3f7488; stroke: #3f7488; } .stage-2 { fill: #62aecb; stroke: #62aecb; }
  .stage-3 { fill: #d3f0fb; stroke: #d3f0fb; } .bar { stroke: none; } path.line { fill: none; }
}"""


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle that a curve is drawn in, with a logarithmic height in milliseconds."""

    left: float
    width: float
    top: float
    height: float
    lowest: int
    highest: int
    """Powers of ten at the bottom and at the top."""

    def y(self, value: float) -> float:
        """Return where a value lies."""
        power = min(max(log10(max(value, 1e-3)), self.lowest), self.highest)
        return self.top + self.height * (self.highest - power) / (self.highest - self.lowest)

    def x(self, nth: int, of: int) -> float:
        """Return where the nth of several places lies."""
        return self.left + self.width * (nth + 0.5) / of


def latency(bench: Bench) -> str | None:
    """Return latency by load for each shape; None when it was not measured."""
    shapes = {name: of for name, of in _open_loop(bench).items() if of.get("steps")}
    if not shapes:
        return None
    values = [
        of["steps"][step][key]
        for of in shapes.values()
        for step in STEPS
        for key, *_ in LINES
        if step in of["steps"]
    ]
    seen = [value for value in values if value > 0] or [1.0]
    lowest = floor(log10(min(seen)))
    highest = max(ceil(log10(max(seen))), lowest + 1)
    width = (WIDTH - 60) / len(shapes)
    parts = [*_legend([(label, stage) for _, label, stage in LINES])]
    for nth, (shape, of) in enumerate(shapes.items()):
        panel = Panel(60 + nth * width, width - 24, 92, 190, lowest, highest)
        parts += _curves(panel, shape, of)
        if nth == 0:
            parts += [
                _text(52, panel.y(10.0**power) + 4, _milliseconds(10.0**power), "quiet end")
                for power in range(lowest, highest + 1)
            ]
    title = "Latency by arrival rate, from the instant a call was due"
    return _svg(title, _when(bench["open-loop"]), 330, parts)


def _curves(panel: Panel, shape: str, of: Mapping[str, Any]) -> Iterator[str]:
    peak = of.get("peak", {}).get("goodput_per_second")
    said = "" if peak is None else f", peak {peak:,.0f}/s"
    yield _text(panel.left, panel.top - 10, f"{shape}{said}", "")
    for power in range(panel.lowest, panel.highest + 1):
        y = panel.y(10.0**power)
        yield f'<path class="grid" d="M{panel.left:.1f} {y:.1f} h{panel.width:.1f}"/>'
    for key, _, stage in LINES:
        points = [
            (panel.x(nth, len(STEPS)), panel.y(of["steps"][step][key]))
            for nth, step in enumerate(STEPS)
            if of["steps"].get(step, {}).get(key, 0) > 0
        ]
        if points:
            path = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            yield f'<path class="line {stage}" d="M{path}"/>'
        yield from (f'<circle class="{stage}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    for nth, step in enumerate(STEPS):
        yield _text(
            panel.x(nth, len(STEPS)), panel.top + panel.height + 18, f"{float(step):.0%}", "quiet middle"
        )


def overload(bench: Bench) -> str | None:
    """Return what is answered at the peak, and at more than that; None when it was not measured."""
    shapes = {name: of for name, of in _open_loop(bench).items() if of.get("peak") and of.get("overload")}
    if not shapes:
        return None
    parts: list[str] = []
    top = 66.0
    for shape, of in shapes.items():
        bars = {"peak": of["peak"], **of["overload"]}
        largest = max(bars[key]["goodput_per_second"] for key, _ in PARTS if key in bars) or 1.0
        parts.append(_text(20, top, shape, ""))
        for key, label in PARTS:
            top += 26
            parts += _goodput(top, label, bars.get(key), largest)
        top += 36
    title = "Goodput under overload: calls answered a second, of those that arrive"
    return _svg(title, _when(bench["open-loop"]), top + 8, parts)


def _goodput(top: float, label: str, of: Mapping[str, Any] | None, largest: float) -> Iterator[str]:
    yield _text(20, top, label, "quiet")
    if of is None:
        yield _text(100, top, "not measured", "quiet")
        return
    goodput = of["goodput_per_second"]
    yield f'<rect class="track bar" x="100" y="{top - 11:.1f}" width="{BAR}" height="14" rx="3"/>'
    width = BAR * goodput / largest
    yield f'<rect class="stage-2 bar" x="100" y="{top - 11:.1f}" width="{width:.1f}" height="14" rx="3"/>'
    said = f"{goodput:,.0f}/s"
    if of.get("refused_share"):
        said += f" · refused {of['refused_share']:.0%} (p99 {_milliseconds(of['refused_p99_ms'])})"
    if of.get("failed"):
        said += f" · {of['failed']:,} failed"
    yield _text(350, top, said, "quiet")


def replicas(bench: Bench) -> str | None:
    """Return the throughput of one and two replicas on PostgreSQL; None when it was not measured."""
    seen = bench.get("replicas", {}).get("in_flight", {})
    rows = [(in_flight, count, of) for in_flight, by in seen.items() for count, of in by.items()]
    if not rows:
        return None
    largest = max(of["goodput_per_second"] for *_, of in rows) or 1.0
    parts: list[str] = []
    for nth, (in_flight, count, of) in enumerate(rows):
        top = 70.0 + 28 * nth
        parts.append(_text(20, top, f"{count} replica{'s' * (count != '1')}, {in_flight} in flight", "quiet"))
        width = BAR * of["goodput_per_second"] / largest
        parts.append(f'<rect class="track bar" x="190" y="{top - 11:.1f}" width="{BAR}" height="14" rx="3"/>')
        parts.append(
            f'<rect class="stage-2 bar" x="190" y="{top - 11:.1f}" width="{width:.1f}" height="14" rx="3"/>'
        )
        said = f"{of['goodput_per_second']:,.0f}/s · turn held {of['held_share']:.0%} of the time"
        parts.append(_text(440, top, said, "quiet"))
    title = "Replicas of leads on one PostgreSQL: submits a second"
    return _svg(title, _when(bench["replicas"]), 70 + 28 * len(rows), parts)


FIGURES: Final[Mapping[str, Callable[[Bench], str | None]]] = {
    "latency-by-load": latency,
    "goodput-under-overload": overload,
    "replicas": replicas,
}


def _open_loop(bench: Bench) -> Mapping[str, Any]:
    shapes: Mapping[str, Any] = bench.get("open-loop", {}).get("shapes", {})
    return shapes


def _when(of: Mapping[str, Any]) -> str:
    day = str(of.get("time", ""))[:10] or "at an unknown time"
    load = of.get("load_before")
    return f"measured {day}" + ("" if load is None else f", load of the machine before it {load:.1f}")


def _milliseconds(value: float) -> str:
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"


def _legend(entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    for nth, (label, stage) in enumerate(entries):
        x = WIDTH - 60 * (len(entries) - nth)
        yield f'<circle class="{stage}" cx="{x}" cy="48" r="4"/>'
        yield _text(x + 9, 52, label, "quiet")


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(title: str, when: str, height: float, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            f'<rect class="ground" width="{WIDTH}" height="{height:.0f}" rx="14"/>',
            _text(20, 28, title, "title"),
            _text(20, 46, when, "quiet"),
            *parts,
            "</svg>\n",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write every figure that was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--from", dest="source", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "figures")
    given = parser.parse_args(arguments)
    bench: Bench = json.loads(given.source.read_text(encoding="utf-8")) if given.source.exists() else {}
    given.to.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        drawn = draw(bench)
        if drawn is None:
            print(f"{name}: not measured, so not drawn")
            continue
        (given.to / f"{name}.svg").write_text(drawn, encoding="utf-8")
        print(f"{name}: drawn")
    return 0


if __name__ == "__main__":
    sys.exit(main())
