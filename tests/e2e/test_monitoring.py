"""Real Prometheus and Alertmanager beside the running services: a missed follow-up rings at sales."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client import CallError, LeadsClient
from tests.builders.processes import Installation, until, waited_for
from tests.builders.webhooks import Receiver
from tests.e2e.company import Company, settled_in

pytestmark = [
    pytest.mark.timeout(170),
    pytest.mark.needs("prometheus", "promtool", "prometheus-alertmanager", "amtool"),
]

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
DASHBOARDS: Final = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
TENANT: Final = "watched"
EMPTY: Final = "Empty by design: "
OVERDUE: Final = 5
"""Leads that are accepted and forgotten: of so few a team is told that a fifth is overdue."""


@dataclass(frozen=True)
class Watch:
    """A Prometheus and an Alertmanager that run, and who is told."""

    prometheus: str
    receiver: Receiver

    async def values(self, query: str) -> list[Any]:
        """Return the series that a query has now."""
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"{self.prometheus}/api/v1/query", params={"query": query})
        assert answer.status_code == 200, answer.text
        found: list[Any] = answer.json()["data"]["result"]
        return found

    async def told(self, path: str, alert: str) -> list[dict[str, Any]]:
        """Return what was told of an alert at one door."""
        messages = [json.loads(each.body) for each in self.receiver.received if each.path == path]
        return [
            one for message in messages for one in message["alerts"] if one["labels"]["alertname"] == alert
        ]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _in_a_hurry(text: str, *, instead_of: int) -> str:
    """Return rules that wait for nothing: what they ask stays as it is, how long it must last does not."""
    return re.sub(rf"> {instead_of}\b", "> 1", re.sub(r"for: \d+\w", "for: 0s", text))


def _prometheus_config(installation: Installation, rules: Path, alertmanager: int) -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    document["rule_files"] = [f"{rules}/*.rules.yml"]
    document["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
    for job in document["scrape_configs"]:
        job["static_configs"][0]["targets"] = [installation.addresses[job["job_name"]]["http"]]
    # A service that is listed and does not run: the fault by which TargetDown is seen to fire.
    gone = {"job_name": "gone", "static_configs": [{"targets": ["127.0.0.1:9"]}]}
    document["scrape_configs"].append(gone)
    return document


def _alertmanager_config(receiver: int) -> dict[str, Any]:
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    document = yaml.safe_load(text.replace("127.0.0.1:9095", f"127.0.0.1:{receiver}"))
    document["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    # It may be Sunday.
    document["time_intervals"][0]["time_intervals"] = [{"weekdays": ["sunday:saturday"]}]
    return document


@contextmanager
def _running(command: list[str], log: Path, ready: str) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        waited_for(lambda: _answers(ready), seconds=20, why=lambda: log.read_text()[-2000:])
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def _watching(installation: Installation, rules: str, receiver: Receiver, folder: Path) -> Iterator[Watch]:
    prometheus, alertmanager = _free_ports(2)
    own = folder / "rules"
    own.mkdir()
    shipped = (DEPLOY / "prometheus" / "rules" / "smarketing.rules.yml").read_text()
    # A quarter of an hour since the promise was missed; twice its hour since the offer was made.
    (own / "smarketing.rules.yml").write_text(_in_a_hurry(shipped, instead_of=900))
    (own / "agreement.rules.yml").write_text(_in_a_hurry(rules, instead_of=7_200))
    documents = {
        "prometheus": _prometheus_config(installation, own, alertmanager),
        "alertmanager": _alertmanager_config(receiver.port),
    }
    for name, document in documents.items():
        (folder / f"{name}.yml").write_text(yaml.safe_dump(document))
    checks = (["promtool", "check", "config"], ["amtool", "check-config"])
    for check, name in zip(checks, documents, strict=True):
        subprocess.run([*check, folder / f"{name}.yml"], check=True, capture_output=True)
    addresses = {
        name: f"127.0.0.1:{port}" for name, port in zip(documents, (prometheus, alertmanager), strict=True)
    }
    commands = {
        "alertmanager": ["prometheus-alertmanager", "--cluster.listen-address="],
        # What fires before the two have found one another is not sent again for a minute, unless told so.
        "prometheus": ["prometheus", "--rules.alert.resend-delay=1s"],
    }
    with ExitStack() as stack:
        for name, program in commands.items():
            paths = [
                f"--config.file={folder / name}.yml",
                f"--storage.{'tsdb.' * (name == 'prometheus')}path={folder / name}",
            ]
            listen = f"--web.listen-address={addresses[name]}"
            ready = f"http://{addresses[name]}/-/ready"
            stack.enter_context(_running([*program, *paths, listen], folder / f"{name}.log", ready))
        yield Watch(f"http://{addresses['prometheus']}", receiver)


async def _forgotten(company: Company) -> None:
    """Leave accepted leads without follow-up, an offer without answer, and a request id with two meanings."""
    async with LeadsClient(company.of("website")) as website, LeadsClient(company.of("rosa")) as rosa:
        for number in range(OVERDUE + 1):
            submitted = await website.submit_lead(_submission(company, number))
            if number < OVERDUE:
                offer = submitted.handoff.offer
                await rosa.accept_offer(
                    leadspb.AcceptOfferRequest(name=offer.name, fencing_token=offer.fencing_token)
                )
        reused = str(wallclock.new_uuid())
        for number in range(10, 20):
            request = _submission(company, number)
            request.request_id = reused
            with pytest.raises(CallError) if number > 10 else nullcontext():
                await website.submit_lead(request)


def _submission(company: Company, number: int) -> leadspb.SubmitLeadRequest:
    submission = leadspb.Submission(
        source_system="website",
        external_id=f"watched-{number}",
        contact=leadspb.Contact(email=f"{number}@example.org"),
        qualification=leadspb.Qualification(source="newsletter", segment="hasty"),
    )
    return leadspb.SubmitLeadRequest(parent=company.name, submission=submission)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watching")


async def test_a_missed_follow_up_becomes_a_firing_alert_and_a_received_notification(
    installation: Installation, folder: Path
) -> None:
    company = await settled_in(installation, TENANT, folder)
    ran = await installation.smarketing("sla", "rules", token=company.tokens["mara"], tenant=TENANT)
    assert ran.status == 0, ran.err
    async with Receiver() as receiver:
        with _watching(installation, ran.out, receiver, folder) as watch:
            # A counter's first value says nothing: Prometheus must have seen it at 0.
            await until(lambda: watch.values('up{job="leads"} == 1'), bool)
            await _forgotten(company)
            await _everybody_is_told(watch)
            await _every_panel_has_what_it_asks_for(watch)


async def _everybody_is_told(watch: Watch) -> None:
    # Where each is to arrive. Of a team's two alerts on overdue leads the graver one holds the other back.
    doors: Mapping[str, str] = {
        "LeadFollowUpBacklog": "/sales-escalation",
        "LeadOffersIgnored": "/sales",
        "TargetDown": "/operators-page",
        "KeyReuse": "/operators",
        "Watchdog": "/watchdog",
    }

    async def missing() -> set[str]:
        return {alert for alert, door in doors.items() if not await watch.told(door, alert)}

    await until(missing, lambda found: not found, seconds=60)
    firing = {each["metric"]["alertname"] for each in await watch.values('ALERTS{alertstate="firing"}')}
    assert {"LeadFollowUpsOverdue", *doors} <= firing
    (overdue,) = await watch.values(f'ALERTS{{alertname="LeadFollowUpsOverdue", tenant="{TENANT}"}}')
    assert overdue["metric"]["team"] == "sales"
    (backlog, *_) = await watch.told("/sales-escalation", "LeadFollowUpBacklog")
    assert backlog["labels"]["team"] == "sales"
    assert backlog["annotations"]["runbook_url"] == "docs/runbook.md#leadfollowupbacklog"
    # No name, no address, no lead: a notification is of a team.
    said = " ".join(each.body.decode() for each in watch.receiver.received)
    for word in ("rosa", "example.org", "/leads/"):
        assert word not in said, word


async def _every_panel_has_what_it_asks_for(watch: Watch) -> None:
    for dashboard in DASHBOARDS:
        for panel in json.loads(dashboard.read_text())["panels"]:
            for target in panel["targets"]:
                found = await watch.values(target["expr"].replace("$tenant", TENANT))
                assert found or EMPTY in panel["description"], (
                    dashboard.stem,
                    panel["title"],
                    target["expr"],
                )
