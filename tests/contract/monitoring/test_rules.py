"""Every alert rule fires on what it is for, and on nothing else, by Prometheus' own test tool."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.monitoring.promtool import RULES, firing_counts_hold
from tests.contract.monitoring.rule_cases import CASES

DOCS = Path(__file__).parents[3] / "docs"
SEVERITIES = {"page", "ticket", "sales", "none"}
OF_PROMETHEUS = {"up", "scrape_samples_scraped", "ALERTS"}


def rules() -> list[dict[str, Any]]:
    files = (yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.rules.yml")))
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]


def metrics_in(expression: str) -> set[str]:
    """Return the names of metrics in a query: ours, and those with the customary names."""
    return set(
        re.findall(
            r"\b(?:smarketing_|grpc_server_)\w+(?![\w:])(?<!:)", re.sub(r"\w+:\S+?:\w+", "", expression)
        )
    )


def catalogued() -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE))


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_only_then(alert: str, tmp_path: Path) -> None:
    assert firing_counts_hold(alert, CASES[alert], tmp_path) == ""


def test_every_alert_has_its_cases() -> None:
    assert {rule["alert"] for rule in ALERTS} == set(CASES)


def test_every_alert_says_how_grave_it_is_whose_and_what_to_do() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in SEVERITIES, rule["alert"]
        assert rule["labels"]["audience"], rule["alert"]
        assert rule["annotations"].keys() == {"summary", "runbook_url", "dashboard_url"}, rule["alert"]


def test_the_runbook_has_an_entry_for_every_alert_and_no_other() -> None:
    headings = re.findall(r"^## (\w+)$", (DOCS / "runbook.md").read_text(), re.MULTILINE)

    assert headings == sorted({rule["alert"] for rule in ALERTS})
    for rule in ALERTS:
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_every_entry_says_what_it_means_what_to_look_at_and_what_to_do() -> None:
    entries = re.split(r"^## \w+$", (DOCS / "runbook.md").read_text(), flags=re.MULTILINE)[1:]
    for entry in entries:
        words = [line.partition(":")[0] for line in entry.strip().splitlines()]
        assert words == ["- **Means**", "- **Look**", "- **Do**"], entry


def test_rules_ask_only_for_metrics_of_the_catalogue() -> None:
    known = catalogued()
    for rule in rules():
        for name in metrics_in(rule["expr"]):
            assert re.sub(r"_(bucket|count|sum)$", "", name) in known, (rule.get("alert"), name)


def test_no_rule_adds_up_what_every_replica_shows_alike() -> None:
    gauges = set(
        re.findall(
            r"^\| `(smarketing_\w+)` \| \w+ \| [^|]+\| [^|]+\| [^|]+\| database",
            (DOCS / "metrics.md").read_text(),
            re.MULTILINE,
        )
    )
    for rule in rules():
        for name in gauges & metrics_in(rule["expr"]):
            assert not re.search(rf"sum[^()]*\(\s*{name}", rule["expr"]), rule
