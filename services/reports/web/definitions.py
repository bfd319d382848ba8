"""The page of definitions: every figure that can be asked for, from the registry and nothing else.

`python -m services.reports.web.definitions > docs/kpis.md`
"""

import sys

from services.reports.domain.kpi_kinds import Kpi
from services.reports.domain.kpis import KPIS
from services.reports.domain.labels import Dimension

__all__ = ["definitions_page"]

_HEAD = """# Figures

Generated from the registry, `services/reports/domain/*kpis.py`; edit that, then run
`python -m services.reports.web.definitions > docs/kpis.md`.

Every figure that `QueryKpi` answers is here, under the id by which it is asked for.
What is not listed is not computed; what was left out, and why, is at the end.
A figure that has no value says why: there is no zero in its place.

A clock counts on the day it is due, also when it was met earlier.
A handoff counts on the day, in the tenant's zone, on which it reached the stage that is asked about.
By cohort, those who entered in the period are followed to whatever became of them.
By event, each stage counts when it happened.
A time that people wait is estimated over everybody, those who still wait included.
What a histogram of answers would say instead is in [histograms.md](histograms.md).
Leaving without an answer is an outcome of its own there.
Archived history waits for nobody and is left out of waiting times.

A figure is as fresh as the logs that it is read from are folded in; every answer says how far they are.
Where `inputs` stands among the logs, it rests on what people or systems recorded: [inputs.md](inputs.md).
An input about many days is spread over them evenly, so that a week of a month has its days' part.

| id | figure | formula | unit | basis | party | logs | edge cases |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

_DIMENSIONS = """
## Dimensions

| figures | can be grouped by |
| --- | --- |
"""

_CODES = """
## Edge cases

| code | what is done |
| --- | --- |
| A | Reassignment sets neither the buyer's time nor the team's clock back. |
| C | Those who still wait are counted in; a quantile beyond what was observed is not reached. |
| D | Each amount is credited once: parts add up to the outcome, and what is credited to nobody is shown. |
| K | Cohort and event read differently, so the question says which. |
| L | Late events restate past periods; the answer says as of which log positions it holds. |
| M | Amounts are whole minor units; several currencies without a rate are undefined. |
| O | Open items are in neither part and are shown beside. |
| P | What a single person did is in no label; only an authorised answer tells it. |
| R | Groups are summed before they are divided. |
| T | Times that contradict one another are counted as invalid and kept out of durations. |
| W | A share comes with its 95 % interval. |
| X | Leaving without an answer is an outcome, not an answer still to come. |
| Z | Nothing to divide by is undefined. |
"""

_LEFT_OUT = (
    (
        "S34",
        "Owner load balance",
        "it divides by each person's available hours, which no log read here tells",
    ),
    ("S35", "Capacity utilisation", "nobody says how many hours the work on a handoff takes"),
    ("F7", "Value beside return", "no figure of its own: G6, U8 and U4 stand beside F1, never added to it"),
    (
        "U14",
        "Waiting for help",
        "requests are counted, single ones are not told: no waiting can be estimated",
    ),
    (
        "S28",
        "Delay of a message outside",
        "nobody says when mail or chat reached a person; S28 ends with the alert",
    ),
    (
        "K8",
        "Reachable leads as submitted",
        "addresses are sealed, no log tells them; K8 is what follow-ups found",
    ),
    ("F4", "Margin brought forward", "a shorter cycle brings money earlier, and no rate is agreed for that"),
)
"""Figures, or parts of them, that are not computed, and why."""


def definitions_page() -> str:
    """Return the page in Markdown."""
    rows = "".join(_row(kpi) for kpi in KPIS.values())
    return f"{_HEAD}{rows}{_DIMENSIONS}{_groupings()}{_CODES}{_left_out()}"


def _left_out() -> str:
    rows = "".join(f"| {kpi_id} | {title} | {why} |\n" for kpi_id, title, why in _LEFT_OUT)
    return f"\n## Left out\n\n| id | figure | why |\n| --- | --- | --- |\n{rows}"


def _row(kpi: Kpi) -> str:
    bases = ", ".join(basis.value for basis in kpi.bases) or "–"
    parties = ", ".join(kpi.parties)
    codes = " ".join(kpi.edge_cases) or "–"
    cells = (kpi.kpi_id, kpi.title, kpi.formula, kpi.unit, bases, parties, ", ".join(kpi.logs), codes)
    return f"| {' | '.join(cells)} |\n"


def _groupings() -> str:
    by_dimensions: dict[tuple[Dimension, ...], list[str]] = {}
    for kpi in KPIS.values():
        by_dimensions.setdefault(kpi.dimensions, []).append(kpi.kpi_id)
    return "".join(
        f"| {', '.join(ids)} | {', '.join(each.name.lower() for each in dimensions) or 'nothing'} |\n"
        for dimensions, ids in by_dimensions.items()
    )


if __name__ == "__main__":
    sys.stdout.write(definitions_page())
