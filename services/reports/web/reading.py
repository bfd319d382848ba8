"""Everything that the page shows, read in one transaction: all of it is of one state of the tables."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from services.reports.domain.figures import Figure
from services.reports.domain.funnel import Stage
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Days, LocalDays, Micros, Period
from services.reports.domain.reports import REPORTS, Matter, Section
from services.reports.store.calendars import CompiledCalendars
from services.reports.store.figures import (
    FigureRow,
    Figures,
    FunnelRow,
    PartyScores,
    ResponseRow,
    ScoreLine,
)
from services.reports.store.fold import Folded
from services.reports.store.listings import DueClock, Listings
from services.reports.store.queries import CommitmentTerms, GroupKey, Question
from services.reports.store.responses import RememberedResponses
from services.reports.web.choices import PeriodChoice
from smarketing.businesstime import load_zone

__all__ = ["LIST_ROWS", "Facts", "Reader", "ReportFacts", "Wish"]

LIST_ROWS: Final = 200
"""So many clocks at most does a list hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Whose figures, of which period, and at which instant; `party` as in a question."""

    tenant: str
    party: str
    choice: PeriodChoice
    now: Micros
    above_tenants: bool = False
    """Whether the viewer may know how far the whole logs are, not the tenant's view of them alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read."""

    wish: Wish
    zone_name: str
    today: int
    period: Period | None
    parties: tuple[PartyScores, ...]
    joint: tuple[ScoreLine, ...]
    terms: Mapping[str, CommitmentTerms]
    funnel: FunnelRow
    by_source: tuple[FunnelRow, ...]
    by_month: tuple[FunnelRow, ...]
    acceptance: Figure
    rejections: Mapping[GroupKey, int]
    """By accountable party and reason code."""
    responses: tuple[ResponseRow, ...]
    overdue: tuple[DueClock, ...]
    due_next: tuple[DueClock, ...]
    folded: tuple[Folded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What was read for a report about one matter."""

    matter: Matter
    wish: Wish
    zone_name: str
    today: int
    period: Period | None
    sections: tuple[tuple[Section, list[FigureRow]], ...]
    folded: tuple[Folded, ...]


class Reader:
    """Reads facts inside the caller's read transaction, by the same questions as the RPCs."""

    def __init__(self, figures: Figures, listings: Listings) -> None:
        self._queries = figures.queries
        self._calendars = CompiledCalendars(figures.queries.tables)
        self._listings = listings

    def read(self, connection: Any, wish: Wish) -> Facts:
        """Return all that one page shows."""
        queries = self._queries
        # Lines and curves rest on the same items: for one page they are read once.
        figures = Figures(queries, _PageResponses(queries, self._calendars))
        zone_name, today = self._today(connection, wish)
        period = wish.choice.on(today)
        question = Question(tenant=wish.tenant, period=period, now=wish.now, party=wish.party)
        scores = figures.scores(connection, question)

        def funnel(*group_by: Dimension) -> tuple[FunnelRow, ...]:
            return tuple(figures.funnel(connection, replace(question, group_by=group_by), Basis.COHORT))

        rejected = replace(question, group_by=(Dimension.PARTY, Dimension.REASON_CODE))
        return Facts(
            wish=wish,
            zone_name=zone_name,
            today=today,
            period=period,
            parties=tuple(party for party in scores.parties if not wish.party or party.party == wish.party),
            joint=scores.joint,
            terms={terms.commitment_id: terms for terms in queries.commitments(connection, wish.tenant)},
            funnel=funnel()[0],
            by_source=funnel(Dimension.SOURCE),
            by_month=funnel(Dimension.MONTH),
            acceptance=figures.query(connection, "H1", question, Basis.COHORT)[0].figure,
            rejections=queries.rejections(connection, rejected, Stage.SUBMITTED),
            responses=tuple(figures.response_times(connection, question)),
            overdue=tuple(
                self._listings.overdue(
                    connection, wish.tenant, now=wish.now, party=wish.party, limit=LIST_ROWS
                )
            ),
            due_next=tuple(
                self._listings.due_next(
                    connection, wish.tenant, now=wish.now, party=wish.party, limit=LIST_ROWS
                )
            ),
            folded=self._folded(connection, wish),
        )

    def read_report(self, connection: Any, wish: Wish, matter: Matter) -> ReportFacts:
        """Return all that the page of a report shows."""
        figures = Figures(self._queries, _PageResponses(self._queries, self._calendars))
        zone_name, today = self._today(connection, wish)
        period = wish.choice.on(today)
        question = Question(tenant=wish.tenant, period=period, now=wish.now, party=wish.party)
        return ReportFacts(
            matter=matter,
            wish=wish,
            zone_name=zone_name,
            today=today,
            period=period,
            sections=tuple(figures.report(connection, question, REPORTS[matter])),
            folded=self._folded(connection, wish),
        )

    def _today(self, connection: Any, wish: Wish) -> tuple[str, Days]:
        zone_name = self._listings.zone_name(connection, wish.tenant)
        return zone_name, LocalDays(load_zone(zone_name).info).day_of(wish.now)

    def _folded(self, connection: Any, wish: Wish) -> tuple[Folded, ...]:
        queries = self._queries
        above = wish.above_tenants
        return tuple(queries.folded(connection) if above else queries.folded_of(connection, wish.tenant))


class _PageResponses(RememberedResponses):
    """Items remembered for the whole page, not for one of its answers alone."""

    def remembering(self) -> RememberedResponses:
        """Return itself: the page is one answer."""
        return self
