"""The figures of docs/performance.md draw what was measured, and nothing that was not."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from scripts import plots

SVG = "{http://www.w3.org/2000/svg}"


def a_step(p99_ms: float = 20.0, **figures: Any) -> dict[str, Any]:
    return {
        "p50_ms": p99_ms / 4,
        "p99_ms": p99_ms,
        "p999_ms": p99_ms * 2,
        "goodput_per_second": 100.0,
        **figures,
    }


def a_bench(**shapes: Any) -> dict[str, Any]:
    return {"open-loop": {"time": "2026-11-22T17:00:00+00:00", "load_before": 0.4, "shapes": shapes}}


def a_shape(**overload: Any) -> dict[str, Any]:
    steps = {step: a_step(10.0 * (nth + 1)) for nth, step in enumerate(plots.STEPS)}
    return {"peak": a_step(), "steps": steps, "overload": overload}


def drawn(svg: str | None) -> ET.Element:
    assert svg is not None
    return ET.fromstring(svg)


def texts(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def test_each_shape_has_a_curve_for_each_percentile_that_rises_as_latency_does() -> None:
    root = drawn(plots.latency(a_bench(sqlite=a_shape(), postgresql=a_shape())))

    curves = [each for each in root.iter(f"{SVG}path") if each.get("class", "").startswith("line")]
    heights = [
        [float(point.split()[1]) for point in each.get("d", "").removeprefix("M").split("L")]
        for each in curves
    ]
    assert len(curves) == 6
    for each in heights:
        # Downwards is more in SVG.
        assert each == sorted(each, reverse=True)
        assert len(set(each)) == 4
    assert {"sqlite, peak 100/s", "postgresql, peak 100/s"} <= set(texts(root))


def test_bars_are_as_long_as_what_was_kept_and_say_what_was_refused() -> None:
    over = {
        "2": a_step(goodput_per_second=50.0, refused_share=0.25, refused_p99_ms=12.0, failed=0),
        "5": a_step(goodput_per_second=25.0, refused_share=0.0, failed=3),
    }
    root = drawn(plots.overload(a_bench(sqlite=a_shape(**over))))

    bars = [each for each in root.iter(f"{SVG}rect") if each.get("class") == "stage-2 bar"]
    assert [float(bar.get("width", "0")) for bar in bars] == [plots.BAR, plots.BAR / 2, plots.BAR / 4]
    said = " ".join(texts(root))
    assert "refused 25% (p99 12 ms)" in said
    assert "3 failed" in said


def test_a_part_that_was_not_measured_is_said_to_be_missing() -> None:
    root = drawn(plots.overload(a_bench(sqlite=a_shape(**{"2": a_step()}))))

    assert texts(root).count("not measured") == 1


def test_replicas_are_drawn_beside_one_another_with_how_long_somebody_wrote() -> None:
    one, two = (
        {"goodput_per_second": rate, "held_share": share} for rate, share in ((200.0, 0.5), (300.0, 0.9))
    )
    root = drawn(plots.replicas({"replicas": {"in_flight": {"64": {"1": one, "2": two}}}}))

    bars = [each for each in root.iter(f"{SVG}rect") if each.get("class") == "stage-2 bar"]
    assert [float(bar.get("width", "0")) for bar in bars] == [plots.BAR * 2 / 3, plots.BAR]
    assert any("300/s · turn held 90%" in text for text in texts(root))


def test_every_figure_says_when_it_was_measured_and_how_busy_the_machine_was() -> None:
    root = drawn(plots.latency(a_bench(sqlite=a_shape())))

    assert "measured 2026-11-22, load of the machine before it 0.4" in texts(root)


def test_what_was_not_measured_draws_nothing_and_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "bench.json", tmp_path / "figures"
    source.write_text(json.dumps(a_bench(sqlite=a_shape())))

    assert plots.main(["--from", str(source), "--to", str(target)]) == 0

    assert [each.name for each in target.iterdir()] == ["latency-by-load.svg"]
    said = capsys.readouterr().out
    assert "goodput-under-overload: not measured" in said
    assert "replicas: not measured" in said
