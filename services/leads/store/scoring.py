"""Scoring within one transaction: by which standard a tenant scores, and what its leads did."""

import struct
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import starmap
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, delete, select, update

from services.leads.domain.claims import ClaimOrder
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Rating
from services.leads.domain.mql_definition import MqlDefinition
from services.leads.domain.scoring import Behaved, Pass, ScoreModel, VersionState
from services.leads.store import rescoring
from services.leads.store.of_lead import of_lead
from services.leads.store.people import LeadKey
from services.leads.store.rescoring import OpenHandoff
from services.leads.store.schema import SCHEMA
from services.leads.wire.scoring import (
    definition_bytes,
    definition_from_bytes,
    model_bytes,
    model_from_bytes,
)
from smarketing.sql import FindRows, UpsertRows

__all__ = [
    "DEFINITIONS",
    "MODELS",
    "MOST_BEHAVED",
    "NO_STANDARD",
    "Kind",
    "Scoring",
    "ScoringCaches",
    "Standard",
    "Version",
    "find_active",
    "find_behaved",
    "find_version",
    "forget_held",
    "list_versions",
    "packed",
    "unpacked",
]

MOST_BEHAVED: Final = 256
"""Of a lead the newest behaviours are kept: what is older has decayed, and a row stays small."""
_HELD_LIFETIME: Final = timedelta(days=90)
"""Behaviour of whom nothing was submitted is forgotten when nothing more came for so long."""
_PURGED_AT_ONCE: Final = 500

_T: Final = SCHEMA.scoring
_TENANT: Final = SCHEMA.directory.directory.tenant
_v: Final = _T.scoring_version.c
_FIND_VERSION: Final = FindRows(_T.scoring_version, key=["tenant", "kind", "version"])
_PUT_VERSION: Final = UpsertRows(
    _T.scoring_version,
    key=["tenant", "kind", "version"],
    replace=["state", "changes", "content", "create_time", "activate_time", "retire_time"],
)
_FIND_ENGAGEMENT: Final = FindRows(_T.engagement, key=["tenant", "lead"], locked=True)
_READ_ENGAGEMENT: Final = FindRows(_T.engagement, key=["tenant", "lead"])
_PUT_ENGAGEMENT: Final = UpsertRows(_T.engagement, key=["tenant", "lead"], replace=["behaved"])
_HELD_KEY: Final = ["tenant", "source_system", "external_digest"]
_FIND_HELD: Final = FindRows(_T.held_engagement, key=_HELD_KEY, columns=[*_HELD_KEY, "behaved"], locked=True)
_READ_HELD: Final = FindRows(_T.held_engagement, key=_HELD_KEY, columns=[*_HELD_KEY, "behaved"])
_PUT_HELD: Final = UpsertRows(_T.held_engagement, key=_HELD_KEY, replace=["behaved", "update_time"])
_ANY_HELD: Final = select(_T.held_engagement.c.tenant).limit(1)
_PACKED: Final = struct.Struct("<Bq")

V = TypeVar("V", ScoreModel, MqlDefinition)
HeldKey = tuple[str, str, bytes]
"""Tenant, source system, and the digest of the sender's own id."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[V]):
    """A kind of versions, and how one is kept."""

    name: str
    read: Callable[[bytes], V]
    write: Callable[[str, V], bytes]


MODELS: Final[Kind[ScoreModel]] = Kind("score_model", model_from_bytes, lambda _, model: model_bytes(model))
DEFINITIONS: Final[Kind[MqlDefinition]] = Kind("mql_definition", definition_from_bytes, definition_bytes)


@dataclass(frozen=True, slots=True)
class Version(Generic[V]):
    """A version as it is kept, and how often its state changed."""

    value: V
    changes: int = 0

    @property
    def etag(self) -> str:
        """Changes with its state."""
        return str(self.changes)


@dataclass(frozen=True, slots=True)
class Standard:
    """By what a tenant's leads are scored and held against; empty for one that activated nothing."""

    model: ScoreModel | None = None
    definition: MqlDefinition | None = None
    definition_model: ScoreModel | None = None
    """By which the definition counts points: what both parties agreed to, whichever model rates."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was activated."""
        return self.model is None and self.definition is None


NO_STANDARD: Final = Standard()


class ScoringCaches:
    """The standards of tenants, compiled once: each is known by how often the tenant changed it."""

    def __init__(self) -> None:
        self._standards: dict[str, tuple[int, Standard]] = {}

    def standard(self, connection: Connection, tenant: str, scoring_version: int) -> Standard:
        """Return the standard that this count stands for."""
        known_version, known = self._standards.get(tenant, (0, NO_STANDARD))
        if known_version != scoring_version:
            known = _standard(connection, tenant)
            self._standards[tenant] = (scoring_version, known)
        return known


class Scoring:
    """What the use cases of scoring load and save; a batch sees what it added itself."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._behaved: dict[LeadKey, Sequence[Behaved]] = {}
        self._held: dict[HeldKey, Sequence[Behaved]] = {}

    # Versions.

    def version(self, kind: Kind[V], tenant: str, version: int) -> Version[V] | None:
        """Return a version."""
        return find_version(kind, tenant, version)(self._connection)

    def active(self, kind: Kind[V], tenant: str) -> Version[V] | None:
        """Return the active version."""
        return find_active(kind, tenant)(self._connection)

    def newest(self, kind: Kind[V], tenant: str) -> int:
        """Return the number of the newest version; 0 before the first."""
        query = select(_v.version).where(_v.tenant == tenant, _v.kind == kind.name)
        return self._connection.execute(query.order_by(_v.version.desc()).limit(1)).scalar() or 0

    def put(self, kind: Kind[V], tenant: str, version: Version[V]) -> None:
        """Keep a version, new or changed."""
        value: Any = version.value
        row = (
            *(tenant, kind.name, value.version, value.state.value, version.changes),
            kind.write(tenant, value),
            *(value.create_time or self._now, value.activate_time, value.retire_time),
        )
        _PUT_VERSION.upsert(self._connection, [row])

    def note_activation(self, tenant: str) -> None:
        """Count that the tenant scores otherwise from now on: every later transaction sees it."""
        own = _TENANT.c.tenant == tenant
        bumped = {"scoring_version": _TENANT.c.scoring_version + 1}
        self._connection.execute(update(_TENANT).where(own).values(bumped))

    # Behaviour.

    def load(self, leads: Iterable[LeadKey], held: Iterable[HeldKey]) -> None:
        """Read what these leads did, and what is held under these keys, with two statements."""
        missing = [lead for lead in leads if lead not in self._behaved]
        if missing:
            self._behaved.update(dict.fromkeys(missing, ()))
            for tenant, lead, kept in _FIND_ENGAGEMENT.find(self._connection, missing):
                self._behaved[tenant, lead] = unpacked(kept)
        absent = [key for key in held if key not in self._held]
        if absent:
            self._held.update(dict.fromkeys(absent, ()))
            # Mostly nothing is held at all: then a thousand keys need not be looked up.
            if self._connection.execute(_ANY_HELD).first() is not None:
                for tenant, system, digest, kept in _FIND_HELD.find(self._connection, absent):
                    self._held[tenant, system, bytes(digest)] = unpacked(kept)

    def begin(self, lead: LeadKey) -> None:
        """Know of a new lead that it did nothing so far."""
        self._behaved.setdefault(lead, ())

    def behaved(self, lead: LeadKey, held: HeldKey) -> Sequence[Behaved]:
        """Return what a lead did, with what was held for the submission that began its handoff."""
        if lead not in self._behaved or held not in self._held:
            self.load([lead], [held])
        own, more = self._behaved[lead], self._held[held]
        return _newest([*own, *more]) if more else own

    def all_behaved(self, lead: LeadKey) -> Sequence[Behaved]:
        """Return what a lead did."""
        self.load([lead], [])
        return self._behaved[lead]

    def add(self, more: Mapping[LeadKey, Sequence[Behaved]]) -> None:
        """Keep more that leads did."""
        self.load(more, [])
        for lead, behaved in more.items():
            self._behaved[lead] = _newest([*self._behaved[lead], *behaved])
        _PUT_ENGAGEMENT.upsert(self._connection, [(*lead, packed(self._behaved[lead])) for lead in more])

    def hold(self, more: Mapping[HeldKey, Sequence[Behaved]]) -> None:
        """Keep what somebody did of whom nothing was submitted so far."""
        self.load([], more)
        for key, behaved in more.items():
            self._held[key] = _newest([*self._held[key], *behaved])
        _PUT_HELD.upsert(self._connection, [(*key, packed(self._held[key]), self._now) for key in more])

    def release(self, key: HeldKey, lead: LeadKey) -> None:
        """Make the lead's own what was held under a key."""
        self.load([lead], [key])
        held = self._held[key]
        if held:
            self.add({lead: held})
            self._held[key] = ()
            _delete_held(self._connection, [key])

    # Passes over what is open.

    def begin_pass(self, tenant: str, version: int) -> None:
        """Begin to rate all that is open by a version of the model."""
        rescoring.begin(self._connection, tenant, version, self._now)

    def find_pass(self, tenant: str) -> Pass | None:
        """Return the tenant's last pass."""
        return rescoring.find_pass(tenant)(self._connection)

    def save_pass(self, done: Pass) -> None:
        """Keep how far a pass has come."""
        rescoring.save(self._connection, done)

    def read_open(self, ids: Sequence[HandoffId]) -> list[OpenHandoff]:
        """Return what these handoffs are scored by."""
        return rescoring.read(self._connection, ids)

    def write_ratings(
        self, rated: Sequence[tuple[OpenHandoff, Rating]], *, order: ClaimOrder, currency_code: str
    ) -> None:
        """Keep ratings, and of what waits in a queue its place there."""
        rescoring.write(self._connection, rated, order=order, currency_code=currency_code)

    def purge_held(self) -> int:
        """Forget what was held too long; return how much, of at most a few hundred at once."""
        table = _T.held_engagement
        old = select(*(table.c[name] for name in _HELD_KEY)).where(
            table.c.update_time < self._now - _HELD_LIFETIME
        )
        keys = [
            (row[0], row[1], bytes(row[2])) for row in self._connection.execute(old.limit(_PURGED_AT_ONCE))
        ]
        _delete_held(self._connection, keys)
        return len(keys)


def packed(behaved: Iterable[Behaved]) -> bytes:
    """Return behaviour as it is kept."""
    return b"".join(_PACKED.pack(*each) for each in behaved)


def unpacked(kept: bytes) -> list[Behaved]:
    """Return behaviour that was kept."""
    return list(starmap(Behaved, _PACKED.iter_unpack(kept)))


def find_version(kind: Kind[V], tenant: str, version: int) -> Callable[[Connection], Version[V] | None]:
    """Return the query of one version."""

    def query(connection: Connection) -> Version[V] | None:
        found = _FIND_VERSION.find(connection, [(tenant, kind.name, version)])
        return _version_of(kind, found[0][2:]) if found else None

    return query


def find_active(kind: Kind[V], tenant: str) -> Callable[[Connection], Version[V] | None]:
    """Return the query of the active version."""

    def query(connection: Connection) -> Version[V] | None:
        found = _rows(connection, tenant, kind, _v.state == VersionState.ACTIVE.value)
        return _version_of(kind, found[0]) if found else None

    return query


def find_behaved(connection: Connection, lead: LeadKey, held: HeldKey) -> Sequence[Behaved]:
    """Return what a lead did, with what is held under a key; for readers."""
    own = _READ_ENGAGEMENT.find(connection, [lead]) + _READ_HELD.find(connection, [held])
    return _newest(each for row in own for each in unpacked(row[-1]))


def list_versions(
    kind: Kind[V], tenant: str, *, before: int | None, limit: int
) -> Callable[[Connection], list[Version[V]]]:
    """Return the query of a page of versions, newest first."""
    behind = [] if before is None else [_v.version < before]
    return lambda connection: [
        _version_of(kind, row) for row in _rows(connection, tenant, kind, *behind, limit=limit)
    ]


def forget_held(connection: Connection, tenant: str, lead: str) -> None:
    """Forget what is held under the keys of all that was submitted of a lead. For whoever erases the lead."""
    table = SCHEMA.leads.submission
    keys = (table.c.tenant, table.c.source_system, table.c.external_digest)
    found = select(*keys).where(of_lead(table, (tenant, lead))).distinct()
    _delete_held(connection, [(row[0], row[1], bytes(row[2])) for row in connection.execute(found)])


def _delete_held(connection: Connection, keys: Collection[HeldKey]) -> None:
    table = _T.held_engagement
    for key in keys:
        own = (table.c[name] == value for name, value in zip(_HELD_KEY, key, strict=True))
        connection.execute(delete(table).where(*own))


def _newest(behaved: Iterable[Behaved]) -> list[Behaved]:
    return sorted(behaved, key=attrgetter("occur_micros"))[-MOST_BEHAVED:]


def _standard(connection: Connection, tenant: str) -> Standard:
    active = _v.state == VersionState.ACTIVE.value
    models = [_version_of(MODELS, row).value for row in _rows(connection, tenant, MODELS, active)]
    found = [_version_of(DEFINITIONS, row).value for row in _rows(connection, tenant, DEFINITIONS, active)]
    definition = found[0] if found else None
    counted = None
    if definition is not None and definition.model_version:
        counted = find_version(MODELS, tenant, definition.model_version)(connection)
    return Standard(
        model=models[0] if models else None,
        definition=definition,
        definition_model=None if counted is None else counted.value,
    )


def _rows(
    connection: Connection, tenant: str, kind: Kind[Any], *conditions: Any, limit: int = 1
) -> Sequence[Any]:
    columns = (_v.version, _v.state, _v.changes, _v.content, _v.create_time, _v.activate_time, _v.retire_time)
    query = select(*columns).where(_v.tenant == tenant, _v.kind == kind.name, *conditions)
    return connection.execute(query.order_by(_v.version.desc()).limit(limit)).all()


def _version_of(kind: Kind[V], row: Sequence[Any]) -> Version[V]:
    version, state, changes, content, create_time, activate_time, retire_time = row
    standing: Mapping[str, Any] = {
        "version": version,
        "state": VersionState(state),
        "create_time": create_time,
        "activate_time": activate_time,
        "retire_time": retire_time,
    }
    return Version(replace(kind.read(bytes(content)), **standing), changes)
