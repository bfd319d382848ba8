"""Everything of a person, within one transaction: found by what they are known by, agreed to, forgotten.

A lead's personal data is sealed with the lead's own key, which stands wrapped in its row of `lead_person`
and nowhere else: overwriting that one value makes noise of all the rest, wherever copies of it lie.
`TREATMENTS` says of each table why nothing of the person is left in it.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, delete, literal_column, select, update

from services.leads.domain.privacy import (
    Cause,
    Consent,
    ConsentState,
    Erasure,
    LawfulBasis,
    OnReturn,
    PrivacySettings,
)
from services.leads.store.intake import forget_subjects
from services.leads.store.of_lead import of_lead
from services.leads.store.people import LeadKey, People
from services.leads.store.retention import aged_among
from services.leads.store.schema import SCHEMA
from services.leads.store.scoring import forget_held
from services.leads.store.write_back import forget_lead
from smarketing.sql import InsertRows, UpsertRows

__all__ = ["CONSENT_NOTE", "NOBODY", "TREATMENTS", "Subjects", "Treatment", "consent_of", "erasure_of"]

NOBODY: Final = ""
"""The lead of a digest by which somebody was known who is erased."""
AnswerKey = tuple[str, ...]
ANSWER_KEY: Final = ("tenant", "request_id", "principal", "method")
"""By which a kept answer is known."""
CONSENT_NOTE: Final = "#consent-note"
"""For what a consent's note is sealed, so that it never passes for a contact."""

_L: Final = SCHEMA.leads
_P: Final = SCHEMA.privacy
_ANSWERS: Final = SCHEMA.commands.idempotency
_PUT_ERASURE: Final = UpsertRows(
    _P.erasure, key=["tenant", "lead"], replace=["cause", "erase_time", "finish_time"]
)
_PUT_SETTINGS: Final = UpsertRows(
    _P.privacy_setting, key=["tenant"], replace=["retention_micros", "on_return"]
)
_PUT_MATCHES: Final = UpsertRows(_L.lead_match, key=["tenant", "digest", "lead"], replace=["record_time"])
_INSERT_CONSENTS: Final = InsertRows(_P.consent)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What erasing a person does to their rows of a table."""

    why: str
    deleted: bool = False
    """Whether the rows go: for what is personal and not sealed."""


TREATMENTS: Final[Mapping[str, Treatment]] = {
    "lead_person": Treatment("its key is overwritten, and what the key sealed with it"),
    "lead_match": Treatment("the digests stay, of nobody any more, so that the person is recognised again"),
    "submission": Treatment("known by a keyed digest for ever; the sender's id is sealed"),
    "handoff": Treatment("says what marketing and sales did; evidence is sealed"),
    "follow_up": Treatment("says what sales did; known by a keyed digest, its id is sealed"),
    "opportunity": Treatment("says what was sold; the deal's id is sealed"),
    "clock_due": Treatment("says when something is due"),
    "dispute": Treatment("says what was fallen out over; evidence is sealed"),
    "takeover": Treatment("says from whom it was taken"),
    "reply": Treatment("says that there was an answer; known by a keyed digest, its id is sealed"),
    "next_action": Treatment("says what was to be done"),
    "opportunity_change": Treatment("says how a sale went; the document's id is sealed"),
    "feedback": Treatment("says what the field heard; the words are sealed with the lead's key"),
    "consent": Treatment("says what was agreed to, and when; its note is sealed"),
    "lead_merge": Treatment("says who was merged with whom"),
    "merged_handoff": Treatment("says where a handoff stood when its lead was merged"),
    "engagement": Treatment("says what they visited, opened and answered", deleted=True),
    "possible_duplicate": Treatment("says who was like whom, and in what"),
    "lead_distinction": Treatment("says who is said not to be whom"),
    "joined_system": Treatment("says which other systems sent them; known by a keyed digest"),
    "erasure": Treatment("says that somebody was erased"),
}
"""Of every table that has a lead: a test finds one that is missing here."""


class Subjects:
    """What the use cases of people's rights load, save and destroy."""

    def __init__(self, connection: Connection, people: People, now: datetime) -> None:
        self._connection = connection
        self._people = people
        self._now = now

    def exists(self, lead: LeadKey) -> bool:
        """Whether there is such a lead, erased or not."""
        person = _L.lead_person.c
        found = select(person.lead).where(person.tenant == lead[0], person.lead == lead[1])
        return self._connection.execute(found).first() is not None

    def known_by(self, tenant: str, digest: bytes) -> list[str]:
        """Return the leads that are known by a digest."""
        match = _L.lead_match.c
        found = select(match.lead).where(match.tenant == tenant, match.digest == digest, match.lead != NOBODY)
        return sorted(self._connection.execute(found).scalars())

    def same_person(self, tenant: str, leads: Iterable[str]) -> list[str]:
        """Return these leads with all that were merged with one of them, in whichever direction."""
        found = set(leads)
        handoff = _L.handoff.c
        merged = select(handoff.lead, handoff.kept_lead).where(
            # Written out, so that SQLite sees that the partial index holds them all.
            handoff.tenant == tenant,
            handoff.kept_lead != literal_column("''"),
        )
        while True:
            # Said of both ends, each answered by an index.
            pairs = {
                each
                for end in (handoff.lead, handoff.kept_lead)
                for row in self._connection.execute(merged.where(end.in_(found)))
                for each in row
            }
            if pairs <= found:
                return sorted(found)
            found |= pairs

    def erasure(self, lead: LeadKey) -> Erasure | None:
        """Return that the lead was forgotten."""
        table = _P.erasure
        found = select(table).where(table.c.tenant == lead[0], table.c.lead == lead[1])
        row = self._connection.execute(found).one_or_none()
        return None if row is None else erasure_of(row)

    def erase(self, lead: LeadKey, cause: Cause) -> Erasure:
        """Destroy the lead's key, empty what is personal without it, and recognise nobody by its digests."""
        if self._connection.dialect.name == "sqlite":
            # Until the erasure is finished: what is deleted is overwritten in the file.
            self._connection.exec_driver_sql("PRAGMA secure_delete=ON").close()
        self._destroy_key(lead)
        self._forget_digests(lead)
        for name, treatment in TREATMENTS.items():
            _treat(self._connection, SCHEMA.metadata.tables[name], treatment, lead)
        self._people.forget(lead)
        erasure = Erasure(tenant=lead[0], lead=lead[1], cause=cause, erase_time=self._now)
        _PUT_ERASURE.upsert(self._connection, [(*lead, cause.value, self._now, None)])
        return erasure

    def drop_answers(self, keys: Iterable[AnswerKey]) -> None:
        """Forget kept answers: whoever asks again is answered by what there is now."""
        for key in keys:
            own = (_ANSWERS.c[name] == value for name, value in zip(ANSWER_KEY, key, strict=True))
            self._connection.execute(delete(_ANSWERS).where(*own))

    def finish(self, erasures: Iterable[Erasure]) -> None:
        """Keep that nothing is left of these erasures."""
        _PUT_ERASURE.upsert(
            self._connection,
            [(each.tenant, each.lead, each.cause.value, each.erase_time, self._now) for each in erasures],
        )
        if self._connection.dialect.name == "sqlite":
            self._connection.exec_driver_sql("PRAGMA secure_delete=OFF").close()

    def all_ended_by(self, tenant: str, leads: Sequence[str], until: datetime) -> bool:
        """Whether every handoff of these leads ended by then."""
        return aged_among(self._connection, tenant, leads, until)

    def settings(self, tenant: str) -> PrivacySettings:
        """Return the tenant's settings, the defaults where it never said anything."""
        return settings_of(self._connection, tenant)

    def put_settings(self, settings: PrivacySettings) -> None:
        """Keep the tenant's settings."""
        retention = None if settings.retention is None else settings.retention // _MICROSECOND
        _PUT_SETTINGS.upsert(self._connection, [(settings.tenant, retention, settings.on_return.value)])

    def add_consent(self, consent: Consent) -> None:
        """Keep a consent; its note with the subject's key."""
        lead = (consent.tenant, consent.lead)
        note = self._people.sealed(lead, consent.note, purpose=CONSENT_NOTE) if consent.note else None
        row = (
            *lead,
            consent.consent_id,
            consent.purpose,
            consent.state.value,
            consent.lawful_basis.value,
            consent.source,
            note,
            consent.occur_time,
            consent.record_time,
        )
        _INSERT_CONSENTS.insert(self._connection, [row])

    def _destroy_key(self, lead: LeadKey) -> None:
        person = _L.lead_person
        own = (person.c.tenant == lead[0], person.c.lead == lead[1])
        kept = select(person.c.wrapped_key, person.c.sealed_contact).where(
            *own, person.c.wrapped_key.is_not(None)
        )
        for wrapped_key, sealed in self._connection.execute(kept).all():
            # First over itself, in place and of the same length, then away: also where nothing zeroes for us.
            noise = {"wrapped_key": os.urandom(len(wrapped_key)), "sealed_contact": os.urandom(len(sealed))}
            self._connection.execute(update(person).where(*own).values(noise))
        gone = {"wrapped_key": None, "sealed_contact": None, "erase_time": self._now}
        self._connection.execute(update(person).where(*own).values(version=person.c.version + 1, **gone))

    def _forget_digests(self, lead: LeadKey) -> None:
        match = _L.lead_match
        own = of_lead(match, lead)
        digests = [
            bytes(digest) for digest in self._connection.execute(select(match.c.digest).where(own)).scalars()
        ]
        self._connection.execute(delete(match).where(own))
        forget_subjects(self._connection, lead[0], digests)
        forget_lead(self._connection, *lead)
        forget_held(self._connection, *lead)
        _PUT_MATCHES.upsert(self._connection, [(lead[0], digest, NOBODY, self._now) for digest in digests])


def settings_of(connection: Connection, tenant: str) -> PrivacySettings:
    """Return a tenant's settings, the defaults where it never said anything."""
    table = _P.privacy_setting
    row = connection.execute(select(table).where(table.c.tenant == tenant)).one_or_none()
    if row is None:
        return PrivacySettings(tenant=tenant)
    micros = row.retention_micros
    return PrivacySettings(
        tenant=tenant,
        retention=None if micros is None else timedelta(microseconds=micros),
        on_return=OnReturn(row.on_return),
    )


def erasure_of(row: Row[Any]) -> Erasure:
    """Return the erasure of a row."""
    return Erasure(
        tenant=row.tenant,
        lead=row.lead,
        cause=Cause(row.cause),
        erase_time=row.erase_time,
        finish_time=row.finish_time,
    )


def consent_of(row: Row[Any], note: str) -> Consent:
    """Return the consent of a row, with its note opened."""
    return Consent(
        tenant=row.tenant,
        lead=row.lead,
        consent_id=row.consent,
        purpose=row.purpose,
        state=ConsentState(row.state),
        lawful_basis=LawfulBasis(row.lawful_basis),
        source=row.source,
        note=note,
        occur_time=row.occur_time,
        record_time=row.record_time,
    )


def _treat(connection: Connection, table: Table, treatment: Treatment, lead: LeadKey) -> None:
    if treatment.deleted:
        connection.execute(delete(table).where(of_lead(table, lead)))
