"""docs/metrics.md and what the three services say of themselves are the same."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.metrics.installation import CANARIES, SHOWN, Pages, Seen, is_caught_up, looked_at

pytestmark = pytest.mark.timeout(180)

CATALOGUE = Path(__file__).parents[3] / "docs" / "metrics.md"
MOST_SERIES = 2_000
UNEVENTFUL = {
    "smarketing_leads_oldest_unrouted_timestamp_seconds",
    "smarketing_sla_breaches_retracted_total",
    "smarketing_sla_exceptions_total",
    "smarketing_sla_oldest_overdue_timer_timestamp_seconds",
}
"""What an installation in health has no value for."""
LATER = {"smarketing_sla_budget_remaining_ratio"}
"""What has a value once the minute is over in which the first clock was settled: nobody waits for it here."""


@dataclass(frozen=True)
class Line:
    """A metric of the catalogue."""

    name: str
    kind: str
    labels: frozenset[str]
    services: frozenset[str]
    source: str


def _words(cell: str) -> frozenset[str]:
    return frozenset() if cell == "–" else frozenset(cell.split(", "))


def catalogue() -> dict[str, Line]:
    found: dict[str, Line] = {}
    for text in CATALOGUE.read_text(encoding="utf-8").splitlines():
        if not text.startswith("| `"):
            continue
        name, kind, labels, unit, services, source, says = (
            cell.strip() for cell in text.strip("|").split("|")
        )
        assert unit, name
        assert says.endswith("."), name
        line = Line(name.strip("`"), kind, _words(labels), _words(services), source)
        assert line.name not in found, f"{line.name} is there twice"
        found[line.name] = line
    return found


LINES = catalogue()


def _is_complete(pages: Pages) -> bool:
    shown = all(
        pages[service].has_values(line.name)
        for line in LINES.values()
        for service in line.services & pages.keys()
        if line.name not in UNEVENTFUL | LATER
    )
    settled = pages["sla"].value("smarketing_sla_clocks_settled_total", outcome="breached")
    return shown and settled is not None and is_caught_up(pages)


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return looked_at(tmp_path_factory.mktemp("metrics"), is_complete=_is_complete)


def test_every_service_shows_what_the_catalogue_says_of_it_and_nothing_else(seen: Seen) -> None:
    for service, page in seen.pages:
        documented = {line.name: line.kind for line in LINES.values() if service in line.services}
        assert {name: family.type for name, family in page.families.items()} == documented, service


def test_every_series_has_the_labels_of_the_catalogue(seen: Seen) -> None:
    for _, page in seen.pages:
        for name, family in page.families.items():
            for sample in family.samples:
                assert sample.labels.keys() - {"le"} == LINES[name].labels, sample


def test_names_say_whose_they_are() -> None:
    owners = ("leads", "sla", "reports", "server", "db", "eventlog", "webhook", "build")
    for name in LINES:
        assert name.startswith(("grpc_server_", *(f"smarketing_{owner}_" for owner in owners))), name


def test_all_the_work_of_a_day_has_values(seen: Seen) -> None:
    for line in LINES.values():
        if line.name in LATER:
            continue
        for service in line.services:
            assert seen.worked[service].has_values(line.name) is (line.name not in UNEVENTFUL), line


def test_only_the_tenants_that_the_configuration_names_have_series(seen: Seen) -> None:
    tenants = {
        sample.labels["tenant"]
        for _, page in seen.pages
        for family in page.families.values()
        for sample in family.samples
        if "tenant" in sample.labels
    }
    assert tenants == {SHOWN}
    assert seen.worked["leads"].value("smarketing_leads_handoffs", state="offered") == 1


def test_no_label_holds_what_belongs_to_a_person(seen: Seen) -> None:
    for service, page in seen.pages:
        for canary in CANARIES:
            assert canary.lower() not in page.text.lower(), (service, canary)


def test_a_process_stays_far_below_the_limit_of_series(seen: Seen) -> None:
    for service, page in seen.pages:
        assert page.series_count < MOST_SERIES, service


def test_counters_are_there_at_zero_before_anything_happened(seen: Seen) -> None:
    for line in LINES.values():
        if line.kind == "gauge" or "commitment" in line.labels:
            continue
        for service in line.services:
            assert seen.fresh[service].has_values(line.name), (service, line.name)
    webhooks = dict(seen.fresh["sla"].values("smarketing_webhook_attempts_total"))
    assert set(webhooks.values()) == {0}


def test_counters_of_the_database_do_not_fall_at_a_restart(seen: Seen) -> None:
    counted = 0
    for line in LINES.values():
        if (line.kind, line.source) != ("counter", "database"):
            continue
        for service in line.services:
            after = dict(seen.restarted[service].values(line.name))
            for labels, before in seen.worked[service].values(line.name):
                assert after[labels] >= before, (line.name, labels)
                counted += before > 0
    assert counted >= 8


def test_a_consumer_with_nothing_to_do_stands_at_the_head_of_its_log(seen: Seen) -> None:
    assert is_caught_up(seen.worked)
    for service, log in (("leads", "sla"), ("sla", "leads"), ("reports", "leads"), ("reports", "sla")):
        page = seen.worked[service]
        assert page.value("smarketing_eventlog_consumer_position", log=log), (service, log)
        assert page.value("smarketing_eventlog_consumer_progress_timestamp_seconds", log=log), (service, log)


def test_webhooks_are_counted_by_how_they_went_and_what_waits_is_shown_with_its_age(seen: Seen) -> None:
    page = seen.worked["sla"]
    told = page.value("smarketing_webhook_attempts_total", outcome="ok")
    failed = page.value("smarketing_webhook_attempts_total", outcome="refused")
    assert told
    assert failed
    # One endpoint answers and one does not listen: what it was to be told waits in each tenant.
    assert page.value("smarketing_webhook_pending") == told
    assert page.value("smarketing_webhook_dead_letters") == 0
    oldest = page.value("smarketing_webhook_oldest_pending_timestamp_seconds")
    looked = page.value("smarketing_server_task_last_success_timestamp_seconds", task="gauges")
    assert oldest is not None
    assert looked is not None
    assert looked - 60 < oldest < looked
