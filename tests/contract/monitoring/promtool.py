"""Alert rules on made-up series, by Prometheus' own test tool."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["RULES", "Case", "a_series", "firing_counts_hold"]

RULES: Final = Path(__file__).parents[3] / "deploy" / "prometheus" / "rules"
_REPLICAS: Final = ("a", "b", "c")

Series = Mapping[str, str]
"""Selector → values in promtool's notation."""


def a_series(name: str, *, job: str, **labels: str) -> str:
    """Return the selector of a series as Prometheus keeps it."""
    held = {**labels, "job": job, "instance": "a"}
    conditions = ",".join(f'{key}="{value}"' for key, value in held.items())
    return f"{name}{{{conditions}}}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """An alert, and series on which it does and does not fire.

    `restart`: what a restart of its service leaves, and how many alerts fire then. `without`: how many fire
    when there are no series at all. `more`: further series, each with how many fire.
    """

    fires: Series
    silent: Series
    restart: tuple[Series, int]
    firing: int = 1
    without: int = 0
    more: Sequence[tuple[Series, int]] = ()
    step: str = "1m"
    looked: str = ""
    """How often rules are looked at, where that is not at every step."""
    at: str = "30m"
    replicas_are_equal: bool = True
    """Whether every replica of a service shows the same values, so that three fire no more than one does."""
    always: bool = False
    """Whether it is never silent."""

    def tried(self) -> list[tuple[str, Series, int]]:
        """Return what is tried, and how many alerts fire."""
        found = [
            ("fires", self.fires, self.firing),
            ("stays silent", self.silent, int(self.always)),
            ("has no data", {a_series("unrelated", job="none"): "0x40"}, self.without),
            ("after a restart", *self.restart),
        ]
        if self.replicas_are_equal:
            found.append(("three replicas", _replicated(self.fires), self.firing))
        found += [(f"more {number}", series, count) for number, (series, count) in enumerate(self.more)]
        return found


def firing_counts_hold(alert: str, case: Case, folder: Path) -> str:
    """Run promtool on everything that is tried; returns its complaints, empty when all holds."""
    rules = folder / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": _groups_of(alert)}))
    document = {
        "rule_files": [str(rules)],
        "evaluation_interval": case.looked or case.step,
        "tests": [
            {
                "name": f"{alert} {what}",
                "interval": case.step,
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                        "eval_time": case.at,
                        "exp_samples": [{"labels": "{}", "value": firing}],
                    }
                ],
            }
            for what, series, firing in case.tried()
        ],
    }
    path = folder / f"{alert}.test.yml"
    path.write_text(yaml.safe_dump(document))
    ran = subprocess.run(
        ["promtool", "test", "rules", path], capture_output=True, text=True, check=False, timeout=60
    )
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def _groups_of(alert: str) -> list[dict[str, Any]]:
    """Return the groups with the alert, and in them only what it needs."""
    found = []
    for group in _groups():
        alerts = [rule for rule in group["rules"] if rule.get("alert") == alert]
        asked = " ".join(rule["expr"] for rule in alerts)
        needed = [rule for rule in group["rules"] if "record" in rule and rule["record"] in asked]
        if alerts:
            found.append({"name": group["name"], "rules": [*needed, *alerts]})
    return found


@cache
def _groups() -> list[dict[str, Any]]:
    """Return the groups of all files, which each alert is looked up in."""
    files = (yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.rules.yml")))
    return [group for file in files for group in file["groups"]]


def _replicated(series: Series) -> dict[str, str]:
    return {
        name.replace('instance="a"', f'instance="{replica}"'): values
        for name, values in series.items()
        for replica in _REPLICAS
    }
