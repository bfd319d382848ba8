"""What changed in the sums, added up before any of it is written.

All sums of one tenant under the same labels lie in one place, so that the labels of a handoff are looked
up once, however many of its sums change. A handoff that changed is counted by what differs: most events
leave most of its sums alone, and to find that out costs a comparison of columns.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeAlias

from services.reports.domain.clocks import CLOCK_COUNTERS, DUE, ClockFact, clock_marks
from services.reports.domain.deals import closings_of, deal_tallies
from services.reports.domain.funnel import Reached, amounts_of, reached_times, reasons_of, stages_of
from services.reports.domain.handoffs import HandoffFact, Happening, OfferEnd
from services.reports.domain.labels import UNKNOWN, Labels
from services.reports.domain.misses import Miss, SeenHandoff, late_word, misses_of
from services.reports.domain.opportunities import OpportunityFact
from services.reports.domain.periods import Days, LocalDays, Micros
from services.reports.domain.tallies import Tally, tallies_of
from services.reports.domain.waits import Wait, clock_wait, handoff_waits
from services.reports.domain.words import OfferOutcome
from services.reports.store.calendars import OpenTimes
from services.reports.store.rollups import ONE_ITEM, Buckets, Place, Sums, by_amount, by_counters, by_marks

__all__ = ["MISSED", "FactRow", "Sheet", "row_of"]

FactRow: TypeAlias = Sequence[Any]
"""The columns of a handoff's fact, in their order."""

_FIELDS: Final = tuple(HandoffFact.__dataclass_fields__)
_ELAPSED: Final = 64 * len(CLOCK_COUNTERS)
_ENDED: Final = "ended"
MISSED: Final = "missed"
"""The anchor of handoffs with a missed clock, on the day of submission."""
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
    *("deal_currency", "deal_minor_units"),
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
_place_of: Final = attrgetter("tenant", *Labels._fields)


class Sheet:
    """Changes of sums, by place."""

    def __init__(self) -> None:
        self._places: dict[tuple[Any, ...], Place] = {}

    def __len__(self) -> int:
        """Say how many sums changed."""
        return sum(map(len, self._places.values()))

    def take_all(self) -> list[Place]:
        """Take all sums out, and return them."""
        places, self._places = self._places, {}
        return list(places.values())

    def take_oldest(self, *, but_newest: int) -> list[Place]:
        """Take the sums of the oldest days out, and return them; about so many stay.

        Days change most while they are young: an old one is mostly written once, then.
        """
        counts: Counter[Days] = Counter()
        for place in self._places.values():
            place.count_days(counts)
        boundary = max(counts, default=0) + 1
        for day in sorted(counts, reverse=True):
            but_newest -= counts[day]
            if but_newest < 0:
                break
            boundary = day
        return [old for place in self._places.values() if len(old := place.split(boundary))]

    def count_handoff(self, fact: HandoffFact, days: LocalDays) -> None:
        """Count a handoff of which nothing was counted yet."""
        place, reached = self._place(_place_of(fact)), reached_times(fact)
        _count_stages(place, fact, reached, days, 1)
        _count_tallies(place.tallies, tallies_of(fact, reached), days, 1)
        _count_waits(place, fact, reached, days, 1)

    def recount_handoff(self, before: FactRow, row: FactRow, fact: HandoffFact, days: LocalDays) -> None:
        """Count a handoff that was counted as `before`, and is `fact` now, of which `row` is the row."""
        old = HandoffFact(*before)
        left, place = self._place(_place_of(old)), self._place(_place_of(fact))
        once, reached = reached_times(old), reached_times(fact)
        if _stages_of_row(before) != _stages_of_row(row):
            _count_stages(left, old, once, days, -1)
            _count_stages(place, fact, reached, days, 1)
        _count_tallies(left.tallies, tallies_of(old, once), days, -1)
        _count_tallies(place.tallies, tallies_of(fact, reached), days, 1)
        if _waits_of_row(before) != _waits_of_row(row):
            _count_waits(left, old, once, days, -1)
            _count_waits(place, fact, reached, days, 1)

    def count_clock(
        self, fact: ClockFact, seen: SeenHandoff, days: LocalDays, open_times: OpenTimes, number: int
    ) -> None:
        """Count a clock so many times: on the day it is due, by its handoff's labels and its own team."""
        place = self._place((fact.tenant, *seen.labels[:-1], fact.team))
        key = (DUE, days.day_of(fact.due_time), fact.commitment_id, fact.parties, fact.agreement)
        place.clocks[key] += number * (by_marks(clock_marks(fact)) + ((fact.elapsed or 0) << _ELAPSED))
        found = clock_wait(fact)
        if found is not None:
            version, wait = found
            _add_waits(place, (days.day_of(fact.start_time), version), [wait], number)

        if fact.missed_due_time is not None:
            misses = misses_of(fact, seen, open_times[fact.agreement_version])
            self._count_misses(fact, misses, days.day_of(fact.missed_due_time), number)

    def _count_misses(self, fact: ClockFact, misses: Iterable[Miss], day: Days, number: int) -> None:
        sums = self._place((fact.tenant, *UNKNOWN[:-1], fact.team)).misses
        promise = (fact.commitment_id, fact.parties, fact.agreement, fact.agreement_version)
        for kind, bucket, *counted in misses:
            sums[kind.value, day, *promise, str(bucket)] += number * by_counters(1, *counted)

    def count_missed(
        self, tenant: str, seen: SeenHandoff, due_time: Micros | None, days: LocalDays, number: int
    ) -> None:
        """Count a handoff a clock of which was missed first when it was due then; of no instant none was."""
        if due_time is None or seen.submit_time is None:
            return
        place = self._place((tenant, *seen.labels[:-1], None))
        late = late_word(days.day_of(due_time), days.day_of(seen.submit_time))
        won = "" if seen.won_time is None else "won"
        place.tallies[MISSED, days.day_of(seen.submit_time), won, late] += number

    def count_offer(self, end: OfferEnd, days: LocalDays) -> None:
        """Count an offer that ended."""
        place = self._place((end.tenant, *UNKNOWN[:-1], end.team))
        place.offers[_ENDED, days.day_of(end.end_time)] += by_marks(_OFFER_MARK[end.outcome])

    def count_deal(self, fact: OpportunityFact, days: LocalDays, number: int = 1) -> None:
        """Count an opportunity, so many times."""
        place = self._place((fact.tenant, *UNKNOWN))
        _count_tallies(place.tallies, deal_tallies(fact), days, number)
        for anchor, day, word, other, amount in closings_of(fact):
            place.tallies[anchor, day, word, other] += number * by_amount(amount)

    def count_happening(self, happening: Happening, days: LocalDays) -> None:
        """Count what is counted by itself."""
        place = self._place((happening.tenant, *happening.labels))
        place.tallies[happening.kind, days.day_of(happening.time), "", ""] += by_amount(0)

    def _place(self, key: tuple[Any, ...]) -> Place:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(key[0], Labels(*key[1:]))
        return place


def _count_stages(place: Place, fact: HandoffFact, reached: Reached, days: LocalDays, number: int) -> None:
    day_of, sums = days.day_of, place.handoffs
    for anchor, time, marks in stages_of(fact, reached):
        sums[anchor, day_of(time)] += number * by_marks(marks)
    for anchor, time, currency, amount in amounts_of(fact):
        place.amounts[anchor, day_of(time), currency] += number * by_amount(amount)
    for anchor, time, *reason in reasons_of(fact):
        place.reasons[anchor, day_of(time), *reason] += number


def _count_tallies(sums: Sums, found: Iterable[Tally], days: LocalDays, number: int) -> None:
    day_of = days.day_of
    for anchor, time, word, other, amount in found:
        # As `by_amount` has it, without a call: there are a dozen of every handoff.
        sums[anchor, day_of(time), word, other] += number + (number * amount << 64)


def _count_waits(place: Place, fact: HandoffFact, reached: Reached, days: LocalDays, number: int) -> None:
    waits = handoff_waits(fact, reached)
    if waits:
        _add_waits(place, (days.day_of(fact.submit_time), None), waits, number)


def _add_waits(place: Place, when: tuple[Days, str | None], waits: Iterable[Wait], number: int) -> None:
    buckets: Buckets | None = place.waits.get(when)
    if buckets is None:
        buckets = place.waits[when] = defaultdict(int)
    for key, micros in waits:
        buckets[key] += number * (ONE_ITEM + micros)
