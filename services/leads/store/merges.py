"""Merges of leads: what they changed, so that it can be changed back exactly."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, func, insert, literal_column, select, tuple_, update

from services.leads.domain.claims import NOT_WAITING
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.merging import LeadMerge
from services.leads.store import rows
from services.leads.store.distinctions import Distinctions
from services.leads.store.schema import SCHEMA
from smarketing.sql import UtcMicros
from smarketing.sql.types import from_micros, to_micros

_T: Final = SCHEMA.identity
_handoff: Final = SCHEMA.leads.handoff
_follow_up: Final = SCHEMA.leads.follow_up.c
_COLUMNS: Final = [str(column.name) for column in _handoff.columns]
_INSTANTS: Final = {column.name for column in _handoff.columns if isinstance(column.type, UtcMicros)}
_NEVER_RESTORED: Final = {"version", "update_time", "next_due_time"}
"""What only ever goes forward, and what another says."""


class Merges:
    """Keeps merges within one transaction; writes at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.distinctions: Final = Distinctions(connection)
        """Who is said not to be whom."""
        self.restored_expiries: Final[list[datetime]] = []
        """When leases end that an earlier transaction gave and this one restored."""

    def add(self, merge: LeadMerge, changed: Collection[tuple[Handoff, Handoff]]) -> None:
        """Keep a merge, and of each handoff that it made void what it changed: (before, after)."""
        self._connection.execute(
            insert(_T.lead_merge).values(
                tenant=merge.tenant,
                merged_lead=merge.merged_lead,
                merge=merge.merge_id,
                lead=merge.lead,
                number=merge.number,
                merge_time=merge.merge_time,
            )
        )
        for before, after in changed:
            self._connection.execute(
                insert(_T.merged_handoff).values(
                    tenant=before.id.tenant,
                    lead=before.id.lead,
                    number=before.id.number,
                    merge=merge.merge_id,
                    before=_difference(before, after),
                )
            )

    def standing(self, tenant: str, merged_lead: str) -> LeadMerge | None:
        """Return the merge by which the lead is known as another; None while it stands for itself."""
        merge, handoff = _T.lead_merge.c, _T.merged_handoff.c
        found = select(_T.lead_merge).where(
            merge.tenant == tenant, merge.merged_lead == merged_lead, merge.unmerge_time.is_(None)
        )
        row = self._connection.execute(found).one_or_none()
        if row is None:
            return None
        numbers = select(handoff.number).where(
            handoff.tenant == tenant, handoff.lead == merged_lead, handoff.merge == row.merge
        )
        return LeadMerge(
            merge_id=row.merge,
            tenant=tenant,
            lead=row.lead,
            merged_lead=merged_lead,
            number=row.number,
            merged_numbers=tuple(self._connection.execute(numbers.order_by(handoff.number)).scalars()),
            merge_time=row.merge_time,
        )

    def before(self, merge: LeadMerge, handoff: Handoff) -> Handoff | None:
        """Return the handoff as it stood when the merge made it void; None when the merge did not."""
        column = _T.merged_handoff.c
        found = select(column.before).where(
            column.tenant == merge.tenant,
            column.lead == handoff.id.lead,
            column.number == handoff.id.number,
            column.merge == merge.merge_id,
        )
        kept = self._connection.execute(found).scalar()
        return None if kept is None else _changed_back(handoff, orjson.loads(kept))

    def end(self, merge: LeadMerge, *, now: datetime) -> LeadMerge:
        """Keep that the merge was taken back."""
        column = _T.lead_merge.c
        self._connection.execute(
            update(_T.lead_merge)
            .where(
                column.tenant == merge.tenant,
                column.merged_lead == merge.merged_lead,
                column.merge == merge.merge_id,
            )
            .values(unmerge_time=now)
        )
        return replace(merge, unmerge_time=now)

    def merged_into(self, handoff_id: HandoffId) -> list[HandoffId]:
        """Return the stored handoffs for which this one goes on."""
        return _merged_into(self._connection, handoff_id)

    def follow_ups_of(self, handoffs: Collection[HandoffId]) -> tuple[int, datetime | None]:
        """Return how many follow-ups these handoffs have together, and when the first was."""
        found = select(func.count(), func.min(_follow_up.occur_time, type_=UtcMicros)).where(
            tuple_(_follow_up.tenant, _follow_up.lead, _follow_up.number).in_(list(handoffs))
        )
        count, first = self._connection.execute(found).one()
        return count, first


def goes_on_for(connection: Connection, handoff_id: HandoffId) -> list[HandoffId]:
    """Return all handoffs for which this one goes on, also by way of others."""
    found = [handoff_id]
    for each in found:
        found += _merged_into(connection, each)
    return found[1:]


def _merged_into(connection: Connection, handoff_id: HandoffId) -> list[HandoffId]:
    column = _handoff.c
    found = select(column.tenant, column.lead, column.number).where(
        column.tenant == handoff_id.tenant,
        column.kept_lead == handoff_id.lead,
        # Said again and written out, so that SQLite sees that the partial index holds them all.
        column.kept_lead != literal_column("''"),
        column.kept_number == handoff_id.number,
    )
    return [HandoffId(*row) for row in connection.execute(found)]


def _difference(before: Handoff, after: Handoff) -> str:
    pairs = zip(
        _COLUMNS, rows.handoff_row(before, NOT_WAITING), rows.handoff_row(after, NOT_WAITING), strict=True
    )
    changed = {name: was for name, was, is_now in pairs if was != is_now and name not in _NEVER_RESTORED}
    stored = {name: to_micros(was) if isinstance(was, datetime) else was for name, was in changed.items()}
    return orjson.dumps(stored).decode()


def _changed_back(handoff: Handoff, stored: Mapping[str, Any]) -> Handoff:
    row = dict(zip(_COLUMNS, rows.handoff_row(handoff, NOT_WAITING), strict=True))
    for name, was in stored.items():
        row[name] = from_micros(was) if name in _INSTANTS and was is not None else was
    return rows.handoff_of(list(row.values()))
