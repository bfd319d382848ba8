"""Reads what people agreed to, newest first."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, or_, select

from services.leads.domain.errors import LeadUnknown
from services.leads.domain.privacy import Consent
from services.leads.store.people import LeadKey, People
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from services.leads.store.subjects import CONSENT_NOTE, consent_of
from smarketing import names

__all__ = ["list_consents"]

_consent: Final = SCHEMA.privacy.consent
_person: Final = SCHEMA.leads.lead_person.c
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def list_consents(
    sealer: Sealer, lead: LeadKey, *, after: tuple[int, str] | None, limit: int, now: datetime
) -> Callable[[Connection], list[Consent]]:
    """Return the query for a page of a lead's consents, behind the (occur micros, id) `after`.

    Raises:
        LeadUnknown: from the query, when there is no such lead.
    """

    def query(connection: Connection) -> list[Consent]:
        known = select(_person.lead).where(_person.tenant == lead[0], _person.lead == lead[1])
        if connection.execute(known).first() is None:
            raise LeadUnknown(names.LEAD.build(*lead))
        people = People(connection, sealer, now)
        own = select(_consent).where(_consent.c.tenant == lead[0], _consent.c.lead == lead[1])
        if after is not None:
            at = _EPOCH + timedelta(microseconds=after[0])
            same = and_(_consent.c.occur_time == at, _consent.c.consent < after[1])
            own = own.where(or_(_consent.c.occur_time < at, same))
        newest_first = own.order_by(_consent.c.occur_time.desc(), _consent.c.consent.desc()).limit(limit)
        found = []
        for row in connection.execute(newest_first).all():
            sealed = row.sealed_note
            note = None if sealed is None else people.opened(lead, bytes(sealed), purpose=CONSENT_NOTE)
            found.append(consent_of(row, note or ""))
        return found

    return query
