"""The fold: takes events of both logs, in batches, into facts and roll-ups, in the caller's transaction.

However the logs are cut into batches and whichever is ahead, the tables end up the same, byte for byte:
a handoff's row follows from its events, a clock's from its own, and every sum from those rows and the
tenant's zone alone. The cost of a batch is that of the facts it touches, never of those that exist.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, cast

from sqlalchemy import Connection, Table, delete, select

from services.reports.domain.agreements import AgreementKnown, CalendarKnown, TenantSet
from services.reports.domain.clocks import (
    ClockEvent,
    ClockFact,
    begin_clock,
    fold_clock,
)
from services.reports.domain.errors import FactMissing
from services.reports.domain.handoffs import HandoffFact, Happening, OfferEnd, begin, fold, follow
from services.reports.domain.merging import merge, unmerge
from services.reports.domain.misses import NOBODY, SeenHandoff
from services.reports.domain.opportunities import OpportunityFact
from services.reports.domain.periods import LocalDays, Micros
from services.reports.domain.words import Follows, HandoffEvent, Merged, Submitted, Unmerged
from services.reports.store.calendars import OpenTimes, definition_of
from services.reports.store.clock_sums import ClockSums, seen_in_row, whose
from services.reports.store.facts import Facts
from services.reports.store.recent import RecentFacts, Statements
from services.reports.store.rollups import Place, Rollup, WaitRollup
from services.reports.store.schema import Tables
from services.reports.store.sheet import Sheet
from services.reports.store.side_facts import SIDE_WORDS, SideFacts, SideWord
from smarketing.businesstime import load_zone
from smarketing.sql.rows import InsertRows, UpsertRows

__all__ = ["DEFAULT_ZONE", "Folded", "FoldedTenant", "LeadWord", "ReadModel", "SlaWord"]

T = TypeVar("T")

DEFAULT_ZONE: Final = "Etc/UTC"

LeadWord: TypeAlias = HandoffEvent | TenantSet | SideWord
"""What the leads log tells reports."""

SlaWord: TypeAlias = ClockEvent | AgreementKnown | CalendarKnown | SideWord
"""What the sla log tells reports."""

_REZONE_ROWS: Final = 10_000


class Folded(NamedTuple):
    """How far a log was folded in."""

    service: str
    """Whose log it is; of a log that is divided among replicas, with the member's own name behind it."""
    log_id: str
    position: int
    record_time: Micros


class FoldedTenant(NamedTuple):
    """How far a tenant's view of a log was folded in: by its own numbering, which tells of nobody else."""

    service: str
    tenant: str
    log_id: str
    """Of the view."""
    position: int
    record_time: Micros


class _Zones:
    """Each tenant's days, as the settings of this transaction say; compiled zones are kept for good."""

    def __init__(self, zone_of: dict[str, str], compiled: dict[str, LocalDays]) -> None:
        self._zone_of = zone_of
        self._compiled = compiled

    def name_of(self, tenant: str) -> str:
        return self._zone_of.get(tenant, DEFAULT_ZONE)

    def of(self, tenant: str) -> LocalDays:
        name = self.name_of(tenant)
        days = self._compiled.get(name)
        if days is None:
            days = self._compiled[name] = LocalDays(load_zone(name).info)
        return days

    def move(self, setting: TenantSet) -> bool:
        """Take a setting over; say whether the tenant's days changed by it."""
        before = self.name_of(setting.tenant)
        self._zone_of[setting.tenant] = setting.time_zone or DEFAULT_ZONE
        return before != self.name_of(setting.tenant)


class ReadModel:
    """Folds events into the tables of `tables`. Holds compiled statements and zones, no data."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._zones: dict[str, LocalDays] = {}
        self._statements = Statements(tables)
        self._clock_sums = ClockSums(tables)
        self._put_settings = _upsert(tables.tenant_setting, "tenant")
        self._put_agreements = _upsert(tables.agreement_version, "agreement_version")
        self._put_calendars = _upsert(tables.calendar_version, "calendar_version")
        self._put_logs = _upsert(tables.folded_log, "service")
        self._put_views = UpsertRows(
            tables.folded_tenant, key=["service", "tenant"], replace=["log_id", "position", "record_time"]
        )
        self._add_offer_ends = InsertRows(tables.offer_end)
        self._add_happenings = InsertRows(tables.happening)
        self._side = SideFacts(tables)
        self._add_commitments = InsertRows(tables.commitment_version)
        self._rollups = {
            "handoffs": Rollup(tables.handoff_rollup),
            "amounts": Rollup(tables.amount_rollup),
            "reasons": Rollup(tables.reason_rollup),
            "clocks": Rollup(tables.clock_rollup),
            "misses": Rollup(tables.missed_rollup),
            "offers": Rollup(tables.offer_rollup),
            "tallies": Rollup(tables.tally_rollup),
        }
        self._waits = WaitRollup(tables.waiting_rollup)

    def recent_facts(self, service: str) -> RecentFacts:
        """Return an empty memory of the facts of a log, for `fold_leads` and `fold_sla`."""
        return RecentFacts(self._statements, service)

    def recent_facts_of_both(self) -> tuple[RecentFacts, RecentFacts]:
        """Return one of the leads log and one of the sla log that add to the same sums."""
        leads = self.recent_facts("leads")
        return leads, RecentFacts(self._statements, "sla", sheet=leads.sheet)

    def fold_leads(
        self, connection: Connection, words: Sequence[LeadWord], recent: RecentFacts | None = None
    ) -> None:
        """Take words of the leads log, in its order, into the tables.

        What is `recent` is not read again; its owner says when it begins and ends.

        Raises:
            FactMissing: when a word is about a handoff that was never submitted.
        """
        recent = self.recent_facts("") if recent is None else recent
        self.take_leads(connection, words, recent)
        self.settle(connection, recent)
        self.post(connection, recent)

    def take_leads(self, connection: Connection, words: Sequence[LeadWord], recent: RecentFacts) -> None:
        """Take words of the leads log into what is at hand, of which `settle` writes what has changed.

        Raises:
            FactMissing: when a word is about a handoff that was never submitted.
        """
        self._side.fold(connection, _side_words(words), recent.deals)
        zones = self._read_zones(connection)
        handoff_words: list[HandoffEvent] = []
        for word in words:
            if type(word) in SIDE_WORDS:
                continue
            if type(word) is not TenantSet:
                handoff_words.append(cast("HandoffEvent", word))
                continue
            # What came before is counted by the days that held then, and counted anew after the change.
            self._take_handoffs(connection, handoff_words, zones, recent)
            handoff_words = []
            self._settle(connection, recent, zones)
            self.post(connection, recent)
            self._put_settings.upsert(connection, [(word.tenant, word.time_zone, word.currency_code)])
            if zones.move(word):
                self._count_anew(connection, word.tenant, zones.of(word.tenant))
        self._take_handoffs(connection, handoff_words, zones, recent)

    def settle(self, connection: Connection, recent: RecentFacts, *, but_newest: int = 0) -> None:
        """Write the facts that have changed, but for so many touched last, and add up their sums."""
        self._settle(connection, recent, self._read_zones(connection), but_newest)

    def fold_sla(
        self, connection: Connection, words: Sequence[SlaWord], recent: RecentFacts | None = None
    ) -> None:
        """Take words of the sla log, in its order, into the tables."""
        recent = self.recent_facts("") if recent is None else recent
        self.take_sla(connection, words, recent)
        self.settle(connection, recent)
        self.post(connection, recent)

    def take_sla(self, connection: Connection, words: Sequence[SlaWord], recent: RecentFacts) -> None:
        """Take words of the sla log into what is at hand, of which `settle` writes what has changed."""
        if any(isinstance(word, AgreementKnown | CalendarKnown) for word in words):
            # What is counted by open time is counted by what is known of it, and anew where that changes.
            self.settle(connection, recent)
            once = OpenTimes(connection, self.tables).read()
            self._keep_agreements(connection, words)
            zones = self._read_zones(connection)
            self._clock_sums.retime(connection, once, _tenants_of(words), zones.of, recent.sheet)
            self.post(connection, recent)
        self._side.fold(connection, _side_words(words), recent.deals)
        self._take_clocks(connection, [word for word in words if type(word) is ClockEvent], recent.clocks)

    def divided_at(self, connection: Connection, whole: Folded | None, service: str) -> None:
        """Note that a log is divided otherwise from where `whole` says; by None, from its beginning."""
        log = self.tables.folded_log
        of_a_member = log.c.service.startswith(f"{service}.", autoescape=True)
        connection.execute(delete(log).where(of_a_member | (log.c.service == service)))
        if whole is not None:
            self._put_logs.upsert(connection, [whole])

    def note_progress(
        self, connection: Connection, folded: Folded, tenants: Sequence[FoldedTenant] = ()
    ) -> None:
        """Record how far a log, and each tenant's view that has moved, is folded in; answers say so."""
        self._put_logs.upsert(connection, [folded])
        self._put_views.upsert(connection, tenants)

    # Handoffs.

    def _take_handoffs(
        self, connection: Connection, words: Sequence[HandoffEvent], zones: _Zones, recent: RecentFacts
    ) -> None:
        if not words:
            return
        facts = recent.handoffs
        _read_handoffs(connection, words, facts)
        counted = [each for word in words if (each := _take(facts, word)) is not None]
        ends = [each for each in counted if isinstance(each, OfferEnd)]
        happenings = [each for each in counted if isinstance(each, Happening)]
        for end in ends:
            recent.sheet.count_offer(end, zones.of(end.tenant))
        for happening in happenings:
            recent.sheet.count_happening(happening, zones.of(happening.tenant))
        self._add_offer_ends.insert(connection, ends)
        self._add_happenings.insert(connection, happenings)

    def _settle(
        self, connection: Connection, recent: RecentFacts, zones: _Zones, but_newest: int = 0
    ) -> None:
        self._settle_handoffs(connection, recent, zones, but_newest)
        deals = recent.deals.changes(but_newest=but_newest)
        for before, _, deal in deals:
            days = zones.of(deal.tenant)
            if before is not None:
                recent.sheet.count_deal(OpportunityFact(*before), days, -1)
            recent.sheet.count_deal(deal, days)
        recent.deals.write(connection, deals)
        self._settle_clocks(connection, recent, zones, but_newest)

    def post(self, connection: Connection, recent: RecentFacts, *, but_newest: int = 0) -> None:
        """Write the sums that have changed; but for about so many, those of the newest days."""
        if not but_newest:
            self._post(connection, recent.sheet)
        elif len(recent.sheet) > 2 * but_newest:
            self._post_places(connection, recent.sheet.take_oldest(but_newest=but_newest))

    def _settle_handoffs(
        self, connection: Connection, recent: RecentFacts, zones: _Zones, but_newest: int
    ) -> None:
        sheet, moved = recent.sheet, dict[str, tuple[SeenHandoff, SeenHandoff]]()
        changes = recent.handoffs.changes(but_newest=but_newest)
        for before, row, fact in changes:
            days = zones.of(fact.tenant)
            if before is None:
                sheet.count_handoff(fact, days)
            else:
                sheet.recount_handoff(before, row, fact, days)
            known, seen = NOBODY if before is None else seen_in_row(before), seen_in_row(row)
            if known != seen:
                moved[fact.handoff] = known, seen
        recent.handoffs.write(connection, changes)
        self._clock_sums.move(connection, moved, zones.of, sheet)

    # Clocks.

    def _take_clocks(
        self, connection: Connection, words: Sequence[ClockEvent], facts: Facts[ClockFact]
    ) -> None:
        facts.read(connection, dict.fromkeys(word.clock for word in words))
        for word in words:
            name = word.clock
            fact = facts[name] if name in facts else facts.add(name, begin_clock(word))
            fold_clock(fact, word)

    def _settle_clocks(
        self, connection: Connection, recent: RecentFacts, zones: _Zones, but_newest: int
    ) -> None:
        changes = recent.clocks.changes(but_newest=but_newest)
        self._clock_sums.settle(connection, changes, zones.of, recent.sheet)
        recent.clocks.write(connection, changes)

    def _keep_agreements(self, connection: Connection, words: Sequence[SlaWord]) -> None:
        calendars = {
            word.calendar_version: (word.calendar_version, definition_of(word.calendar))
            for word in words
            if isinstance(word, CalendarKnown)
        }
        self._put_calendars.upsert(connection, list(calendars.values()))
        newest = {word.agreement_version: word for word in words if isinstance(word, AgreementKnown)}
        if not newest:
            return
        commitments = self.tables.commitment_version
        connection.execute(delete(commitments).where(commitments.c.agreement_version.in_(newest)))
        self._put_agreements.upsert(
            connection,
            [
                (word.agreement_version, word.tenant, word.state, word.calendar_version, word.effective_time)
                for word in newest.values()
            ],
        )
        self._add_commitments.insert(
            connection,
            [
                (word.agreement_version, promise.commitment_id, word.tenant, rank, *promise[1:])
                for word in newest.values()
                for rank, promise in enumerate(word.commitments)
            ],
        )

    # Both.

    def _post(self, connection: Connection, sheet: Sheet) -> None:
        self._post_places(connection, sheet.take_all())

    def _post_places(self, connection: Connection, places: Sequence[Place]) -> None:
        for name, rollup in self._rollups.items():
            rollup.post(connection, ((place, getattr(place, name)) for place in places))
        self._waits.post(connection, ((place, place.waits) for place in places))

    def _read_zones(self, connection: Connection) -> _Zones:
        setting = self.tables.tenant_setting
        rows = connection.execute(select(setting.c.tenant, setting.c.time_zone)).all()
        return _Zones({row.tenant: row.time_zone for row in rows}, self._zones)

    def _count_anew(self, connection: Connection, tenant: str, days: LocalDays) -> None:
        """Make the tenant's roll-ups again from its facts: its days begin at other instants now."""
        for table in self.tables.rollups:
            connection.execute(delete(table).where(table.c.tenant == tenant))
        tables = self.tables
        for part in _parts(connection, tables.handoff_fact, tenant):
            sheet, facts = Sheet(), [HandoffFact(*row) for row in part]
            for fact in facts:
                sheet.count_handoff(fact, days)
            self._clock_sums.count_missed(connection, facts, days, sheet)
            self._post(connection, sheet)
        for part in _parts(connection, tables.clock_fact, tenant):
            sheet = Sheet()
            self._clock_sums.count_clocks(connection, [ClockFact(*row) for row in part], days, sheet)
            self._post(connection, sheet)
        for part in _parts(connection, tables.offer_end, tenant):
            self._count_all(connection, Sheet.count_offer, [OfferEnd(*row) for row in part], days)
        for part in _parts(connection, tables.opportunity_fact, tenant):
            self._count_all(connection, Sheet.count_deal, [OpportunityFact(*row) for row in part], days)
        for part in _parts(connection, tables.happening, tenant):
            self._count_all(connection, Sheet.count_happening, [Happening(*row) for row in part], days)

    def _count_all(
        self,
        connection: Connection,
        count: Callable[[Sheet, T, LocalDays], None],
        facts: Iterable[T],
        days: LocalDays,
    ) -> None:
        sheet = Sheet()
        for fact in facts:
            count(sheet, fact, days)
        self._post(connection, sheet)


def _tenants_of(words: Iterable[SlaWord]) -> frozenset[str]:
    """Return whose agreements and calendars the words are about."""
    about = {word.agreement_version for word in words if isinstance(word, AgreementKnown)}
    about |= {word.calendar_version for word in words if isinstance(word, CalendarKnown)}
    return frozenset(whose(version) for version in about)


def _side_words(words: Iterable[LeadWord | SlaWord]) -> list[SideWord]:
    return [cast("SideWord", word) for word in words if type(word) in SIDE_WORDS]


def _read_handoffs(connection: Connection, words: Sequence[HandoffEvent], facts: Facts[HandoffFact]) -> None:
    begun = {word.handoff for word in words if type(word) is Submitted}
    names = {word.handoff for word in words}
    for word in words:
        if type(word) is Merged or type(word) is Unmerged:
            names.update(word.others)
        elif type(word) is Follows:
            names.add(word.previous_handoff)
    names -= begun | {""}
    while names:
        facts.read(connection, names)
        # A merge that is taken back is taken back from all that went on since.
        further = {facts.peek(name).merged_into for name in names if name in facts}
        names = further - names - begun - {""}


def _take(facts: Facts[HandoffFact], word: HandoffEvent) -> OfferEnd | Happening | None:
    if type(word) is Submitted:
        facts.add(word.handoff, begin(word))
        return None
    if type(word) is Merged or type(word) is Unmerged:
        _take_of_several(facts, word)
        return None
    try:
        fact = facts[word.handoff]
    except KeyError:
        raise FactMissing(word.handoff) from None
    counted = fold(fact, word)
    if type(word) is Follows and word.previous_handoff in facts:
        follow(fact, facts.peek(word.previous_handoff))
    return counted


def _take_of_several(facts: Facts[HandoffFact], word: Merged | Unmerged) -> None:
    for name in (word.handoff, *word.others):
        if name and name not in facts:
            raise FactMissing(name)
    if isinstance(word, Merged):
        merge(facts, word)
    else:
        unmerge(facts, word)


def _upsert(table: Table, key: str) -> UpsertRows:
    names = [column.name for column in table.columns]
    if names[0] != key:
        raise ValueError(f"{key} is not the first column of {table.name}")
    return UpsertRows(table, key=[key], replace=names[1:])


def _parts(connection: Connection, table: Table, tenant: str) -> Iterator[Sequence[Sequence[Any]]]:
    """Return the tenant's rows in order of their key, a bounded number at a time."""
    key = next(iter(table.primary_key.columns))
    after = ""
    while True:
        query = select(table).where(table.c.tenant == tenant, key > after).order_by(key).limit(_REZONE_ROWS)
        part = connection.execute(query).all()
        if not part:
            return
        yield part
        after = part[-1][0]
