"""Which leads are one person, and which are said not to be; it holds for all that each is merged with."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, tuple_

from services.leads.domain.distinctions import Distinction
from services.leads.store.schema import SCHEMA

__all__ = ["Distinctions", "distinct_pairs", "list_distinctions", "merged_with", "one_person_of"]

_T: Final = SCHEMA.identity
_d: Final = _T.lead_distinction.c
_m: Final = _T.lead_merge.c


class Distinctions:
    """Keeps what people said within one transaction; reads and writes at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def said(self, tenant: str, lead: str, other_lead: str) -> Distinction | None:
        """Return what was said of these two themselves, whichever was named first."""
        one, other = sorted((lead, other_lead))
        found = select(_T.lead_distinction).where(_d.tenant == tenant, _d.lead == one, _d.other_lead == other)
        row = self._connection.execute(found).one_or_none()
        return None if row is None else _distinction(row)

    def between(self, tenant: str, lead: str, other_lead: str) -> Distinction | None:
        """Return what was said of these two, or of two leads that they are merged with."""
        people = one_person_of(self._connection, tenant, [lead, other_lead])
        wanted = {people[lead], people[other_lead]}
        for each in _about(self._connection, tenant, people):
            if {people.get(each.lead), people.get(each.other_lead)} == wanted:
                return each
        return None

    def are_one(self, tenant: str, lead: str, other_lead: str) -> bool:
        """Whether the two are merged, directly or with others between them."""
        people = one_person_of(self._connection, tenant, [lead, other_lead])
        return people[lead] == people[other_lead]

    def add(self, distinction: Distinction) -> None:
        """Keep that somebody said so."""
        self._connection.execute(
            insert(_T.lead_distinction).values(
                tenant=distinction.tenant,
                lead=distinction.lead,
                other_lead=distinction.other_lead,
                person=distinction.person,
                decide_time=distinction.decide_time,
            )
        )

    def remove(self, distinction: Distinction) -> None:
        """Forget it: the log has it."""
        self._connection.execute(
            delete(_T.lead_distinction).where(
                _d.tenant == distinction.tenant,
                _d.lead == distinction.lead,
                _d.other_lead == distinction.other_lead,
            )
        )


def one_person_of(connection: Connection, tenant: str, leads: Iterable[str]) -> dict[str, str]:
    """Return for these leads, and all that are merged with them, the lead as which each is known."""
    known_as: dict[str, str] = {}
    new = set(leads)
    standing = select(_m.merged_lead, _m.lead).where(_m.tenant == tenant, _m.unmerge_time.is_(None))
    while new:
        known_as = {**{lead: lead for lead in new}, **known_as}
        # Said of both ends, each answered by an index.
        rows = [
            row
            for end in (_m.merged_lead, _m.lead)
            for row in connection.execute(standing.where(end.in_(sorted(new))))
        ]
        new = {lead for row in rows for lead in row} - known_as.keys()
        known_as.update((merged, lead) for merged, lead in rows)
    return {lead: _end_of(known_as, lead) for lead in known_as}


def merged_with(connection: Connection, tenant: str, lead: str) -> list[str]:
    """Return the leads that are known as this one, directly or with others between, in the order of ids."""
    found: set[str] = set()
    new = {lead}
    standing = select(_m.merged_lead).where(_m.tenant == tenant, _m.unmerge_time.is_(None))
    while new:
        further = set(connection.execute(standing.where(_m.lead.in_(sorted(new)))).scalars())
        new = further - found
        found |= new
    return sorted(found)


def distinct_pairs(
    connection: Connection, tenant: str, pairs: Sequence[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return which of these pairs wait for nobody: they are one person, or said to be two."""
    people = one_person_of(connection, tenant, {lead for pair in pairs for lead in pair})
    apart = {
        frozenset((people.get(each.lead, each.lead), people.get(each.other_lead, each.other_lead)))
        for each in _about(connection, tenant, people)
    }
    return {
        (lead, other)
        for lead, other in pairs
        if people[lead] == people[other] or frozenset((people[lead], people[other])) in apart
    }


def list_distinctions(
    tenant: str, lead: str, *, after: tuple[str, str] | None, limit: int
) -> Callable[[Connection], list[Distinction]]:
    """Return the query for a page of what was said, of one lead or of all, in the order of the leads' ids."""
    query = select(_T.lead_distinction).where(_d.tenant == tenant)
    if after is not None:
        query = query.where(tuple_(_d.lead, _d.other_lead) > tuple_(*after))
    # Each end is answered by an index of its own.
    ends = [query.where(end == lead) for end in (_d.lead, _d.other_lead)] if lead else [query]

    def page(connection: Connection) -> list[Distinction]:
        found = [
            _distinction(row)
            for each in ends
            for row in connection.execute(each.order_by(_d.lead, _d.other_lead).limit(limit))
        ]
        return sorted(found, key=lambda each: (each.lead, each.other_lead))[:limit]

    return page


def _about(connection: Connection, tenant: str, leads: Iterable[str]) -> list[Distinction]:
    wanted = sorted(leads)
    of_tenant = select(_T.lead_distinction).where(_d.tenant == tenant)
    return [
        _distinction(row)
        for end in (_d.lead, _d.other_lead)
        for row in connection.execute(of_tenant.where(end.in_(wanted)))
    ]


def _end_of(known_as: dict[str, str], lead: str) -> str:
    while known_as.get(lead, lead) != lead:
        lead = known_as[lead]
    return lead


def _distinction(row: Any) -> Distinction:
    return Distinction(
        tenant=row.tenant,
        lead=row.lead,
        other_lead=row.other_lead,
        person=row.person,
        decide_time=row.decide_time,
    )
