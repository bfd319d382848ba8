"""The fold: takes events of both logs, in batches, into facts and roll-ups, in the caller's transaction.

However the logs are cut into batches and whichever is ahead, the tables end up the same, byte for byte:
a handoff's row follows from its events, a clock's from its own, and every sum from those rows and the
tenant's zone alone. The cost of a batch is that of the facts it touches, never of those that exist.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
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
from services.reports.domain.labels import UNKNOWN, Labels
from services.reports.domain.merging import merge, unmerge
from services.reports.domain.opportunities import OpportunityFact
from services.reports.domain.periods import LocalDays, Micros
from services.reports.domain.words import Follows, HandoffEvent, Merged, Submitted, Unmerged
from services.reports.store.calendars import definition_of
from services.reports.store.recent import RecentFacts
from services.reports.store.rollups import Rollup, WaitRollup
from services.reports.store.schema import Tables
from services.reports.store.sheet import FactRow, Sheet, labels_of_row, row_of
from services.reports.store.side_facts import SIDE_WORDS, Moved, SideFacts, SideWord
from smarketing.businesstime import load_zone
from smarketing.sql.rows import FindRows, InsertRows, UpsertRows

__all__ = ["DEFAULT_ZONE", "Folded", "FoldedTenant", "LeadWord", "ReadModel", "SlaWord"]

T = TypeVar("T")

DEFAULT_ZONE: Final = "Etc/UTC"

LeadWord: TypeAlias = HandoffEvent | TenantSet | SideWord
"""What the leads log tells reports."""

SlaWord: TypeAlias = ClockEvent | AgreementKnown | CalendarKnown | SideWord
"""What the sla log tells reports."""

_MERGED_INTO: Final = tuple(HandoffFact.__dataclass_fields__).index("merged_into")
_clock_row = attrgetter(*ClockFact.__dataclass_fields__)
_REZONE_ROWS: Final = 10_000


class Folded(NamedTuple):
    """How far a log was folded in."""

    service: str
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
        self._find_handoffs = FindRows(tables.handoff_fact, key=["handoff"])
        self._find_labels = FindRows(
            tables.handoff_fact, key=["handoff"], columns=["handoff", *Labels._fields]
        )
        self._find_clocks = FindRows(tables.clock_fact, key=["clock"])
        self._find_clocks_of = FindRows(tables.clock_fact, key=["handoff"])
        self._put_handoffs = _upsert(tables.handoff_fact, "handoff")
        self._put_clocks = _upsert(tables.clock_fact, "clock")
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
            "offers": Rollup(tables.offer_rollup),
            "tallies": Rollup(tables.tally_rollup),
        }
        self._waits = WaitRollup(tables.waiting_rollup)

    def recent_facts(self, service: str) -> RecentFacts:
        """Return an empty memory of the handoffs of a log, for `fold_leads`."""
        return RecentFacts(self.tables.folded_log, service)

    def fold_leads(
        self, connection: Connection, words: Sequence[LeadWord], recent: RecentFacts | None = None
    ) -> None:
        """Take words of the leads log, in its order, into the tables.

        What is `recent` is not read again; its owner says when it begins and ends.

        Raises:
            FactMissing: when a word is about a handoff that was never submitted.
        """
        moved = self._side.fold(connection, _side_words(words))
        zones = self._read_zones(connection)
        self._count_deals(connection, moved, zones)
        recent = self.recent_facts("") if recent is None else recent
        handoff_words: list[HandoffEvent] = []
        for word in words:
            if type(word) in SIDE_WORDS:
                continue
            if not isinstance(word, TenantSet):
                handoff_words.append(cast("HandoffEvent", word))
                continue
            # What came before is counted by the days that held then, and counted anew after the change.
            self._fold_handoffs(connection, handoff_words, zones, recent)
            handoff_words = []
            self._put_settings.upsert(connection, [(word.tenant, word.time_zone, word.currency_code)])
            if zones.move(word):
                self._count_anew(connection, word.tenant, zones.of(word.tenant))
        self._fold_handoffs(connection, handoff_words, zones, recent)

    def _count_deals(self, connection: Connection, moved: Sequence[Moved], zones: _Zones) -> None:
        if not moved:
            return
        sheet = Sheet()
        for before, after in moved:
            days = zones.of(after.tenant)
            if before is not None:
                sheet.count_deal(before, days, -1)
            sheet.count_deal(after, days)
        self._post(connection, sheet)

    def fold_sla(self, connection: Connection, words: Sequence[SlaWord]) -> None:
        """Take words of the sla log, in its order, into the tables."""
        self._keep_agreements(connection, [word for word in words if isinstance(word, AgreementKnown)])
        calendars = {
            word.calendar_version: (word.calendar_version, definition_of(word.calendar))
            for word in words
            if isinstance(word, CalendarKnown)
        }
        self._put_calendars.upsert(connection, list(calendars.values()))
        self._side.fold(connection, _side_words(words))
        self._fold_clocks(connection, [word for word in words if isinstance(word, ClockEvent)])

    def note_progress(
        self, connection: Connection, folded: Folded, tenants: Sequence[FoldedTenant] = ()
    ) -> None:
        """Record how far a log, and each tenant's view that has moved, is folded in; answers say so."""
        self._put_logs.upsert(connection, [folded])
        self._put_views.upsert(connection, tenants)

    # Handoffs.

    def _fold_handoffs(
        self, connection: Connection, words: Sequence[HandoffEvent], zones: _Zones, recent: RecentFacts
    ) -> None:
        if not words:
            return
        rows = self._load_handoffs(connection, words, recent)
        facts = {name: HandoffFact(*row) for name, row in rows.items()}
        counted = [each for word in words if (each := _take(facts, word)) is not None]
        ends = [each for each in counted if isinstance(each, OfferEnd)]
        happenings = [each for each in counted if isinstance(each, Happening)]
        sheet = Sheet()
        moved: dict[str, tuple[Labels, Labels]] = {}
        written: list[FactRow] = []
        for name, fact in facts.items():
            fact.settle()
            row, before, days = row_of(fact), rows.get(name), zones.of(fact.tenant)
            written.append(row)
            if before is None:
                sheet.count_handoff(fact, days)
            else:
                sheet.recount_handoff(before, row, fact, days)
            known = UNKNOWN if before is None else labels_of_row(before)
            if known[:-1] != fact.labels[:-1]:
                moved[name] = known, fact.labels
        for end in ends:
            sheet.count_offer(end, zones.of(end.tenant))
        for happening in happenings:
            sheet.count_happening(happening, zones.of(happening.tenant))
        self._put_handoffs.upsert(connection, written)
        recent.keep(written)
        self._add_offer_ends.insert(connection, ends)
        self._add_happenings.insert(connection, happenings)
        self._move_clocks(connection, moved, zones, sheet)
        self._post(connection, sheet)

    def _load_handoffs(
        self, connection: Connection, words: Sequence[HandoffEvent], recent: RecentFacts
    ) -> dict[str, FactRow]:
        begun = {word.handoff for word in words if type(word) is Submitted}
        names = {word.handoff for word in words}
        names.update(*(word.others for word in words if isinstance(word, Merged | Unmerged)))
        names.update(word.previous_handoff for word in words if type(word) is Follows)
        names -= begun | {""}
        rows: dict[str, FactRow] = {}
        while names:
            found = recent.take(names)
            asked = [(name,) for name in names if name not in found]
            found |= {row[0]: row for row in self._find_handoffs.find(connection, asked)}
            rows |= found
            # A merge that is taken back is taken back from all that went on since.
            names = {row[_MERGED_INTO] for row in found.values()} - rows.keys() - begun - {""}
        return rows

    def _move_clocks(
        self, connection: Connection, moved: dict[str, tuple[Labels, Labels]], zones: _Zones, sheet: Sheet
    ) -> None:
        """Count the clocks of handoffs under their new labels."""
        for row in self._find_clocks_of.find(connection, [(name,) for name in moved]):
            clock = ClockFact(*row)
            old, new = moved[clock.handoff]
            days = zones.of(clock.tenant)
            sheet.count_clock(clock, old, days, -1)
            sheet.count_clock(clock, new, days, 1)

    # Clocks.

    def _fold_clocks(self, connection: Connection, words: Sequence[ClockEvent]) -> None:
        if not words:
            return
        zones = self._read_zones(connection)
        names = dict.fromkeys(word.clock for word in words)
        facts = {
            row[0]: ClockFact(*row) for row in self._find_clocks.find(connection, [(name,) for name in names])
        }
        labels = self._labels_of(connection, (word.handoff for word in words))
        sheet = Sheet()
        for fact in facts.values():
            sheet.count_clock(fact, labels.get(fact.handoff, UNKNOWN), zones.of(fact.tenant), -1)
        for word in words:
            known = facts.get(word.clock)
            if known is None:
                known = facts[word.clock] = begin_clock(word)
            fold_clock(known, word)
        for fact in facts.values():
            sheet.count_clock(fact, labels.get(fact.handoff, UNKNOWN), zones.of(fact.tenant), 1)
        self._put_clocks.upsert(connection, list(map(_clock_row, facts.values())))
        self._post(connection, sheet)

    def _labels_of(self, connection: Connection, handoffs: Iterable[str]) -> dict[str, Labels]:
        keys = [(name,) for name in dict.fromkeys(handoffs)]
        return {row[0]: Labels(*row[1:]) for row in self._find_labels.find(connection, keys)}

    def _keep_agreements(self, connection: Connection, words: Sequence[AgreementKnown]) -> None:
        newest = {word.agreement_version: word for word in words}
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
        for name, rollup in self._rollups.items():
            rollup.post(connection, getattr(sheet, name))
        self._waits.post(connection, sheet.waits)

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
            facts = [HandoffFact(*row) for row in part]
            self._count_all(connection, Sheet.count_handoff, facts, days)
        for part in _parts(connection, tables.clock_fact, tenant):
            sheet = Sheet()
            clocks = [ClockFact(*row) for row in part]
            labels = self._labels_of(connection, (clock.handoff for clock in clocks))
            for clock in clocks:
                sheet.count_clock(clock, labels.get(clock.handoff, UNKNOWN), days, 1)
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


def _side_words(words: Iterable[LeadWord | SlaWord]) -> list[SideWord]:
    return [cast("SideWord", word) for word in words if type(word) in SIDE_WORDS]


def _take(facts: dict[str, HandoffFact], word: HandoffEvent) -> OfferEnd | Happening | None:
    if type(word) is Submitted:
        facts[word.handoff] = begin(word)
        return None
    if isinstance(word, Merged | Unmerged):
        _take_of_several(facts, word)
        return None
    fact = facts.get(word.handoff)
    if fact is None:
        raise FactMissing(word.handoff)
    counted = fold(fact, word)
    if type(word) is Follows and word.previous_handoff in facts:
        follow(fact, facts[word.previous_handoff])
    return counted


def _take_of_several(facts: dict[str, HandoffFact], word: Merged | Unmerged) -> None:
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
