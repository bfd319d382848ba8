"""Years of history come in by command, and the figures are those that anybody can count in the files.

The data of others stands outside the repository: `SHARED_DATA` names its folder.
"""

import asyncio
import csv
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import pytest

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.client import LeadsClient, SlaClient
from tests.builders.processes import ROOT, Finished, Installation, until
from tests.e2e.company import Company, settled_in

EXAMPLES: Final = ROOT / "examples"
BRAZIL: Final = ZoneInfo("America/Sao_Paulo")


def shared(name: str) -> Path:
    """Return a file written by others; skips the test where they are not at hand."""
    folder = os.environ.get("SHARED_DATA", "")
    if not folder:
        pytest.skip("SHARED_DATA is not set: name the folder that holds olist_funnel and maven_crm")
    return Path(folder) / name


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass
class Importing:
    """One company's imports; the state files stand in a folder of the test."""

    company: Company
    folder: Path

    def arguments(self, noun: str, file: Path, mapping: Path) -> list[str | Path]:
        state = self.folder / f"{file.name}.{noun}.state"
        rejected = self.folder / f"{file.name}.{noun}.rejected.csv"
        return [noun, "import", file, "--map", mapping, "--state", state, "--rejected", rejected]

    def token(self, noun: str) -> str:
        return self.company.tokens["website" if noun == "leads" else "crm"]

    async def run(self, noun: str, file: Path, mapping: Path, *more: str) -> Finished:
        return await self.company.installation.smarketing(
            *self.arguments(noun, file, mapping),
            *more,
            "--format",
            "json",
            token=self.token(noun),
            tenant=self.company.tenant,
        )

    async def counts(self, noun: str, file: Path, mapping: Path, *more: str) -> dict[str, Any]:
        """Return what the command says became of the rows."""
        document: dict[str, Any] = (await self.run(noun, file, mapping, *more)).document
        return document

    async def funnel(self, *arguments: str) -> dict[str | None, dict[str, Any]]:
        """Return the rows of a funnel by their one group, once the figures are as new as the log."""
        head = await self.head()

        async def ask() -> Any:
            token = self.company.tokens["mara"]
            return await self.company.installation.json(
                "reports", "funnel", *arguments, token=token, tenant=self.company.tenant
            )

        found = await until(ask, lambda answer: _position(answer, "leads") >= head)
        return {row["group"][0].get("value"): row for row in found["rows"]}

    async def head(self) -> int:
        """Return how long the company's view of the log of leads is."""
        async with LeadsClient(self.company.operator) as leads:
            request = eventlogpb.ReadEventsRequest(parent=self.company.name, limit=1)
            return (await leads.events.read_events(request)).head_position

    async def listed(self, who: str, *arguments: str) -> Any:
        token = self.company.tokens[who]
        return await self.company.installation.json(*arguments, token=token, tenant=self.company.tenant)


def _position(answer: Any, service: str) -> int:
    positions = {each["service"]: each["position"] for each in answer["as_of"]["positions"]}
    return int(positions.get(service, 0))


def counted(rows: dict[str | None, dict[str, Any]]) -> dict[str | None, tuple[int, int]]:
    return {group: (row["submitted_count"], row["won_count"]) for group, row in rows.items()}


def amounts(rows: dict[str | None, dict[str, Any]]) -> dict[str | None, int]:
    return {group: row["won_amounts"][0]["minor_units"] for group, row in rows.items() if row["won_amounts"]}


@dataclass
class Olist:
    """The same figures, counted from the files alone."""

    leads: list[dict[str, str]]
    deals: list[dict[str, str]]
    by_id: dict[str, dict[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_id = {lead["mql_id"]: lead for lead in self.leads}

    @staticmethod
    def won_time(deal: dict[str, str]) -> datetime:
        return datetime.strptime(deal["won_date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)

    def by(self, group: Callable[[dict[str, str]], str | None]) -> dict[str | None, tuple[int, int]]:
        submitted = Counter(group(lead) for lead in self.leads)
        won = Counter(group(self.by_id[deal["mql_id"]]) for deal in self.deals)
        return {each: (submitted[each], won[each]) for each in submitted}

    def amounts_by(self, group: Callable[[dict[str, str]], str | None]) -> dict[str | None, int]:
        sums: defaultdict[str | None, int] = defaultdict(int)
        for deal in self.deals:
            sums[group(self.by_id[deal["mql_id"]])] += round(float(deal["declared_monthly_revenue"]) * 100)
        return {each: amount for each, amount in sums.items() if amount}

    def by_event_month(self) -> dict[str | None, tuple[int, int]]:
        submitted = Counter(month_of(lead) for lead in self.leads)
        won = Counter(f"{self.won_time(deal).astimezone(BRAZIL):%Y-%m}" for deal in self.deals)
        return {each: (submitted[each], won[each]) for each in submitted | won}

    def won_before_first_contact(self) -> list[str]:
        return [
            deal["mql_id"]
            for deal in self.deals
            if self.won_time(deal) < first_instant_of(self.by_id[deal["mql_id"]]["first_contact_date"])
        ]


def month_of(lead: dict[str, str]) -> str:
    return lead["first_contact_date"][:7]


def origin_of(lead: dict[str, str]) -> str | None:
    return lead["origin"] or None


def first_instant_of(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), BRAZIL).astimezone(UTC)


async def test_two_commands_give_the_funnel_of_eight_thousand_real_leads(
    installation: Installation, tmp_path: Path
) -> None:
    leads_file = shared("olist_funnel/olist_marketing_qualified_leads_dataset.csv")
    deals_file = shared("olist_funnel/olist_closed_deals_dataset.csv")
    olist = Olist(rows_of(leads_file), rows_of(deals_file))
    company = await settled_in(installation, "olist", tmp_path, zone="America/Sao_Paulo", currency="BRL")
    importing = Importing(company, tmp_path)
    leads_map, deals_map = EXAMPLES / "olist_leads.yaml", EXAMPLES / "olist_outcomes.yaml"

    leads = await importing.counts("leads", leads_file, leads_map)
    deals = await importing.counts("outcomes", deals_file, deals_map)

    assert (leads["outcomes"], leads["rejected"]) == ({"created": 8000}, 0)
    assert (deals["outcomes"], deals["rejected"]) == ({"recorded": 842}, 0)
    by_source = await importing.funnel("--by", "source")
    assert counted(by_source) == olist.by(origin_of)
    assert amounts(by_source) == olist.amounts_by(origin_of)
    assert {None, "unknown"} < set(by_source)
    assert counted(await importing.funnel("--by", "month")) == olist.by(month_of)
    assert counted(await importing.funnel("--by", "month", "--basis", "event")) == olist.by_event_month()

    (early,) = olist.won_before_first_contact()
    await _the_early_deal_counts_but_has_no_duration(importing, early)
    await _history_bothers_nobody(importing)

    head = await importing.head()
    assert (await importing.counts("leads", leads_file, leads_map))["skipped"] == 8000
    again = await importing.counts("leads", leads_file, leads_map, "--restart")
    assert again["outcomes"] == {"duplicate": 8000}
    again = await importing.counts("outcomes", deals_file, deals_map, "--restart")
    assert again["outcomes"] == {"duplicate": 842}
    assert await importing.head() == head


async def _the_early_deal_counts_but_has_no_duration(importing: Importing, external_id: str) -> None:
    found = await importing.listed(
        "sven", "leads", "list", "--external-id", external_id, "--source-system", "olist"
    )
    (handoff,) = found["handoffs"]
    assert handoff["state"] == "STATE_WON"
    assert handoff["close_time"] < handoff["submit_time"]
    times = await importing.listed("mara", "reports", "response-times")
    (buyer,) = [row for row in times["rows"] if row["measure"] == "MEASURE_BUYER_TIME_TO_FIRST_FOLLOW_UP"]
    # The files tell of no follow-up, which is not to say that there was none: nobody is counted as waiting.
    assert (buyer["item_count"], buyer["invalid_interval_count"]) == (0, 1)


async def _history_bothers_nobody(importing: Importing) -> None:
    assert await importing.listed("sven", "sla", "alerts") == {"alerts": [], "more": False}
    assert await importing.listed("sven", "sla", "clocks") == {"clocks": [], "more": False}
    assert await importing.listed("sven", "leads", "offers") == {"handoffs": [], "more": False}
    async with SlaClient(importing.company.operator) as sla:
        request = eventlogpb.ReadEventsRequest(parent=importing.company.name, limit=1000)
        page = await sla.events.read_events(request)
    # Of clocks there may be events, for the record; what tells anybody, or waits, there must not be.
    kinds = {event.payload.TypeName().rpartition(".")[2] for event in page.events}
    assert not kinds & {"RungFired", "AlertChanged", "ClockBreached"}


async def test_a_second_mapping_shows_that_nothing_of_the_first_is_in_the_code(
    installation: Installation, tmp_path: Path
) -> None:
    pipeline = shared("maven_crm/sales_pipeline.csv")
    rows = rows_of(pipeline)
    stages = Counter(row["deal_stage"] for row in rows)
    company = await settled_in(installation, "maven", tmp_path, currency="USD")
    importing = Importing(company, tmp_path)

    leads = await importing.counts("leads", pipeline, EXAMPLES / "maven_leads.yaml")
    deals = await importing.counts("outcomes", pipeline, EXAMPLES / "maven_outcomes.yaml")

    assert (leads["outcomes"], leads["passed_over"]) == (
        {"created": len(rows) - stages["Prospecting"]},
        stages["Prospecting"],
    )
    assert deals["outcomes"] == {"recorded": stages["Won"] + stages["Lost"]}
    by_month = await importing.funnel("--by", "month")
    engaged = [row for row in rows if row["engage_date"]]
    submitted = Counter(row["engage_date"][:7] for row in engaged)
    closed = Counter((row["engage_date"][:7], row["deal_stage"]) for row in engaged)
    assert {
        month: (row["submitted_count"], row["won_count"], row["lost_count"])
        for month, row in by_month.items()
    } == {month: (submitted[month], closed[month, "Won"], closed[month, "Lost"]) for month in submitted}
    by_product = await importing.funnel("--by", "product")
    worth: Counter[str] = Counter()
    for row in engaged:
        if row["deal_stage"] == "Won":
            # The publisher writes one product in two ways; the mapping makes it one.
            worth[row["product"].replace("GTXPro", "GTX Pro")] += round(float(row["close_value"]) * 100)
    assert amounts(by_product) == worth
    # Deals that are still open want an owner, but being late with them is no news: nobody is told.
    assert await importing.listed("sven", "sla", "alerts") == {"alerts": [], "more": False}


MAPPING: Final = """
kind: Leads
time_zone: UTC
fields:
  source_system: {constant: archive}
  external_id: {column: id}
  contact.email: {column: email}
  qualification.source: {column: source}
  qualification.inquire_time: {column: day, format: "%Y-%m-%d"}
"""


def a_table(folder: Path, rows: Iterator[list[str]]) -> tuple[Path, Path]:
    """Write a file and its mapping, and return their paths."""
    table, mapping = folder / "archive.csv", folder / "archive.yaml"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "email", "source", "day"])
        writer.writerows(rows)
    mapping.write_text(MAPPING)
    return table, mapping


async def test_bad_rows_go_to_a_file_with_line_and_reason_and_the_rest_goes_on(
    installation: Installation, tmp_path: Path
) -> None:
    company = await settled_in(installation, "rejects", tmp_path)
    importing = Importing(company, tmp_path)
    table, mapping = a_table(
        tmp_path,
        iter(
            [
                ["a-1", "one@example.com", "ads", "2024-02-03"],
                ["a-2", "two@example.com", "ads", "2024-02-30"],
                ["a-3", "not an address", "ads", "2024-02-04"],
                ["", "four@example.com", "ads", "2024-02-05"],
                ["a-5", "five@example.com", "ads", "2024-02-06", "one cell too many"],
                ["a-6", "six@example.com", "ads", "2024-02-07"],
            ]
        ),
    )

    ran = await importing.run("leads", table, mapping)

    assert ran.status == 5
    rejected = {row["line"]: row for row in rows_of(tmp_path / "archive.csv.leads.rejected.csv")}
    assert set(rejected) == {"3", "4", "5", "6"}
    assert rejected["4"]["reason"].startswith("SUBMISSION_INVALID: ")
    assert "contact.email" in rejected["4"]["reason"]
    assert all(row["reason"] for row in rejected.values())
    assert (rejected["3"]["id"], rejected["3"]["day"]) == ("a-2", "2024-02-30")
    kept = await importing.listed("sven", "leads", "list", "--source-system", "archive")
    assert {handoff["external_id"] for handoff in kept["handoffs"]} == {"a-1", "a-6"}


async def test_an_interrupted_import_sends_only_the_rows_not_yet_acknowledged(
    installation: Installation, tmp_path: Path
) -> None:
    company = await settled_in(installation, "resumed", tmp_path)
    importing = Importing(company, tmp_path)
    total = 6_000
    table, mapping = a_table(
        tmp_path, ([f"r-{number}", f"r{number}@example.com", "ads", "2024-02-03"] for number in range(total))
    )
    state = tmp_path / "archive.csv.leads.state"
    before = await _submissions(installation)

    acknowledged = await _interrupted(importing, table, mapping, state, at_row=1_000)
    resumed = await importing.counts("leads", table, mapping)

    assert 1_000 <= acknowledged < total
    assert (resumed["skipped"], resumed["sent"]) == (acknowledged, total - acknowledged)
    # Four batches may have been under way: what of them was kept comes back as a duplicate.
    unheard = resumed["outcomes"].get("duplicate", 0)
    assert unheard <= 4 * 200
    assert resumed["outcomes"]["created"] == total - acknowledged - unheard
    answered = await _submissions(installation) - before
    assert acknowledged + resumed["sent"] <= answered <= acknowledged + unheard + resumed["sent"]
    by_source = await importing.funnel("--by", "source")
    assert by_source["ads"]["submitted_count"] == total


async def _interrupted(importing: Importing, table: Path, mapping: Path, state: Path, *, at_row: int) -> int:
    """Kill the import once so many rows are acknowledged; return how many were."""
    company = importing.company
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("smarketing"),
        *importing.arguments("leads", table, mapping),
        cwd=ROOT,
        env=company.installation.environment(importing.token("leads"), tenant=company.tenant),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30):
            while _settled(state) < at_row:  # noqa: ASYNC110 -- another process sets no event of ours
                await asyncio.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    return _settled(state)


def _settled(state: Path) -> int:
    if not state.exists():
        return 0
    lines = [line for line in state.read_bytes().split(b"\n") if line.startswith(b'{"row":')]
    return int(lines[-1].split(b":")[1].split(b",")[0]) if lines else 0


async def _submissions(installation: Installation) -> int:
    """Return how many submissions the service says that it has answered since it started."""
    async with httpx.AsyncClient() as http:
        page = (await http.get(f"http://{installation.addresses['leads']['http']}/metrics")).text
    lines = [line for line in page.splitlines() if line.startswith("smarketing_leads_submissions_total{")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))
