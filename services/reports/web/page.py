"""The page: everything that the template shows, already in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from services.reports.store.listings import DueClock
from services.reports.web.choices import Choice, PeriodChoice
from services.reports.web.formats import Formats, clean
from services.reports.web.funnel import FunnelView, ReasonsView, funnel_view, reasons_view
from services.reports.web.reading import LIST_ROWS, Facts
from services.reports.web.responses import ResponseView, measured_of, response_views, responses_table
from services.reports.web.scorecard import PartyView, Tile, commitments_table, figures_table, parties, tiles
from services.reports.web.tables import Cell, Column, Table
from services.reports.web.texts import Texts
from smarketing.businesstime import load_zone
from smarketing.server.languages import Language

__all__ = ["Page", "Viewed", "frame_of", "page_of", "tables_of"]

_STALE_AFTER: Final = timedelta(seconds=60)
_SHOWN_ROWS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed:
    """What a page is asked for, and by whom: enough for its frame without any figure."""

    texts: Texts
    tenant: str
    """Its id."""
    foreign: bool
    """Whether the viewer stands above tenants, so that addresses must name this one."""
    party: str
    """The only party whose promises the viewer sees; empty for both."""
    choice: PeriodChoice
    csrf_token: str
    as_of: datetime | None = None
    """The past instant as of which everything is shown; None for the present."""

    def query(
        self, *, choice: PeriodChoice | None = None, language: Language | None = None, present: bool = False
    ) -> str:
        """Return the query of an address like this one, but for what is given."""
        parameters = (choice or self.choice).parameters() | {"lang": (language or self.texts.language).value}
        if self.as_of is not None and not present:
            parameters["as_of"] = self.as_of.isoformat()
        if self.foreign:
            parameters["tenant"] = self.tenant
        return urlencode(parameters)


@dataclass(frozen=True, slots=True)
class Link:
    """An address among others."""

    label: str
    query: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What surrounds the figures."""

    viewed: Viewed
    choices: tuple[Link, ...]
    other_language: Link
    other_language_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything of one page, in words."""

    dates: str
    zone: str
    first_day: str
    last_day: str
    as_of: str
    stale: str
    past: str
    """Says that this is of the past; empty for the present."""
    age: str
    headline: tuple[Tile, ...]
    parties: tuple[PartyView, ...]
    funnel: FunnelView
    reasons: ReasonsView
    responses: tuple[ResponseView, ...]
    responses_table: Table
    overdue: Table
    due_next: Table
    list_rows: int
    list_more: str
    folded: Table


def frame_of(viewed: Viewed) -> Frame:
    """Return what surrounds the figures."""
    texts = viewed.texts
    other = Language.ENGLISH if texts.language is Language.KOREAN else Language.KOREAN
    return Frame(
        viewed=viewed,
        choices=tuple(
            Link(
                texts(choice.value), viewed.query(choice=PeriodChoice(choice)), choice is viewed.choice.choice
            )
            for choice in Choice
            if choice is not Choice.CUSTOM
        ),
        other_language=Link(texts("other_language"), viewed.query(language=other), False),
        other_language_code=other.value,
    )


def page_of(facts: Facts, viewed: Viewed, *, age: timedelta) -> Page:
    """Return the page of these facts; `age` is for how long they have not been certainly complete."""
    texts = viewed.texts
    formats = _formats_of(facts, texts)
    funnel = funnel_view(facts.funnel, facts.by_source, facts.by_month, texts, formats)
    reasons = reasons_view(facts.acceptance, facts.rejections, texts, formats)
    measured = measured_of(facts.responses)
    first, last = _days(facts)
    return Page(
        dates=_dates(facts, texts),
        zone=facts.zone_name,
        first_day=first,
        last_day=last,
        as_of=formats.instant(facts.wish.now),
        past=texts("past", time=formats.instant(facts.wish.now)) if viewed.as_of else "",
        stale=texts("stale", age=formats.age(age)) if age > _STALE_AFTER else "",
        age=formats.age(age + timedelta(seconds=1)),
        headline=tuple(tiles(facts.joint, texts, formats)),
        parties=tuple(parties(facts.parties, texts, formats, only=viewed.party)),
        funnel=funnel,
        reasons=reasons,
        responses=tuple(response_views(measured, texts, formats)),
        responses_table=responses_table(measured, texts, formats),
        overdue=_clocks("overdue", facts.overdue, facts, texts, formats),
        due_next=_clocks("due-next", facts.due_next, facts, texts, formats),
        list_rows=_SHOWN_ROWS,
        list_more=texts("list_more", shown=_SHOWN_ROWS, number=LIST_ROWS),
        folded=_folded(facts, texts, formats),
    )


def tables_of(facts: Facts, viewed: Viewed) -> Mapping[str, Table]:
    """Return every table that can be taken along, by its key."""
    texts = viewed.texts
    formats = _formats_of(facts, texts)
    funnel = funnel_view(facts.funnel, facts.by_source, facts.by_month, texts, formats)
    lines = [line for party in facts.parties for line in party.lines]
    found = (
        commitments_table(facts.parties, texts, formats),
        figures_table([*facts.joint, *lines], texts, formats),
        funnel.stages_table,
        funnel.sources_table,
        funnel.months_table,
        reasons_view(facts.acceptance, facts.rejections, texts, formats).table,
        responses_table(measured_of(facts.responses), texts, formats),
        _clocks("overdue", facts.overdue, facts, texts, formats),
        _clocks("due-next", facts.due_next, facts, texts, formats),
    )
    return {table.key: table for table in found}


def _formats_of(facts: Facts, texts: Texts) -> Formats:
    return Formats(texts, load_zone(facts.zone_name).info)


def _days(facts: Facts) -> tuple[str, str]:
    """Return the first and the last day for the form: those of the period, or of this day."""
    if facts.period is None:
        return "", date.fromordinal(facts.today).isoformat()
    return date.fromordinal(facts.period.first).isoformat(), date.fromordinal(
        facts.period.last - 1
    ).isoformat()


def _dates(facts: Facts, texts: Texts) -> str:
    if facts.period is None:
        return texts("dates_all")
    first, last = _days(facts)
    return texts("dates", first=first, last=last)


def _clocks(key: str, clocks: Sequence[DueClock], facts: Facts, texts: Texts, formats: Formats) -> Table:
    columns = (
        Column("due_time", texts("due")),
        Column("handoff", texts("handoff")),
        Column("commitment_id", texts("commitment")),
        Column("owner", texts("owner")),
        Column("team", texts("team")),
    )
    rows = tuple(
        (
            Cell(formats.instant(clock.due_time), clock.due_time / 1_000_000),
            Cell(_below_tenant(clock.handoff), clock.handoff),
            Cell(_title_of(clock.commitment_id, facts), clock.commitment_id),
            Cell(_last_part(clock.owner) or texts("no_owner"), clock.owner or None, not clock.owner),
            Cell(_last_part(clock.team or ""), clock.team),
        )
        for clock in clocks
    )
    title = texts("overdue_list" if key == "overdue" else "due_list")
    return Table(key, title, columns, rows)


def _title_of(commitment_id: str, facts: Facts) -> str:
    terms = facts.terms.get(commitment_id)
    return clean(terms.title if terms else commitment_id)


def _below_tenant(name: str) -> str:
    return clean(name.split("/", 2)[-1], longest=160)


def _last_part(name: str) -> str:
    return clean(name.rpartition("/")[2])


def _folded(facts: Facts, texts: Texts, formats: Formats) -> Table:
    columns = (
        Column("log", texts("log")),
        Column("position", texts("position"), numeric=True),
        Column("newest_event", texts("newest_event")),
    )
    rows = tuple(
        (
            Cell(log.service, log.service),
            Cell(formats.number(log.position), log.position),
            Cell(formats.instant(log.record_time), log.record_time / 1_000_000),
        )
        for log in facts.folded
    )
    return Table("logs", texts("as_of"), columns, rows)
