"""Writes docs/histograms.md: one month read as a histogram of answers reads it, and as reports does.

    python scripts/histogram_doc.py            # write it
    python scripts/histogram_doc.py --check    # end with 1 when it is not current

The month is made by chance from a fixed seed, told to the read model as logs tell it, and asked for.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import MetaData

from services.reports.domain.clocks import ClockChange, ClockEvent
from services.reports.domain.estimators import Curve, Outcome, estimate
from services.reports.domain.figures import Figure
from services.reports.domain.responses import Measure
from services.reports.domain.words import FollowedUp, Origin, Submitted
from services.reports.store.figures import Figures
from services.reports.store.fold import ReadModel
from services.reports.store.queries import Queries, Question
from services.reports.store.schema import define_tables
from smarketing.sql import Database

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = ROOT / "docs" / "histograms.md"
TENANT: Final = "tenants/month"
HOUR: Final = 3_600_000_000
DAYS: Final = 30
A_DAY: Final = 100
PROMISED_HOURS: Final = 24.0
READ_AT: Final = 24.0 * DAYS
START: Final = 20_500 * 24 * HOUR
QUANTILES: Final = (0.5, 0.75, 0.9)

PAGE: Final = """\
# Why no figure is read from a histogram of answers

<!-- Written by scripts/histogram_doc.py; change the code, not this file. -->

A histogram that is observed when an answer comes knows only those who were answered.
Whoever still waits is in none of its buckets, and the longer people wait, the better it looks.
`reports` counts a clock when it is due, met or not, and estimates waiting times over everybody.

This is one month read both ways: {leads:,} leads, {a_day} a day, each promised an answer in {promised:g} h.
Seven in ten are answered after some hours, three in twenty after some days, and three in twenty never.
The month is made by chance from a fixed seed, told to the read model as logs tell it, and read when it ends.

| read from | within {promised:g} h | half by | three quarters by | nine tenths by |
| --- | --- | --- | --- | --- |
| all that was ever to come | {truth} |
| a histogram of answers | {histogram} |
| S1 and S11 of `reports` | {ours} |

The histogram says {flattered:.1f} %, and {kept:.1f} % is kept: {difference:.1f} points are people who wait.
It holds {answered:,} answers; the {waiting:,} leads without one are missing above and below its line.
Nine tenths of its answers came within {its_last:g} h; of 100 who asked, only {ever:.0f} are ever answered.
S11 reads so many waits from buckets one part in 32 wide; one by one, three quarters are {exact:.1f} h.

Of the last day the difference is largest: whoever was answered on it was answered in time.
Nobody could have waited longer yet, and a histogram reads 100 %.
That is why S1 leaves out a clock until it is due, and shows how many are open beside it.
"""


@dataclass(frozen=True, slots=True)
class Lead:
    """When it came and how long its answer takes, in hours; never is infinite."""

    start: float
    takes: float

    @property
    def is_answered(self) -> bool:
        """Whether the answer came before the month is read."""
        return self.start + self.takes <= READ_AT


def leads() -> list[Lead]:
    """Return the month's leads."""
    chance = Random(7)  # noqa: S311 -- a month to look at, no secret
    found = []
    for day in range(DAYS):
        for _ in range(A_DAY):
            start = 24 * day + 24 * chance.random()
            kind = chance.random()
            if kind < 0.70:
                takes = chance.lognormvariate(math.log(3), 1.0)
            elif kind < 0.85:
                takes = chance.lognormvariate(math.log(60), 0.6)
            else:
                takes = math.inf
            found.append(Lead(start, takes))
    return found


def page() -> str:
    """Return the page in Markdown."""
    month = leads()
    compliance, quantiles = _asked(month)
    answered = sorted(lead.takes for lead in month if lead.is_answered)
    flattered = sum(takes <= PROMISED_HOURS for takes in answered) / len(answered)
    kept = compliance.ratio or 0.0
    everybody = sorted(lead.takes for lead in month)
    promised = sum(takes <= PROMISED_HOURS for takes in everybody) / len(everybody)
    return PAGE.format(
        leads=len(month),
        a_day=A_DAY,
        promised=PROMISED_HOURS,
        truth=_line(promised, [_of(everybody, share) for share in QUANTILES]),
        histogram=_line(flattered, [_of(answered, share) for share in QUANTILES]),
        ours=_line(kept, quantiles),
        flattered=100 * flattered,
        kept=100 * kept,
        difference=round(100 * flattered, 1) - round(100 * kept, 1),
        answered=len(answered),
        waiting=len(month) - len(answered),
        its_last=round(_of(answered, QUANTILES[-1]), 1),
        ever=100 * sum(map(math.isfinite, everybody)) / len(everybody),
        exact=(_exact(month).quantile(QUANTILES[1]) or 0) / HOUR,
    )


def _exact(month: Sequence[Lead]) -> Curve:
    return estimate(
        (_instant(lead.start + lead.takes) - _instant(lead.start), Outcome.ANSWERED)
        if lead.is_answered
        else (_instant(READ_AT) - _instant(lead.start), Outcome.WAITING)
        for lead in month
    )


def _of(ordered: Sequence[float], share: float) -> float:
    return ordered[math.ceil(share * len(ordered)) - 1]


def _line(compliance: float, quantiles: Sequence[float]) -> str:
    shown = [f"{each:.1f} h" if math.isfinite(each) else "not reached" for each in quantiles]
    return " | ".join([f"{100 * compliance:.1f} %", *shown])


def _asked(month: Sequence[Lead]) -> tuple[Figure, list[float]]:
    """Return S1 and the quantiles of S11 as the read model answers them."""
    tables = define_tables(MetaData())
    queries = Queries(tables)
    figures = Figures(queries)
    question = Question(tenant=TENANT, period=None, now=_instant(READ_AT))
    with Database.in_memory() as database:
        with database.writer_engine.begin() as connection:
            tables.metadata.create_all(connection, checkfirst=False)
            model = ReadModel(tables)
            model.fold_leads(connection, [word for at, lead in enumerate(month) for word in _told(at, lead)])
            model.fold_sla(connection, [word for at, lead in enumerate(month) for word in _clock(at, lead)])
        with database.reading() as connection:
            (row,) = figures.query(connection, "S1", question, None)
            curve = figures.response_items(connection, question, Measure.BUYER_FIRST_FOLLOW_UP).curve()
    reached = [curve.quantile(share) for share in QUANTILES]
    return row.figure, [math.inf if each is None else each / HOUR for each in reached]


def _instant(hours: float) -> int:
    return START + round(hours * HOUR)


def _handoff(number: int) -> str:
    return f"{TENANT}/leads/l{number}/handoffs/1"


def _told(number: int, lead: Lead) -> Iterator[Any]:
    name = _handoff(number)
    yield Submitted(TENANT, name, _instant(lead.start), f"l{number}", Origin())
    if lead.is_answered:
        answered = _instant(lead.start + lead.takes)
        yield FollowedUp(TENANT, name, answered, contact=True, counts=True, channel="call", grade="confirmed")


def _clock(number: int, lead: Lead) -> Iterator[ClockEvent]:
    due = lead.start + PROMISED_HOURS
    is_met = lead.is_answered and lead.takes <= PROMISED_HOURS
    yield _event(number, lead, ClockChange.STARTED, lead.start)
    if is_met:
        yield _event(number, lead, ClockChange.MET, lead.start + lead.takes)
    elif due <= READ_AT:
        yield _event(number, lead, ClockChange.BREACHED, due)
        if lead.is_answered:
            yield _event(number, lead, ClockChange.STOPPED_LATE, lead.start + lead.takes)


def _event(number: int, lead: Lead, change: ClockChange, hours: float) -> ClockEvent:
    due = _instant(lead.start + PROMISED_HOURS)
    return ClockEvent(
        tenant=TENANT,
        clock=f"{TENANT}/clocks/c{number}",
        time=_instant(hours),
        change=change,
        handoff=_handoff(number),
        agreement_version=f"{TENANT}/agreements/main/versions/1",
        commitment_id="first-follow-up",
        parties=",sales,",
        kind="first_follow_up",
        basis="wall",
        start_time=_instant(lead.start),
        original_due_time=due,
        due_time=due,
        owner="",
        team=None,
        historical=False,
        elapsed=_instant(hours) - _instant(lead.start),
    )


def main() -> int:
    """Write the page, or say whether it is current."""
    text = page()
    if "--check" in sys.argv[1:]:
        return 0 if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
