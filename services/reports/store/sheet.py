"""What the events of one batch change in the sums, added up before any of it is written.

A handoff that changed is counted by what differs: most events leave most of its sums alone, and to find
that out costs a comparison of columns.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeAlias, TypeVar

from services.reports.domain.clocks import CLOCK_COUNTERS, ClockFact, clock_cell, clock_marks
from services.reports.domain.deals import deal_tallies
from services.reports.domain.funnel import amount_cells, handoff_cells, reason_cells
from services.reports.domain.handoffs import HandoffFact, Happening, OfferEnd
from services.reports.domain.labels import UNKNOWN, Cell, Labels
from services.reports.domain.opportunities import OpportunityFact
from services.reports.domain.periods import LocalDays
from services.reports.domain.tallies import Tally, happening_cell, tallies_of
from services.reports.domain.waits import Wait, clock_waits, handoff_waits
from services.reports.domain.words import OfferOutcome
from services.reports.store.rollups import ONE_ITEM, Changes, WaitChanges, by_amount, by_marks

__all__ = ["FactRow", "Sheet", "labels_of_row", "row_of"]

FactRow: TypeAlias = Sequence[Any]
"""The columns of a handoff's fact, in their order."""

Each = TypeVar("Each")

_FIELDS: Final = tuple(HandoffFact.__dataclass_fields__)
_ELAPSED: Final = 64 * len(CLOCK_COUNTERS)
_ENDED: Final = "ended"
_OFFER_MARK: Final = {outcome.value: 1 << at for at, outcome in enumerate(OfferOutcome)}
_TIMES: Final = (
    "submit_time",
    "archived",
    "accept_time",
    "first_follow_up_time",
    "won_time",
    "lost_time",
    "reject_time",
    "disqualify_time",
    "recycle_time",
    "void_time",
)
_STAGES_REST_ON: Final = (
    *(*Labels._fields, *_TIMES, "qualify_time", "convert_time", "reason_code", "accountable_party"),
    *("currency", "minor_units", "value_currency", "value_minor_units"),
)
_WAITS_REST_ON: Final = (
    *(*Labels._fields, *_TIMES, "inquire_time", "historical", "offer_time", "first_contact_time"),
    *("qualify_time", "convert_time"),
)


def _columns(names: Iterable[str]) -> "itemgetter[Any]":
    return itemgetter(*(_FIELDS.index(name) for name in names))


row_of: Final = attrgetter(*_FIELDS)
"""The row of a fact."""

_stages_of_row: Final = _columns(_STAGES_REST_ON)
_waits_of_row: Final = _columns(_WAITS_REST_ON)
_labels_of_row: Final = _columns(Labels._fields)


def labels_of_row(row: FactRow) -> Labels:
    """Return what the handoff of a row is counted under."""
    return Labels._make(_labels_of_row(row))


class Sheet:
    """The changes of one batch, for each roll-up."""

    def __init__(self) -> None:
        self.handoffs: Changes = defaultdict(int)
        self.amounts: Changes = defaultdict(int)
        self.reasons: Changes = defaultdict(int)
        self.clocks: Changes = defaultdict(int)
        self.offers: Changes = defaultdict(int)
        self.tallies: Changes = defaultdict(int)
        self.waits: WaitChanges = {}

    def count_handoff(self, fact: HandoffFact, days: LocalDays) -> None:
        """Count a handoff of which nothing was counted yet."""
        labels = fact.labels
        self._count_stages(fact, days, 1)
        self._count_tallies(fact, labels, tallies_of(fact), days, 1)
        self._count_waits(fact, labels, handoff_waits(fact), days, 1)

    def recount_handoff(self, before: FactRow, row: FactRow, fact: HandoffFact, days: LocalDays) -> None:
        """Count a handoff that was counted as `before`, and is `fact` now, of which `row` is the row."""
        old = HandoffFact(*before)
        old_labels, labels = old.labels, fact.labels
        if _stages_of_row(before) != _stages_of_row(row):
            self._count_stages(old, days, -1)
            self._count_stages(fact, days, 1)
        gone, new = tallies_of(old), tallies_of(fact)
        if old_labels == labels:
            gone, new = _difference(gone, new)
        self._count_tallies(old, old_labels, gone, days, -1)
        self._count_tallies(fact, labels, new, days, 1)
        if _waits_of_row(before) == _waits_of_row(row):
            return
        left, come = handoff_waits(old), handoff_waits(fact)
        if old_labels == labels:
            left, come = _difference(left, come)
        self._count_waits(old, old_labels, left, days, -1)
        self._count_waits(fact, labels, come, days, 1)

    def count_clock(self, fact: ClockFact, labels: Labels, days: LocalDays, number: int) -> None:
        """Count a clock under the labels of its handoff, so many times."""
        self.clocks[clock_cell(fact, labels, days)] += number * (
            by_marks(clock_marks(fact)) + ((fact.elapsed or 0) << _ELAPSED)
        )
        waits = clock_waits(fact)
        if waits:
            group = labels._replace(team=fact.team)
            self._add_waits(fact.tenant, days.day_of(fact.start_time), group, waits, number)

    def count_offer(self, end: OfferEnd, days: LocalDays) -> None:
        """Count an offer that ended."""
        cell: Cell = (end.tenant, _ENDED, days.day_of(end.end_time), Labels(team=end.team))
        self.offers[cell] += by_marks(_OFFER_MARK[end.outcome])

    def count_deal(self, fact: OpportunityFact, days: LocalDays, number: int = 1) -> None:
        """Count an opportunity, so many times."""
        for anchor, time, word, other, amount in deal_tallies(fact):
            cell: Cell = (fact.tenant, anchor, days.day_of(time), (*UNKNOWN, word, other))
            self.tallies[cell] += number * by_amount(amount)

    def count_happening(self, happening: Happening, days: LocalDays) -> None:
        """Count what is counted by itself."""
        self.tallies[happening_cell(happening, days)] += by_amount(0)

    def _count_stages(self, fact: HandoffFact, days: LocalDays, number: int) -> None:
        for cell, marks in handoff_cells(fact, days):
            self.handoffs[cell] += number * by_marks(marks)
        for cell, amount in amount_cells(fact, days):
            self.amounts[cell] += number * by_amount(amount)
        for cell in reason_cells(fact, days):
            self.reasons[cell] += number

    def _count_tallies(
        self, fact: HandoffFact, labels: Labels, found: Iterable[Tally], days: LocalDays, number: int
    ) -> None:
        tenant, day_of, tallies = fact.tenant, days.day_of, self.tallies
        for anchor, time, word, other, amount in found:
            tallies[tenant, anchor, day_of(time), (*labels, word, other)] += number * by_amount(amount)

    def _count_waits(
        self, fact: HandoffFact, labels: Labels, waits: Sequence[Wait], days: LocalDays, number: int
    ) -> None:
        if waits:
            self._add_waits(fact.tenant, days.day_of(fact.submit_time), labels, waits, number)

    def _add_waits(self, tenant: str, day: int, labels: Labels, waits: Iterable[Wait], number: int) -> None:
        place = (tenant, day, labels)
        buckets = self.waits.get(place)
        if buckets is None:
            buckets = self.waits[place] = {}
        for key, micros in waits:
            buckets[key] = buckets.get(key, 0) + number * (ONE_ITEM + micros)


def _difference(before: list[Each], after: list[Each]) -> tuple[list[Each], list[Each]]:
    """Return what only the first holds and what only the second; both are short."""
    gone, new = [], after.copy()
    for each in before:
        if each in new:
            new.remove(each)
        else:
            gone.append(each)
    return gone, new
