"""The page: everything that the template shows, already in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from services.reports.domain.reports import Matter
from services.reports.store.listings import DueClock
from services.reports.web.choices import Choice, PeriodChoice, dates_of, days_of
from services.reports.web.formats import Formats, clean
from services.reports.web.funnel import FunnelView, ReasonsView, funnel_view, reasons_view
from services.reports.web.reading import LIST_ROWS, Facts
from services.reports.web.responses import ResponseView, measured_of, response_views, responses_table
from services.reports.web.scorecard import PartyView, Tile, commitments_table, figures_table, parties, tiles
from services.reports.web.tables import Cell, Column, Table, folded_table
from services.reports.web.texts import Texts
from smarketing.businesstime import load_zone
from smarketing.server.languages import Language

__all__ = ["Page", "Viewed", "frame_of", "page_of", "tables_of"]

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
    path: str = ""
    """That of the page itself where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What surrounds the figures."""

    viewed: Viewed
    path: str
    title: str
    places: tuple[Link, ...]
    """The other pages, and this one among them."""
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


def frame_of(viewed: Viewed, matter: Matter | None = None) -> Frame:
    """Return what surrounds the figures of the first page, or of a report about one matter."""
    texts = viewed.texts
    other = Language.ENGLISH if texts.language is Language.KOREAN else Language.KOREAN
    return Frame(
        viewed=viewed,
        path=_path_of(matter),
        title=texts(matter.value if matter else "title"),
        places=tuple(
            Link(texts(each.value if each else "overview"), viewed.query(), each is matter, _path_of(each))
            for each in (None, *Matter)
        ),
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


def _path_of(matter: Matter | None) -> str:
    return f"/reports/{matter.value}" if matter else "/"


def page_of(facts: Facts, viewed: Viewed, *, age: timedelta) -> Page:
    """Return the page of these facts; `age` is for how long they have not been certainly complete."""
    texts = viewed.texts
    formats = Formats(texts, load_zone(facts.zone_name).info)
    funnel = funnel_view(facts.funnel, facts.by_source, facts.by_month, texts, formats)
    reasons = reasons_view(facts.acceptance, facts.rejections, texts, formats)
    measured = measured_of(facts.responses)
    first, last = days_of(facts.period, facts.today)
    return Page(
        dates=dates_of(facts.period, texts),
        zone=facts.zone_name,
        first_day=first,
        last_day=last,
        as_of=formats.instant(facts.wish.now),
        past=texts("past", time=formats.instant(facts.wish.now)) if viewed.as_of else "",
        stale=formats.stale(age),
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
        folded=folded_table(facts.folded, texts, formats),
    )


def tables_of(facts: Facts, viewed: Viewed) -> Mapping[str, Table]:
    """Return every table that can be taken along, by its key."""
    texts = viewed.texts
    formats = Formats(texts, load_zone(facts.zone_name).info)
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
