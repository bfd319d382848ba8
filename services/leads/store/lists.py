"""Which index answers which list, and in which order; pages of handoffs, offers and follow-ups."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import product
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    and_,
    false,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)

from services.leads.domain.follow_up import FollowUp
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.states import HandoffState
from services.leads.store import rows, statements
from services.leads.store.merges import goes_on_for
from services.leads.store.schema import SCHEMA
from services.leads.store.walks import Key, Walk
from services.leads.wire.filters import Operator, Restriction

__all__ = ["FollowUpPage", "HandoffList", "HandoffOrder", "HandoffPage", "OfferPage"]

_T = SCHEMA.leads
_h = _T.handoff.c
_f = _T.follow_up.c

_MOST_RANGES: Final = 24
"""Assignees whose offers are merged; of more, the offers of everybody are looked through."""
_STEP: Final = timedelta(microseconds=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
# Written out, so that a database sees that a partial index holds them all.
_OFFERED: Final = _h.offer_state == literal_column("1")
_OWNED: Final = _h.owner != literal_column("''")
_QUEUED: Final = _h.queue != literal_column("''")

_BY_ID: Final = (_h.lead, _h.number)
_BY_SUBMISSION: Final = (_h.submit_time, _h.lead, _h.number)
_BY_DUE: Final = (_h.next_due_time, _h.lead, _h.number)
_BY_EXPIRY: Final = (_h.offer_expire_time, _h.lead, _h.number)
_BEFORE_LASTING: Final[Key] = (None, "", 0)

_HANDOFF_COLUMNS: Final[Mapping[str, Column[Any]]] = {
    "offer.assignee": _h.offer_assignee,
    "offer.state": _h.offer_state,
    **{f"qualification.{name}": _h[name] for name in ("source", "source_channel", "campaign", "segment")},
    **{f"qualification.{name}": _h[name] for name in ("region", "product", "lead_type", "definition")},
    "qualification.score": _h.score,
}


class HandoffOrder(Enum):
    """The orders in which handoffs can be listed; an index stands behind each."""

    NEWEST_FIRST = "submit_time desc"
    OLDEST_FIRST = "submit_time"
    DUE_FIRST = "next_due_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffList:
    """Which handoffs to list; an empty part filters nothing."""

    tenant: str
    lead: str = ""
    states: tuple[HandoffState, ...] = ()
    external: tuple[str, bytes] | None = None
    """A sender, and the digest of what it called the submission."""
    restrictions: tuple[Restriction, ...] = ()
    order: HandoffOrder = HandoffOrder.NEWEST_FIRST


class HandoffPage:
    """The query for a page of handoffs; `after` says where the next one begins, once it has run."""

    def __init__(self, wanted: HandoffList, *, after: Key | None, limit: int) -> None:
        self._tenant = wanted.tenant
        self.walk: Final = _handoffs(wanted)
        self._begin = after
        self._limit = limit
        self.after: Key | None = None

    def __call__(self, connection: Connection) -> Sequence[Handoff]:
        """Return the page's handoffs, in order."""
        visited = self.walk.page(connection, after=self._begin, limit=self._limit)
        self.after = visited.after
        return _loaded(connection, self._tenant, visited.keys)


def _handoffs(wanted: HandoffList) -> Walk:
    states = frozenset(wanted.states) or frozenset(HandoffState)
    rest: list[Restriction] = []
    for each in wanted.restrictions:
        narrowed = _narrowed(states, each)
        states = states if narrowed is None else narrowed
        if narrowed is None:
            rest.append(each)
    if wanted.lead or wanted.external is not None:
        return _of_one(wanted, states, rest)
    columns = _BY_DUE if wanted.order is HandoffOrder.DUE_FIRST else _BY_SUBMISSION
    fixed = {name: _taken(rest, name) for name in ("owner", "queue", "archived")}
    above, below = _bounds(columns, rest, wanted.order.value.split()[0])
    by_index = _ranges_due if wanted.order is HandoffOrder.DUE_FIRST else _ranges
    ranges, left = by_index(wanted.tenant, states, fixed)
    return Walk(
        columns=columns,
        ranges=ranges,
        conditions=[*left, *(_condition(_column(each.field), each) for each in rest)],
        descending=wanted.order is HandoffOrder.NEWEST_FIRST,
        above=above,
        below=below,
    )


def _of_one(wanted: HandoffList, states: frozenset[HandoffState], rest: Sequence[Restriction]) -> Walk:
    """Walk the handoffs of one lead, or of one submission, which are few, by number."""
    fixed: list[ColumnElement[bool]] = [_h.tenant == wanted.tenant]
    if wanted.lead:
        fixed.append(_h.lead == wanted.lead)
    if wanted.external is not None:
        system, digest = wanted.external
        known = _T.submission.c
        submitted = select(known.lead, known.number).where(
            known.tenant == wanted.tenant, known.source_system == system, known.external_digest == digest
        )
        fixed.append(tuple_(*_BY_ID).in_(submitted))
    return Walk(
        columns=_BY_ID,
        ranges=[fixed],
        conditions=[*_in_states(states), *(_condition(_column(each.field), each) for each in rest)],
        descending=wanted.order is HandoffOrder.NEWEST_FIRST,
    )


_Ranges = tuple[list[list[ColumnElement[bool]]], list[ColumnElement[bool]]]
"""Ranges of an index, and what of the question it leaves open."""


def _ranges(tenant: str, states: frozenset[HandoffState], fixed: Mapping[str, Restriction | None]) -> _Ranges:
    own = _h.tenant == tenant
    owner, queue, archived = fixed["owner"], fixed["queue"], fixed["archived"]
    if owner is not None and owner.value:
        held = [[own, _OWNED, _h.owner == owner.value, _h.state == state.value] for state in sorted(states)]
        return held, _open(queue, archived)
    if queue is not None and queue.value:
        return [[own, _QUEUED, _h.queue == queue.value]], [*_in_states(states), *_open(owner, archived)]
    left = _open(owner, queue)
    if archived is None and len(states) == len(HandoffState):
        return [[own]], left
    flags = (False, True) if archived is None else (archived.value == (archived.operator is Operator.EQUAL),)
    each = product(sorted(states), flags)
    return [[own, _h.state == state.value, _is(_h.archived, flag)] for state, flag in each], left


def _ranges_due(
    tenant: str, states: frozenset[HandoffState], fixed: Mapping[str, Restriction | None]
) -> _Ranges:
    due = [_h.tenant == tenant, _h.next_due_time.is_not(None)]
    owner, queue, archived = fixed["owner"], fixed["queue"], fixed["archived"]
    if owner is not None and owner.value:
        return [[*due, _h.owner == owner.value]], [*_in_states(states), *_open(queue, archived)]
    return [due], [*_in_states(states), *_open(owner, queue, archived)]


def _in_states(states: frozenset[HandoffState]) -> list[ColumnElement[bool]]:
    if len(states) == len(HandoffState):
        return []
    return [_h.state.in_(sorted(state.value for state in states))]


def _open(*restrictions: Restriction | None) -> list[ColumnElement[bool]]:
    return [_condition(_column(each.field), each) for each in restrictions if each is not None]


def _narrowed(states: frozenset[HandoffState], wanted: Restriction) -> frozenset[HandoffState] | None:
    """Return the states that are left; None when it is about another field."""
    if wanted.field != "state" or not isinstance(wanted.value, int):
        return None
    named = frozenset({HandoffState(wanted.value)})
    return states & named if wanted.operator is Operator.EQUAL else states - named


def _taken(rest: list[Restriction], field: str) -> Restriction | None:
    """Take the first comparison that holds the field to one value out of the rest."""
    either = {Operator.EQUAL, Operator.NOT_EQUAL} if field == "archived" else {Operator.EQUAL}
    for number, each in enumerate(rest):
        if each.field == field and each.operator in either:
            return rest.pop(number)
    return None


def _bounds(
    columns: Sequence[Column[Any]], rest: list[Restriction], field: str
) -> tuple[Key | None, Key | None]:
    """Take what bounds the order's instant out of the rest; the bounds are between two instants."""
    above: list[datetime] = []
    below: list[datetime] = []
    for each in list(rest):
        if each.field == field and each.operator in _BOUNDS and isinstance(each.value, datetime):
            from_, to = _BOUNDS[each.operator](each.value, min(each.value, _LAST - _STEP) + _STEP)
            above += from_
            below += to
            rest.remove(each)
    # No lead and no follow-up has an empty id: such a key stands before every row of its instant.
    first = ("", 0)[: len(columns) - 1]
    return (max(above), *first) if above else None, (min(below), *first) if below else None


_BOUNDS: Final[Mapping[Operator, Callable[[datetime, datetime], tuple[list[datetime], list[datetime]]]]] = {
    Operator.EQUAL: lambda instant, following: ([instant], [following]),
    Operator.GREATER_OR_EQUAL: lambda instant, _: ([instant], []),
    Operator.GREATER: lambda _, following: ([following], []),
    Operator.LESS_OR_EQUAL: lambda _, following: ([], [following]),
    Operator.LESS: lambda instant, _: ([], [instant]),
}
"""By comparison, given an instant and the next one: from which on, and before which."""


def _column(field: str) -> Column[Any]:
    known = _HANDOFF_COLUMNS.get(field)
    return _h[field] if known is None else known


def _condition(column: Column[Any], wanted: Restriction) -> ColumnElement[bool]:
    """Return what a row must meet; `!=` is met by all that `=` is not, the unset included."""
    if wanted.operator is Operator.SET:
        return column.is_not(None) if column.nullable or not _is_text(column) else column != ""
    if isinstance(wanted.value, bool):
        return _is(column, wanted.value == (wanted.operator is Operator.EQUAL))
    if wanted.operator is Operator.NOT_EQUAL:
        other = column != wanted.value
        return or_(other, column.is_(None)) if column.nullable else other
    compared: ColumnElement[bool] = _COMPARE[wanted.operator](column, wanted.value)
    return compared


_COMPARE: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQUAL: lambda column, value: column == value,
    Operator.LESS: lambda column, value: column < value,
    Operator.LESS_OR_EQUAL: lambda column, value: column <= value,
    Operator.GREATER: lambda column, value: column > value,
    Operator.GREATER_OR_EQUAL: lambda column, value: column >= value,
}


def _is(column: Column[Any], flag: bool) -> ColumnElement[bool]:
    return column == (true() if flag else false())


def _is_text(column: Column[Any]) -> bool:
    return column.type.python_type is str


class OfferPage:
    """The query for a page of open offers: the one that ends first at the top, queues' last.

    Its keys are (when it ends, lead, number), with None for an offer that never ends.
    """

    def __init__(
        self, tenant: str, assignees: Collection[str] | None, *, after: Key | None, limit: int
    ) -> None:
        self._tenant = tenant
        ranges, conditions = _offers(tenant, assignees)
        self.ending: Final = Walk(
            columns=_BY_EXPIRY,
            ranges=[[*fixed, _h.offer_expire_time.is_not(None)] for fixed in ranges],
            conditions=conditions,
        )
        self.lasting: Final = Walk(
            columns=_BY_ID,
            ranges=[[*fixed, _h.offer_expire_time.is_(None)] for fixed in ranges],
            conditions=conditions,
        )
        self._begin = after
        self._limit = limit
        self.after: Key | None = None

    def __call__(self, connection: Connection) -> Sequence[Handoff]:
        """Return the page's handoffs, in order."""
        begin = self._begin
        keys: list[Key] = []
        if begin is None or begin[0] is not None:
            visited = self.ending.page(connection, after=begin, limit=self._limit)
            keys += visited.keys
            begin = None
            if visited.after is not None or len(keys) == self._limit:
                self.after = visited.after or _BEFORE_LASTING
                return _loaded(connection, self._tenant, keys)
        behind = None if begin is None else begin[1:]
        visited = self.lasting.page(connection, after=behind, limit=self._limit - len(keys))
        self.after = None if visited.after is None else (None, *visited.after)
        return _loaded(connection, self._tenant, [*keys, *visited.keys])


def _offers(tenant: str, assignees: Collection[str] | None) -> _Ranges:
    fixed = [_h.tenant == tenant, _OFFERED]
    if assignees is None:
        return [fixed], []
    if len(assignees) > _MOST_RANGES:
        return [fixed], [_h.offer_assignee.in_(sorted(assignees))]
    return [[*fixed, _h.offer_assignee == each] for each in sorted(assignees)], []


class FollowUpPage:
    """The query for a page of a handoff's follow-ups; `after` says where the next one begins.

    With them come those of the handoffs for which it goes on, as long as their leads are merged.
    """

    def __init__(
        self,
        handoff: HandoffId,
        restrictions: Sequence[Restriction] = (),
        *,
        newest_first: bool = False,
        after: Key | None,
        limit: int,
    ) -> None:
        rest = list(restrictions)
        columns = (_f.occur_time, _f.follow_up)
        above, below = _bounds(columns, rest, "occur_time")
        self._handoff = handoff
        self.walk: Final = Walk(
            columns=columns,
            ranges=[_of(handoff)],
            conditions=[_condition(_f[each.field], each) for each in rest],
            descending=newest_first,
            above=above,
            below=below,
        )
        self._begin = after
        self._limit = limit
        self.after: Key | None = None

    def __call__(self, connection: Connection) -> Sequence[FollowUp]:
        """Return the page's follow-ups, in order."""
        united = [self._handoff, *goes_on_for(connection, self._handoff)]
        walk = self.walk if len(united) == 1 else replace(self.walk, ranges=[_of(each) for each in united])
        visited = walk.page(connection, after=self._begin, limit=self._limit)
        self.after = visited.after
        ids = [key[1] for key in visited.keys]
        of_handoffs = or_(*(and_(*each) for each in walk.ranges))
        query = select(_T.follow_up).where(of_handoffs, _f.follow_up.in_(ids))
        found = {row.follow_up: rows.follow_up_of(row) for row in connection.execute(query)} if ids else {}
        return [found[each] for each in ids]


def _of(handoff: HandoffId) -> list[ColumnElement[bool]]:
    return [_f.tenant == handoff.tenant, _f.lead == handoff.lead, _f.number == handoff.number]


def _loaded(connection: Connection, tenant: str, keys: Sequence[Key]) -> list[Handoff]:
    """Return the handoffs of these keys, each of which ends in (lead, number), in their order."""
    ids = [HandoffId(tenant, *key[-2:]) for key in keys]
    found = statements.FIND_HANDOFFS.find(connection, ids) if ids else []
    handoffs = {each.id: each for each in map(rows.handoff_of, found)}
    return [handoffs[each] for each in ids]
