"""A marketplace's two years through mapping, log, fold and figures: equal to what its files say when counted.

The data of others stands outside the repository: `SHARED_DATA` names its folder.
"""

import csv
import os
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.message import Message

from services.reports.consumers.lead_events import words_of
from services.reports.domain.figures import Figure
from services.reports.domain.inputs import InputEntry
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period, micros_of
from services.reports.rpc.input_wire import entry_of
from services.reports.store.figures import Figures
from services.reports.store.queries import Queries, Question
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.cli.imports.mapping import MappingKind, read_mapping
from smarketing.cli.imports.table import Table
from tests.builders.reports import TENANT, Ledger, a_ledger

EXAMPLES: Final = Path(__file__).parents[3] / "examples"
BRAZIL: Final = ZoneInfo("America/Sao_Paulo")
NOW: Final = datetime(2018, 12, 1, tzinfo=UTC)
QUARTER: Final = Period.of(date(2018, 1, 1), date(2018, 4, 1))
LEADS: Final = "olist_marketing_qualified_leads_dataset.csv"
DEALS: Final = "olist_closed_deals_dataset.csv"


def _shared(name: str) -> Path:
    folder = os.environ.get("SHARED_DATA", "")
    if not folder:
        pytest.skip("SHARED_DATA is not set: name the folder that holds olist_funnel")
    return Path(folder) / "olist_funnel" / name


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# Through the product.


def _messages(mapping: str, kind: MappingKind, path: Path) -> Iterator[Any]:
    known = read_mapping(EXAMPLES / f"{mapping}.yaml", kind)
    table = Table(path, known.form)
    known.check(table.columns)
    for row in table.rows():
        if known.takes(row.values):
            yield known.message_of(row.values)
    table.close()


def _event(subject: str, time: datetime, payload: Message) -> eventlogpb.Event:
    event = eventlogpb.Event(tenant=TENANT, subject=subject)
    event.occur_time.FromDatetime(time)
    event.payload.Pack(payload)
    return event


def _handoff(external_id: str) -> str:
    return f"{TENANT}/leads/{external_id}/handoffs/1"


def _log() -> Iterator[eventlogpb.Event]:
    """Yield what `leads` records of an import of history."""
    zone = leadeventspb.TenantChanged(time_zone=BRAZIL.key, currency_code="BRL")
    yield _event(f"{TENANT}/directory", NOW, zone)
    submission: leadspb.Submission
    for submission in _messages("olist_leads", MappingKind.LEADS, _shared(LEADS)):
        name = _handoff(submission.external_id)
        told = leadeventspb.HandoffSubmitted(
            handoff=name,
            lead=submission.external_id,
            qualification=submission.qualification,
            historical=True,
            archived=True,
        )
        time = submission.qualification.inquire_time.ToDatetime(UTC)
        yield _event(name, time, told)
    outcome: leadspb.Outcome
    for outcome in _messages("olist_outcomes", MappingKind.OUTCOMES, _shared(DEALS)):
        name = _handoff(outcome.external_id)
        amount = outcome.amount if outcome.HasField("amount") else None
        closed = leadeventspb.OpportunityClosed(
            handoff=name,
            opportunity=f"{name}/opportunity",
            state=leadspb.Opportunity.STATE_WON,
            amount=amount,
        )
        yield _event(name, outcome.occur_time.ToDatetime(UTC), closed)


def _inputs(mapping: str, path: Path) -> list[InputEntry]:
    said: Iterator[inputspb.Input] = _messages(mapping, MappingKind.INPUTS, path)
    return [entry_of(TENANT, each) for each in said]


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with a_ledger() as found:
        found.leads(*words_of(list(_log())))
        found.inputs(*_inputs("olist_costs", EXAMPLES / "olist_costs.csv"))
        found.inputs(*_inputs("olist_revenue", _shared(DEALS)))
        found.inputs(*_inputs("olist_touchpoints", _shared(LEADS)))
        yield found


def _ask(
    ledger: Ledger,
    kpi_id: str,
    *group_by: Dimension,
    basis: Basis | None = None,
    period: Period | None = None,
) -> dict[Any, Figure]:
    question = Question(tenant=TENANT, period=period, group_by=group_by, now=micros_of(NOW))
    with ledger.database.reading() as connection:
        rows = Figures(Queries(ledger.tables)).query(connection, kpi_id, question, basis)
    return {row.group[0] if len(row.group) == 1 else row.group: row.figure for row in rows}


# Counted from the files alone.


@dataclass
class Files:
    leads: list[dict[str, str]]
    deals: list[dict[str, str]]

    def __post_init__(self) -> None:
        self.by_id = {lead["mql_id"]: lead for lead in self.leads}

    def won_time(self, deal: dict[str, str]) -> datetime:
        return datetime.fromisoformat(deal["won_date"]).replace(tzinfo=UTC)

    def inquiry(self, lead: dict[str, str]) -> datetime:
        return datetime.fromisoformat(lead["first_contact_date"]).replace(tzinfo=BRAZIL)

    def worth(self, deal: dict[str, str]) -> int:
        return round(Fraction(deal["declared_monthly_revenue"]) * 100)

    def share_won(self, of: Callable[[dict[str, str]], str | None]) -> dict[str | None, tuple[int, int]]:
        submitted = Counter(of(lead) for lead in self.leads)
        won = Counter(of(self.by_id[deal["mql_id"]]) for deal in self.deals)
        return {each: (won[each], number) for each, number in submitted.items()}

    def of_quarter(self) -> list[dict[str, str]]:
        # A line of revenue is dated by the day that its file names.
        return [deal for deal in self.deals if "2018-01-01" <= deal["won_date"][:10] < "2018-04-01"]


@pytest.fixture(scope="module")
def files() -> Files:
    return Files(_rows(_shared(LEADS)), _rows(_shared(DEALS)))


def _origin(lead: dict[str, str]) -> str | None:
    return lead["origin"] or None


def _month(lead: dict[str, str]) -> str:
    return lead["first_contact_date"][:7]


def test_conversion_by_origin_and_by_month_is_that_of_the_files(ledger: Ledger, files: Files) -> None:
    for dimension, of in ((Dimension.SOURCE, _origin), (Dimension.MONTH, _month)):
        found = _ask(ledger, "H5", dimension, basis=Basis.COHORT)
        shares = {group: (figure.numerator, figure.denominator) for group, figure in found.items()}
        assert shares == files.share_won(of)


def test_the_funnel_has_every_lead_and_every_deal(ledger: Ledger, files: Files) -> None:
    question = Question(tenant=TENANT, period=None, now=micros_of(NOW))
    with ledger.database.reading() as connection:
        (row,) = Figures(Queries(ledger.tables)).funnel(connection, question, Basis.COHORT)

    assert (row.tally.items, row.tally.won) == (len(files.leads), len(files.deals))
    assert [each.minor_units for each in row.won_amounts] == [sum(map(files.worth, files.deals))]


def test_the_time_to_won_counts_those_who_are_not(ledger: Ledger, files: Files) -> None:
    won = {deal["mql_id"]: files.won_time(deal) for deal in files.deals}
    durations = [
        (won.get(lead["mql_id"], NOW) - files.inquiry(lead), lead["mql_id"] in won) for lead in files.leads
    ]
    sound = sorted(each for each in durations if each[0].total_seconds() >= 0)
    # Kaplan–Meier by its definition: at each win, of those who still waited just before.
    waiting, tenth, by_time = Fraction(1), None, Counter(time for time, is_won in sound if is_won)
    times = [time for time, _ in sound]
    for time in sorted(by_time):
        at_risk = len(times) - bisect_left(times, time)
        waiting *= 1 - Fraction(by_time[time], at_risk)
        if tenth is None and 1 - waiting >= Fraction(1, 10):
            tenth = time

    question = Question(tenant=TENANT, period=None, now=micros_of(NOW))
    with ledger.database.reading() as connection:
        ((curve, invalid),) = (
            Figures(Queries(ledger.tables)).inputs.cycles.curves(connection, question).values()
        )

    assert tenth is not None
    assert curve.quantile(0.1) == tenth // (datetime.resolution)
    assert curve.quantile(0.5) is None
    assert (curve.item_count, invalid) == (len(sound), len(durations) - len(sound))
    # Those who were won, alone, would read as if half of all shops signed within weeks.
    of_the_won = sorted(time for time, is_won in sound if is_won)
    assert of_the_won[len(of_the_won) // 2] < tenth


def test_revenue_by_month_is_that_of_the_files(ledger: Ledger, files: Files) -> None:
    sums: defaultdict[str, int] = defaultdict(int)
    for deal in files.deals:
        sums[f"{files.won_time(deal).astimezone(BRAZIL):%Y-%m}"] += files.worth(deal)

    found = _ask(ledger, "V1", Dimension.MONTH)
    amounts = {month: figure.amount.minor_units for month, figure in found.items() if figure.amount}
    assert amounts == {month: amount for month, amount in sums.items() if amount}


def _cost_of_quarter(row: dict[str, str]) -> int:
    """Return the part of a bill that falls into the quarter: each of its days has the same."""
    first, last = (date.fromisoformat(row[name]).toordinal() for name in ("month_start", "month_end"))
    within = min(last, QUARTER.last) - max(first, QUARTER.first)
    part = round(Fraction(row["amount"]) * 100) * Fraction(max(within, 0), last - first)
    assert part.denominator == 1
    return int(part)


def test_return_on_investment_is_profit_over_cost_times_a_hundred(ledger: Ledger, files: Files) -> None:
    earned = sum(map(files.worth, files.of_quarter()))
    spent = sum(map(_cost_of_quarter, _rows(EXAMPLES / "olist_costs.csv")))

    (figure,) = _ask(ledger, "F1", period=QUARTER).values()
    assert (figure.numerator, figure.denominator) == (earned - spent, spent)
    assert figure.scalar == pytest.approx(100 * (earned - spent) / spent)


def test_return_by_origin_credits_each_deal_once(ledger: Ledger, files: Files) -> None:
    earned: defaultdict[str, int] = defaultdict(int)
    for deal in files.of_quarter():
        lead = files.by_id[deal["mql_id"]]
        if lead["origin"] and lead["first_contact_date"] <= deal["won_date"][:10]:
            earned[lead["origin"]] += files.worth(deal)
    spent: Counter[str] = Counter()
    for row in _rows(EXAMPLES / "olist_costs.csv"):
        if row["origin"]:
            spent[row["origin"]] += _cost_of_quarter(row)

    found = _ask(ledger, "F3", Dimension.CAMPAIGN, period=QUARTER)
    parts = {
        campaign: (figure.numerator, figure.denominator)
        for (model, campaign), figure in found.items()
        if model == "linear" and figure.scalar is not None
    }
    assert parts == {origin: (earned[origin] - cost, cost) for origin, cost in spent.items()}
    # A way with one touchpoint is credited alike by every model.
    assert {figure.scalar for (_, campaign), figure in found.items() if campaign == "social"} == {
        found["linear", "social"].scalar
    }
    credited = _ask(ledger, "F9", period=QUARTER)[()]
    assert credited.numerator == sum(earned.values())
    assert credited.denominator == sum(map(files.worth, files.of_quarter()))


def test_the_cost_of_a_shop_is_that_of_the_files(ledger: Ledger, files: Files) -> None:
    spent = sum(map(_cost_of_quarter, _rows(EXAMPLES / "olist_costs.csv")))
    won = sum(
        "2018-01" <= f"{files.won_time(deal).astimezone(BRAZIL):%Y-%m}" < "2018-04" for deal in files.deals
    )

    (figure,) = _ask(ledger, "U6", period=QUARTER).values()
    assert figure.amount is not None
    assert abs(figure.amount.minor_units * won - spent) * 2 <= won
