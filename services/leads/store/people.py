"""Personal data within one transaction: opened, changed and sealed again, each lead's with its own key."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from services.leads.domain.lead import Contact
from services.leads.store import statements
from services.leads.store.rows import Row
from services.leads.store.sealing import Sealer, SubjectKey
from services.leads.wire.leads import contact_bytes, contact_from_bytes

LeadKey = tuple[str, str]

EXTERNAL_ID: Final = "external_id"
"""The field of what senders and other systems call something of a lead."""


def purpose_of(field: str) -> str:
    """Return for what the text of a field is sealed, so that it never passes for another."""
    return f"#{field.replace('_', '-')}"


_SUBMISSION: Final = purpose_of(EXTERNAL_ID)


class People:
    """Keeps what it opened, so that a lead is read and opened once in a transaction."""

    def __init__(self, connection: Connection, sealer: Sealer, now: datetime) -> None:
        self._connection = connection
        self._sealer = sealer
        self._now = now
        self._keys: dict[LeadKey, SubjectKey | None] = {}
        self._sealed: dict[LeadKey, bytes] = {}
        self._contacts: dict[LeadKey, Contact] = {}
        self._new: list[Row] = []
        self._new_leads: set[LeadKey] = set()
        self._changed: dict[LeadKey, Contact] = {}

    def add(self, tenant: str, lead: str, contact: Contact) -> None:
        """Keep a new lead."""
        key = self._sealer.new_key(f"{tenant}/{lead}")
        self._keys[tenant, lead] = key
        self._contacts[tenant, lead] = contact
        self._new_leads.add((tenant, lead))
        self._new.append((tenant, lead, 1, self._now, key.wrapped, key.seal(contact_bytes(contact)), None))

    def load(self, leads: Iterable[LeadKey]) -> None:
        """Read these leads, with one statement."""
        missing = [lead for lead in dict.fromkeys(leads) if lead not in self._keys]
        if not missing:
            return
        self._keys.update(dict.fromkeys(missing))
        for tenant, lead, wrapped_key, sealed in statements.FIND_PEOPLE.find(self._connection, missing):
            if wrapped_key is not None:
                self._keys[tenant, lead] = self._sealer.open_key(bytes(wrapped_key), f"{tenant}/{lead}")
                self._sealed[tenant, lead] = bytes(sealed)

    def contact(self, lead: LeadKey) -> Contact | None:
        """Return the lead's contact as this transaction left it; None once erased, or for nobody."""
        known = self._contacts.get(lead)
        if known is not None:
            return known
        self.load([lead])
        key = self._keys[lead]
        if key is None:
            return None
        contact = self._contacts[lead] = contact_from_bytes(key.unseal(self._sealed[lead]))
        return contact

    def change(self, lead: LeadKey, change: Callable[[Contact], Contact]) -> None:
        """Change a lead's contact; a lead of this very batch or an erased one stays as it is."""
        if lead in self._new_leads:
            return
        known = self.contact(lead)
        if known is not None and (changed := change(known)) != known:
            self._contacts[lead] = self._changed[lead] = changed

    def is_erased(self, lead: LeadKey) -> bool:
        """Whether the lead's key is destroyed."""
        self.load([lead])
        return self._keys[lead] is None

    def forget(self, lead: LeadKey) -> None:
        """Keep nothing of the lead any more: its key was destroyed in this transaction."""
        self._keys[lead] = None
        for kept in (self._sealed, self._contacts, self._changed):
            kept.pop(lead, None)

    def sealed(self, lead: LeadKey, text: str, *, purpose: str) -> bytes | None:
        """Return a text sealed with the lead's key; None once it is erased."""
        self.load([lead])
        key = self._keys[lead]
        return None if key is None else key.seal(text.encode(), purpose=purpose)

    def opened(self, lead: LeadKey, sealed: bytes, *, purpose: str) -> str | None:
        """Return what was sealed for this purpose with the lead's key; None once it is erased."""
        self.load([lead])
        key = self._keys[lead]
        return None if key is None else key.unseal(sealed, purpose=purpose).decode()

    def sealed_external_id(self, lead: LeadKey, external_id: str) -> bytes | None:
        """Return a sender's own id, sealed with a loaded lead's key; None once the lead is erased."""
        key = self._keys[lead]
        return None if key is None else key.seal(external_id.encode(), purpose=_SUBMISSION)

    def flush(self) -> None:
        """Write who is new and who changed; a lead keeps its key."""
        statements.INSERT_PEOPLE.insert(self._connection, self._new)
        for lead, contact in self._changed.items():
            key = self._keys[lead]
            if key is not None:
                sealed = key.seal(contact_bytes(contact))
                statements.change_person(self._connection, *lead, key.wrapped, sealed)
