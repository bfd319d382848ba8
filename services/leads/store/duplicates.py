"""Pairs of leads that may be one person, and wait for somebody to say so."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, func, or_, select, tuple_

from services.leads.domain.matching import Match, PossibleDuplicate, Signal
from services.leads.store.distinctions import distinct_pairs
from services.leads.store.schema import SCHEMA
from smarketing.sql import UpsertRows

_T: Final = SCHEMA.identity
_c: Final = _T.possible_duplicate.c
_PUT: Final = UpsertRows(
    _T.possible_duplicate,
    key=["tenant", "lead", "other_lead"],
    replace=["confidence", "rule_id", "signals", "detect_time"],
)

_PLACE: Final = tuple_(_c.confidence, _c.lead, _c.other_lead)
After = tuple[int, str, str]
"""Confidence, lead and other lead of the last one shown."""


def put_possible_duplicates(connection: Connection, found: Sequence[PossibleDuplicate]) -> None:
    """Keep the pairs."""
    rows = [
        (
            each.tenant,
            each.lead,
            each.other_lead,
            each.match.confidence,
            each.match.rule_id,
            " ".join(signal.name for signal in each.match.signals),
            each.detect_time,
        )
        for each in found
    ]
    _PUT.upsert(connection, rows)


def list_possible_duplicates(
    tenant: str, lead: str, *, after: After | None, limit: int
) -> Callable[[Connection], list[PossibleDuplicate]]:
    """Return the query for a page of pairs, the surest first; those that somebody decided are left out."""
    one, other = _T.lead_merge.alias(), _T.lead_merge.alias()
    query = (
        select(_T.possible_duplicate)
        .outerjoin(one, _known_as(one, _c.lead))
        .outerjoin(other, _known_as(other, _c.other_lead))
        .where(
            _c.tenant == tenant,
            func.coalesce(one.c.lead, _c.lead) != func.coalesce(other.c.lead, _c.other_lead),
            ~_is_distinguished(),
        )
    )
    if lead:
        query = query.where(or_(_c.lead == lead, _c.other_lead == lead))
    query = query.order_by(_c.confidence.desc(), _c.lead.desc(), _c.other_lead.desc()).limit(limit)

    def undecided(connection: Connection) -> list[PossibleDuplicate]:
        shown: list[PossibleDuplicate] = []
        begin = after
        while len(shown) < limit:
            behind = query if begin is None else query.where(tuple_(*begin) > _PLACE)
            part = [_duplicate(row) for row in connection.execute(behind)]
            # What was said of a lead holds for all that it is merged with, which few are: looked up here.
            decided = distinct_pairs(connection, tenant, [(each.lead, each.other_lead) for each in part])
            shown += [each for each in part if (each.lead, each.other_lead) not in decided]
            if len(part) < limit:
                break
            begin = (part[-1].match.confidence, part[-1].lead, part[-1].other_lead)
        return shown[:limit]

    return undecided


def _is_distinguished() -> Any:
    said = _T.lead_distinction.c
    either = or_(
        and_(said.lead == _c.lead, said.other_lead == _c.other_lead),
        and_(said.lead == _c.other_lead, said.other_lead == _c.lead),
    )
    return select(said.lead).where(said.tenant == _c.tenant, either).exists()


def _known_as(merge: Any, lead: Any) -> Any:
    return and_(merge.c.tenant == _c.tenant, merge.c.merged_lead == lead, merge.c.unmerge_time.is_(None))


def _duplicate(row: Any) -> PossibleDuplicate:
    signals = tuple(Signal[name] for name in row.signals.split())
    return PossibleDuplicate(
        tenant=row.tenant,
        lead=row.lead,
        other_lead=row.other_lead,
        match=Match(row.confidence, row.rule_id, signals),
        detect_time=row.detect_time,
    )
