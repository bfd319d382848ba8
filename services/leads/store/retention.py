"""Whose last handoff closed long ago: a bounded part of a tenant's leads at a time, without an index."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from services.leads.store.schema import SCHEMA

__all__ = ["Aged", "aged_among", "aged_leads", "retentions"]

_person: Final = SCHEMA.leads.lead_person.c
_h: Final = SCHEMA.leads.handoff.c
_setting: Final = SCHEMA.privacy.privacy_setting.c
_AT_ONCE: Final = 5_000
"""Leads looked at in one query: tens of milliseconds of a reader."""

# Archived history is closed in all but name: nobody works it, and it is as old as its last change.
_ended: Final[Any] = case((_h.archived, _h.update_time), else_=_h.close_time)


@dataclass(frozen=True, slots=True)
class Aged:
    """The leads of a part whose retention ran out, and behind which lead the next part begins."""

    leads: Sequence[str]
    after: str | None
    """None after the last part."""


def retentions(connection: Connection) -> list[tuple[str, timedelta]]:
    """Return the tenants that keep people for a bounded time, with that time."""
    found = select(_setting.tenant, _setting.retention_micros).where(_setting.retention_micros.is_not(None))
    return [(tenant, timedelta(microseconds=micros)) for tenant, micros in connection.execute(found)]


def aged_leads(
    tenant: str, until: datetime, *, after: str = "", limit: int = _AT_ONCE
) -> Callable[[Connection], Aged]:
    """Return the query for leads, not erased, all of whose handoffs ended by then, behind `after`."""

    def query(connection: Connection) -> Aged:
        part = (
            select(_person.lead, _person.erase_time)
            .where(_person.tenant == tenant, _person.lead > after)
            .order_by(_person.lead)
            .limit(limit)
        )
        found = connection.execute(part).all()
        if not found:
            return Aged((), None)
        living = {lead for lead, erase_time in found if erase_time is None}
        span = (_h.lead > after, _h.lead <= found[-1].lead)
        aged = [lead for lead in _aged(connection, tenant, until, *span) if lead in living]
        return Aged(aged, found[-1].lead if len(found) == limit else None)

    return query


def aged_among(connection: Connection, tenant: str, leads: Sequence[str], until: datetime) -> bool:
    """Whether every handoff of these leads ended by `until`."""
    return set(_aged(connection, tenant, until, _h.lead.in_(leads))) == set(leads)


def _aged(connection: Connection, tenant: str, until: datetime, *span: Any) -> list[str]:
    found = (
        select(_h.lead)
        .where(_h.tenant == tenant, *span)
        .group_by(_h.lead)
        .having(func.count() == func.count(_ended), func.max(_ended, type_=_h.close_time.type) <= until)
    )
    return list(connection.execute(found).scalars())
