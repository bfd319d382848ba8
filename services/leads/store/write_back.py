"""What is told back to the systems that leads came from: queued with the state that caused it."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import Connection, delete, select

from services.leads.domain import events as happened
from services.leads.domain.events import HandoffEvent
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.intake import WriteBackUnknown
from services.leads.store import rows, statements
from services.leads.store.external_ids import with_external_ids
from services.leads.store.merges import goes_on_for
from services.leads.store.people import EXTERNAL_ID, People, purpose_of
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from smarketing.delivery import (
    DueMessage,
    Endpoint,
    NewEndpoint,
    NewMessage,
    create_endpoint,
    delete_endpoint,
    enqueue,
    list_endpoints,
    replay_dead_letters,
)
from smarketing.delivery import Sealer as SecretSealer
from smarketing.delivery.tables import MessageState
from smarketing.sql import FindRows, InsertRows, from_micros

__all__ = ["WriteBacks", "forget_lead", "opened_messages", "page_of_write_backs"]

_T: Final = SCHEMA.intake
_FIND: Final = FindRows(_T.write_back, key=["tenant"])
_FIND_JOINED: Final = FindRows(_T.joined_system, key=["tenant", "lead", "number"])
_INSERT_JOINED: Final = InsertRows(_T.joined_system)
_INSERT: Final = InsertRows(_T.write_back)
_SEALED: Final = "sealed"
"""Where in a kept message the sender's own id stands, by the lead with whose key it is sealed."""
_KEPT_FOR: Final = timedelta(days=7)
"""A message that was delivered is kept so long, for whoever asks what was said."""

_WORDS: Final[Mapping[type[HandoffEvent], Callable[[Any], str]]] = {
    happened.HandoffAccepted: lambda _: "accepted",
    happened.HandoffRejected: lambda _: "rejected",
    happened.HandoffDisqualified: lambda _: "disqualified",
    happened.HandoffRecycled: lambda _: "recycled",
    happened.HandoffConverted: lambda _: "converted",
    happened.OpportunityClosed: lambda event: event.opportunity.state.name.lower(),
}


class WriteBacks:
    """The way back within a transaction."""

    def __init__(self, connection: Connection, sealer: Sealer, people: People, now: datetime) -> None:
        self._connection = connection
        self._sealer = sealer
        self._people = people
        self._now = now
        self._joined: dict[tuple[HandoffId, str], bytes] = {}

    def join(self, handoff_id: HandoffId, source_system: str, external_digest: bytes) -> None:
        """Keep that another system sent the lead too; of its submissions the first is the one it knows."""
        self._joined.setdefault((handoff_id, source_system), external_digest)

    def create(self, new: NewEndpoint, source_system: str, secrets: SecretSealer) -> tuple[Endpoint, str]:
        """Register an address."""
        create_endpoint(self._connection, _T.delivery, new, sealer=secrets, now=self._now)
        _INSERT.insert(self._connection, [(new.tenant, source_system, new.endpoint_id)])
        return self.find(new.tenant, new.endpoint_id)

    def find(self, tenant: str, endpoint_id: str) -> tuple[Endpoint, str]:
        """Return a write-back and its source system.

        Raises:
            WriteBackUnknown: there is none.
        """
        for endpoint in list_endpoints(self._connection, _T.delivery, tenant=tenant):
            if endpoint.endpoint_id == endpoint_id:
                return endpoint, _systems(self._connection, tenant).get(endpoint_id, "")
        raise WriteBackUnknown(f"tenants/{tenant}/writeBacks/{endpoint_id}")

    def delete(self, tenant: str, endpoint_id: str) -> tuple[Endpoint, str]:
        """Remove a write-back.

        Raises:
            WriteBackUnknown: there is none.
        """
        self.find(tenant, endpoint_id)
        delete_endpoint(self._connection, _T.delivery, tenant=tenant, endpoint_id=endpoint_id, now=self._now)
        return self.find(tenant, endpoint_id)

    def replay(self, tenant: str, endpoint_id: str) -> int:
        """Send again what was given up; return how many.

        Raises:
            WriteBackUnknown: there is none.
        """
        self.find(tenant, endpoint_id)
        return replay_dead_letters(
            self._connection, _T.delivery, tenant=tenant, endpoint_id=endpoint_id, now=self._now
        )

    def purge(self) -> None:
        """Forget what was delivered a while ago."""
        message = _T.delivery.message
        self._connection.execute(
            delete(message).where(
                message.c.state.in_([MessageState.DELIVERED, MessageState.CANCELLED]),
                message.c.settle_time < self._now - _KEPT_FOR,
            )
        )

    def enqueue(self, events: Iterable[HandoffEvent], handoffs: Mapping[HandoffId, Handoff]) -> None:
        """Queue what the sources of these handoffs are to be told; history is nobody's news."""
        self._keep_joined()
        told = [
            _Told(event, _WORDS[type(event)](event), handoffs[event.handoff], handoffs[event.handoff])
            for event in events
            if type(event) in _WORDS and not handoffs[event.handoff].historical
        ]
        if told:
            self._enqueue(told)

    def _keep_joined(self) -> None:
        if not self._joined:
            return
        known = {
            (HandoffId(*row[:3]), row[3])
            for row in _FIND_JOINED.find(self._connection, list({each for each, _ in self._joined}))
        }
        new = [
            (*handoff, system, digest)
            for (handoff, system), digest in self._joined.items()
            if (handoff, system) not in known
        ]
        _INSERT_JOINED.insert(self._connection, new)
        self._joined.clear()

    def _enqueue(self, told: Sequence["_Told"]) -> None:
        tenants = [(tenant,) for tenant in {each.handoff.id.tenant for each in told}]
        endpoints: dict[tuple[str, str], set[str]] = {}
        for tenant, system, endpoint_id in _FIND.find(self._connection, tenants):
            endpoints.setdefault((tenant, system), set()).add(endpoint_id)
        if not endpoints:
            return
        wanted = [each for each in self._to_all(told) if each.system in endpoints]
        self._people.load(each.known.id[:2] for each in wanted)
        named = with_external_ids(self._sealer, lambda _: [each.known for each in wanted])(self._connection)
        messages = [
            NewMessage(
                tenant=each.handoff.id.tenant,
                message_id=each.message_id,
                event_type=f"handoff.{each.word}",
                payload_json=each.payload(self._sealed(known), self._now),
                endpoints=frozenset(endpoints[each.system]),
            )
            for each, known in zip(wanted, named, strict=True)
        ]
        enqueue(self._connection, _T.delivery, messages, now=self._now)

    def _to_all(self, told: Sequence["_Told"]) -> list["_Told"]:
        """Return what is told, to whoever sent the lead, or one that was merged with it, first or since."""
        own = [
            replace(each, known=known)
            for each in told
            for known in (each.handoff, *self._merged_into(each.handoff.id))
        ]
        joined: dict[HandoffId, list[tuple[str, bytes]]] = {}
        for row in _FIND_JOINED.find(self._connection, list({each.known.id for each in own})):
            joined.setdefault(HandoffId(*row[:3]), []).append((row[3], bytes(row[4])))
        return [
            one
            for each in own
            for one in (each, *(each.told_to(*other) for other in joined.get(each.known.id, ())))
        ]

    def _merged_into(self, handoff_id: HandoffId) -> list[Handoff]:
        merged = goes_on_for(self._connection, handoff_id)
        found = statements.FIND_HANDOFFS.find(self._connection, merged) if merged else []
        return [handoff for row in found if not (handoff := rows.handoff_of(row)).historical]

    def _sealed(self, known: Handoff) -> dict[str, str]:
        """Return what the sender called the lead, sealed with the lead's key, for as long as it waits."""
        sealed = self._people.sealed(known.id[:2], known.external_id, purpose=purpose_of(EXTERNAL_ID))
        return {} if sealed is None else {known.id.lead: base64.b64encode(sealed).decode()}


@dataclass(frozen=True, slots=True)
class _Told:
    """Something that a source is to be told."""

    event: HandoffEvent
    word: str
    handoff: Handoff
    known: Handoff
    """The handoff as its source knows it: this one, or one that it goes on for."""
    joined: bool = False
    """Whether the source sent the lead later than another."""

    def told_to(self, source_system: str, external_digest: bytes) -> "_Told":
        """Return the same for a system that sent the lead later, and what it called it."""
        known = replace(self.known, source_system=source_system, external_digest=external_digest)
        return replace(self, known=known, joined=True)

    @property
    def system(self) -> tuple[str, str]:
        return (self.handoff.id.tenant, self.known.source_system)

    @property
    def message_id(self) -> str:
        handoff, known = self.handoff, self.known.id
        # In front the lead that its source knows: who forgets that one finds the message.
        own = f"{known.lead}-{known.number}-{handoff.version}-{self.word}"
        if known != handoff.id:
            own += f"-{handoff.id.lead}-{handoff.id.number}"
        # Two systems may listen at one address, and a repeated id is passed over there.
        return f"{own}-{self.known.source_system}" if self.joined else own

    def payload(self, sealed: Mapping[str, str], now: datetime) -> bytes:
        """Return what is said: ids, reasons and times; nothing of the person.

        The sender's own id stands sealed beside it, by lead, until it is sent.
        """
        handoff = self.handoff
        until, party = handoff.recycle_until_time, handoff.accountable_party
        data = {
            "tenant": f"tenants/{handoff.id.tenant}",
            "source_system": self.known.source_system,
            "external_id": "",
            "handoff": handoff.name,
            "state": self.word,
            "reason_code": handoff.reason_code,
            "accountable_party": "" if party is None else party.value,
            "occur_time": self.event.occur_time.isoformat(),
            "record_time": now.isoformat(),
        }
        if until is not None:
            data["recycle_until_time"] = until.isoformat()
        said = {"type": f"handoff.{self.word}", "timestamp": now.isoformat(), "data": data}
        return orjson.dumps({**said, _SEALED: sealed})


def opened_messages(
    sealer: Sealer, now: Callable[[], datetime]
) -> Callable[[Connection, Sequence[DueMessage]], list[DueMessage]]:
    """Return what puts the senders' own ids into messages that are about to be sent."""

    def opened(connection: Connection, messages: Sequence[DueMessage]) -> list[DueMessage]:
        people = People(connection, sealer, now())
        return [replace(each, payload=_opened(people, each)) for each in messages]

    return opened


def _opened(people: People, message: DueMessage) -> bytes:
    said = orjson.loads(message.payload)
    for lead, sealed in said.pop(_SEALED, {}).items():
        plain = people.opened(
            (message.tenant, lead), base64.b64decode(sealed), purpose=purpose_of(EXTERNAL_ID)
        )
        said["data"]["external_id"] = plain or ""
    return orjson.dumps(said)


def page_of_write_backs(
    tenant: str, *, limit: int, after: Sequence[Any] | None
) -> Callable[[Connection], list[tuple[Endpoint, str]]]:
    """Return the query of a page of write-backs, newest first."""
    seen = None if after is None else (from_micros(int(after[0])), str(after[1]))

    def query(connection: Connection) -> list[tuple[Endpoint, str]]:
        systems = _systems(connection, tenant)
        found = list_endpoints(connection, _T.delivery, tenant=tenant, limit=limit, after=seen)
        return [(each, systems.get(each.endpoint_id, "")) for each in found]

    return query


def forget_lead(connection: Connection, tenant: str, lead: str) -> None:
    """Forget what was told of a lead, and what still waits: it names the sender's id of a person.

    For whoever erases a person: call it in the same transaction.
    """
    message = _T.delivery.message
    for endpoint in list_endpoints(connection, _T.delivery, tenant=tenant):
        connection.execute(
            delete(message).where(
                message.c.tenant == tenant,
                message.c.endpoint_id == endpoint.endpoint_id,
                # Ids of messages begin with the lead's and a hyphen; the sign behind the hyphen is the dot.
                message.c.message_id > f"{lead}-",
                message.c.message_id < f"{lead}.",
            )
        )


def _systems(connection: Connection, tenant: str) -> dict[str, str]:
    table = _T.write_back
    rows = connection.execute(
        select(table.c.endpoint_id, table.c.source_system).where(table.c.tenant == tenant)
    )
    return {row[0]: row[1] for row in rows}
