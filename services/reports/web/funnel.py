"""How far handoffs came, by source and month, and why sales said no."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.reports.domain.figures import Figure
from services.reports.domain.funnel import FunnelTally
from services.reports.store.figures import FunnelRow
from services.reports.store.queries import GroupKey
from services.reports.web.charts import NestedBar, nested
from services.reports.web.formats import Formats, Shown, clean
from services.reports.web.tables import Cell, Column, Table
from services.reports.web.texts import Texts

__all__ = [
    "SHOWN_STAGES",
    "FunnelView",
    "GroupBar",
    "ReasonBar",
    "ReasonsView",
    "StageBar",
    "funnel_view",
    "reasons_view",
]

SHOWN_STAGES: Final = ("submitted", "accepted", "qualified", "won")
"""The stages of the small bars, the lightest first."""

_STAGES: Final = ("submitted", "accepted", "worked", "qualified", "converted", "won")
_MOST_SOURCES: Final = 10
_MOST_MONTHS: Final = 12
_MOST_REASONS: Final = 10
_EXITS: Final = ("rejected", "lost")
_NO_TALLY: Final = FunnelTally()


@dataclass(frozen=True, slots=True)
class StageBar:
    """A stage of the funnel: how many reached it, of all and of the stage before."""

    label: str
    count: str
    of_all: Shown
    of_before: Shown | None
    width: float


@dataclass(frozen=True, slots=True)
class GroupBar:
    """A source or a month."""

    label: str
    muted: bool
    bar: NestedBar
    counts: tuple[str, ...]
    """As text, in the order of `SHOWN_STAGES`."""


@dataclass(frozen=True, slots=True)
class FunnelView:
    """The funnel with its two breakdowns."""

    empty: bool
    stages: tuple[StageBar, ...]
    sources: tuple[GroupBar, ...]
    months: tuple[GroupBar, ...]
    months_left_out: str
    stages_table: Table
    sources_table: Table
    months_table: Table


@dataclass(frozen=True, slots=True)
class ReasonBar:
    """A reason for rejecting, and on whom it is counted."""

    label: str
    party: str
    party_label: str
    count: str
    share: str
    width: float


@dataclass(frozen=True, slots=True)
class ReasonsView:
    """Acceptance and the reasons against."""

    acceptance: Shown
    reasons: tuple[ReasonBar, ...]
    parties: tuple[tuple[str, str, str], ...]
    """Party, its label, its share."""
    table: Table


@dataclass(frozen=True, slots=True)
class _Group:
    label: str
    value: str | None
    muted: bool
    row: FunnelRow


def funnel_view(
    whole: FunnelRow,
    by_source: Sequence[FunnelRow],
    by_month: Sequence[FunnelRow],
    texts: Texts,
    formats: Formats,
) -> FunnelView:
    """Return the funnel of the period; the smallest sources are summed, the oldest months left out."""
    sources = _sources(by_source, texts)
    months = [_Group(row.group[0] or "", row.group[0], False, row) for row in by_month]
    left_out = max(0, len(months) - _MOST_MONTHS)
    return FunnelView(
        empty=whole.tally.items == 0,
        stages=_stages(whole.tally, texts, formats),
        sources=_bars(_largest(sources, texts, formats), formats),
        months=_bars(months[left_out:], formats),
        months_left_out=texts("earlier_months", number=left_out) if left_out else "",
        stages_table=_stages_table(whole.tally, texts, formats),
        sources_table=_groups_table(
            "sources", "source", _largest(sources, texts, formats, most=100), texts, formats
        ),
        months_table=_groups_table("months", "month", months, texts, formats),
    )


def _reached(tally: FunnelTally) -> dict[str, int]:
    return {"submitted": tally.items} | {stage: getattr(tally, stage) for stage in (*_STAGES[1:], *_EXITS)}


def _stages(tally: FunnelTally, texts: Texts, formats: Formats) -> tuple[StageBar, ...]:
    reached = _reached(tally)
    bars = []
    before: int | None = None
    for stage in _STAGES:
        count = reached[stage]
        bars.append(
            StageBar(
                label=texts(stage),
                count=formats.number(count),
                of_all=formats.figure(Figure.share(count, tally.items)),
                of_before=None if before is None else formats.figure(Figure.share(count, before)),
                width=100 * count / tally.items if tally.items else 0.0,
            )
        )
        before = count
    return tuple(bars)


def _sources(rows: Sequence[FunnelRow], texts: Texts) -> list[_Group]:
    """Return the sources, the largest first. No source is one of its own, and not the word `unknown`."""
    groups = []
    for row in rows:
        source = row.group[0]
        absent = texts("no_source") if source is None else texts("empty_text")
        groups.append(_Group(clean(source) if source else absent, source, not source, row))
    return sorted(groups, key=lambda group: (-group.row.tally.items, group.label))


def _largest(
    groups: list[_Group], texts: Texts, formats: Formats, *, most: int = _MOST_SOURCES
) -> list[_Group]:
    if len(groups) <= most:
        return groups
    rest = groups[most - 1 :]
    tally = FunnelTally(*(sum(counts) for counts in zip(*(group.row.tally for group in rest), strict=True)))
    row = FunnelRow((None,), tally, (), Figure.share(tally.won, tally.items))
    label = texts("other_sources", number=formats.number(len(rest)))
    return [*groups[: most - 1], _Group(label, label, True, row)]


def _bars(groups: Sequence[_Group], formats: Formats) -> tuple[GroupBar, ...]:
    counts = [[_reached(group.row.tally)[stage] for stage in SHOWN_STAGES] for group in groups]
    return tuple(
        GroupBar(group.label, group.muted, bar, tuple(formats.number(count) for count in counted))
        for group, counted, bar in zip(groups, counts, nested(counts), strict=True)
    )


def _stages_table(tally: FunnelTally, texts: Texts, formats: Formats) -> Table:
    columns = (
        Column("stage", texts("stage")),
        Column("handoffs", texts("count"), numeric=True),
        Column("of_submitted", texts("of_submitted"), numeric=True),
        Column("of_stage_before", texts("of_before"), numeric=True),
    )
    reached, rows = _reached(tally), []
    before: int | None = None
    for stage in _STAGES:
        of_all = Figure.share(reached[stage], tally.items)
        of_before = None if before is None else Figure.share(reached[stage], before)
        rows.append(
            (
                Cell(texts(stage), stage),
                Cell(formats.number(reached[stage]), reached[stage]),
                _share_cell(of_all, formats),
                Cell("", None) if of_before is None else _share_cell(of_before, formats),
            )
        )
        before = reached[stage]
    return Table("funnel", texts("funnel"), columns, tuple(rows))


def _groups_table(key: str, kind: str, groups: Sequence[_Group], texts: Texts, formats: Formats) -> Table:
    stages = (*_STAGES, *_EXITS)
    columns = (
        Column(kind, texts(kind)),
        *(Column(stage, texts(stage), numeric=True) for stage in stages),
        Column("won_ratio", texts("won_ratio"), numeric=True),
    )
    rows = tuple(
        (
            Cell(group.label, group.value, group.muted),
            *(
                Cell(formats.number(count), count)
                for count in (_reached(group.row.tally)[stage] for stage in stages)
            ),
            _share_cell(group.row.won_ratio, formats),
        )
        for group in groups
    )
    return Table(key, texts("by_source" if kind == "source" else "by_month"), columns, rows)


def _share_cell(figure: Figure, formats: Formats) -> Cell:
    shown = formats.figure(figure)
    return Cell(shown.text, figure.ratio, muted=not shown.known)


def reasons_view(
    acceptance: Figure, rejections: Mapping[GroupKey, int], texts: Texts, formats: Formats
) -> ReasonsView:
    """Return acceptance, and each reason with the party on whom it is counted, the most frequent first."""
    total = sum(rejections.values())
    ordered = sorted(rejections.items(), key=lambda item: (-item[1], item[0][1] or ""))
    largest = ordered[0][1] if ordered else 1
    bars = [
        ReasonBar(
            label=_reason_label(reason, texts),
            party=party or "",
            party_label=_party_label(party, texts),
            count=formats.number(count),
            share=formats.percent(count / total),
            width=100 * count / largest,
        )
        for (party, reason), count in ordered[:_MOST_REASONS]
    ]
    by_party: dict[str, int] = {}
    for (party, _), count in ordered:
        by_party[party or ""] = by_party.get(party or "", 0) + count
    return ReasonsView(
        acceptance=formats.figure(acceptance),
        reasons=tuple(bars),
        parties=tuple(
            (party, _party_label(party, texts), formats.percent(count / total))
            for party, count in sorted(by_party.items(), key=lambda item: -item[1])
        ),
        table=_reasons_table(ordered, total, texts, formats),
    )


def _reason_label(reason: str | None, texts: Texts) -> str:
    return clean(reason).replace("_", " ").capitalize() if reason else texts("empty_text")


def _party_label(party: str | None, texts: Texts) -> str:
    return texts.find(party, party) if party else texts("nobody")


def _reasons_table(
    ordered: Sequence[tuple[GroupKey, int]], total: int, texts: Texts, formats: Formats
) -> Table:
    columns = (
        Column("reason_code", texts("reason")),
        Column("accountable_party", texts("accountable")),
        Column("rejected", texts("rejected"), numeric=True),
        Column("share", texts("share"), numeric=True),
    )
    rows = tuple(
        (
            Cell(_reason_label(reason, texts), reason, not reason),
            Cell(_party_label(party, texts), party, not party),
            Cell(formats.number(count), count),
            Cell(formats.percent(count / total), count / total),
        )
        for (party, reason), count in ordered
    )
    return Table("rejections", texts("acceptance"), columns, rows)
