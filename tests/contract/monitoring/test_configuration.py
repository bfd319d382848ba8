"""What is shipped for Alertmanager and Grafana is well-formed, complete and made by what makes it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from scripts.gendashboards import EMPTY, made
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.agreement_kind import agreement_of
from smarketing.cli.alerting import BurnUnreachable, Promised, promised_by, rules_text
from smarketing.mapping.yamltext import documents_of
from tests.contract.monitoring.test_rules import ALERTS, catalogued, metrics_in, rules

DEPLOY: Final = Path(__file__).parents[3] / "deploy"
ALERTMANAGER: Final = DEPLOY / "alertmanager" / "alertmanager.yml"
DASHBOARDS: Final = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
SCHEMA: Final = 41
"""Of Grafana 11.6."""
HEARD_BY: Final = {
    ("sales", ""): "sales",
    ("sales", "yes"): "sales-escalation,sales",
    ("sales-ops", ""): "sales-operations",
    ("watchdog", ""): "watchdog",
    ("operators", "page"): "operators-page",
    ("operators", "ticket"): "operators",
}


def panels() -> list[tuple[str, dict[str, Any]]]:
    return [(path.stem, panel) for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]


@pytest.mark.needs("promtool")
def test_prometheus_takes_the_configuration() -> None:
    checked = subprocess.run(
        ["promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.needs("amtool")
def test_every_alert_comes_to_whom_it_is_for() -> None:
    for audience, severity, escalate in {
        (rule["labels"]["audience"], rule["labels"]["severity"], rule["labels"].get("escalate", ""))
        for rule in ALERTS
    }:
        labels = [
            f"audience={audience}",
            f"severity={severity}",
            *([f"escalate={escalate}"] if escalate else []),
        ]
        command = ["amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        key = (audience, severity if audience == "operators" else escalate)
        assert found.stdout.strip() == HEARD_BY[key], labels


def test_inhibitions_name_alerts_that_there_are() -> None:
    named = set()
    for rule in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            if matcher.startswith("alertname"):
                named |= set(re.findall(r"[A-Z]\w+", matcher))

    assert named <= {rule["alert"] for rule in ALERTS}


def test_dashboards_are_what_their_program_makes() -> None:
    assert {path: path.read_text() for path in DASHBOARDS} == made()


def test_dashboards_have_the_schema_that_is_stated() -> None:
    for path in DASHBOARDS:
        assert json.loads(path.read_text())["schemaVersion"] == SCHEMA, path


def test_panels_ask_only_for_metrics_and_records_that_there_are() -> None:
    records = {rule["record"] for rule in rules() if "record" in rule}
    for dashboard, panel in panels():
        for target in panel["targets"]:
            for name in metrics_in(target["expr"]):
                assert re.sub(r"_(bucket|count|sum)$", "", name) in catalogued(), (dashboard, name)
            for name in re.findall(r"\w+:\w+:\w+", target["expr"]):
                assert name in records, (dashboard, name)


def test_a_panel_that_may_be_empty_says_why() -> None:
    for dashboard, panel in panels():
        said = panel["description"].partition(EMPTY)
        assert said[0], (dashboard, panel["title"])
        assert not said[1] or said[2].endswith("."), (dashboard, panel["title"])


def test_every_dashboard_that_an_alert_names_is_there() -> None:
    there = {f"/d/{json.loads(path.read_text())['uid']}" for path in DASHBOARDS}
    assert {rule["annotations"]["dashboard_url"] for rule in ALERTS} <= there


def test_shipped_rules_of_the_agreement_are_those_of_the_shipped_agreement() -> None:
    faults: list[str] = []
    (document,) = documents_of(DEPLOY / "default" / "agreement.yaml", faults)
    agreement, version, _ = agreement_of(document, "default")
    assert isinstance(version, slapb.AgreementVersion)
    version.name = f"tenants/default/agreements/{agreement}/versions/1"

    text = rules_text(promised_by(version, "default"))

    assert faults == []
    assert (DEPLOY / "prometheus" / "rules" / "agreement.rules.yml").read_text() == text


def _promised(objective: int, share: int = 0) -> Promised:
    commitment = slapb.Commitment(
        commitment_id="accept",
        objective_basis_points=objective,
        error_budget=slapb.ErrorBudgetTerms(fast_share_basis_points=share),
    )
    return Promised(tenant="default", agreement="handover", commitment=commitment)


def test_the_threshold_follows_from_the_share_that_the_agreement_allows_within_the_fast_window() -> None:
    # A quarter of the budget of 160 hours within 8 hours is twenty times a quarter.
    assert _promised(9_900, share=2_500).threshold == 5
    assert ">= 5.0 and" in rules_text([_promised(9_900, share=2_500)])


def test_an_alert_that_can_never_fire_is_refused() -> None:
    # At 80 % no burn is above 5, and at 90 % none is above 10.
    with pytest.raises(BurnUnreachable, match=r"burn of 5\.00"):
        rules_text([_promised(8_000, share=2_500)])
    rules_text([_promised(9_000, share=2_500)])


def test_a_promise_without_room_for_misses_has_no_budget_to_burn() -> None:
    assert "alert" not in rules_text([_promised(10_000)])
