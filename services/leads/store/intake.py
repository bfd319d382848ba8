"""Sources and what they sent: bodies and secrets are kept sealed, and forgotten in time."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, delete, func, select, update

from services.leads.domain.intake import SET_ASIDE_LIFETIME, Ownership, Secrets, SetAside, Source
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from smarketing.delivery import Sealer as SecretSealer
from smarketing.sql import FindRows, InsertRows, UpsertRows, from_micros, to_micros

__all__ = ["Intake", "IntakeReading", "KeptRules", "PutAside", "forget_subjects"]

_T: Final = SCHEMA.intake
_ITEM: Final = ["tenant", "source", "item"]
_FIND_ITEMS: Final = FindRows(_T.set_aside, key=_ITEM, columns=[*_ITEM, "attempts", "create_time"])
_PUT_ITEMS: Final = UpsertRows(
    _T.set_aside,
    key=_ITEM,
    replace=[column.name for column in _T.set_aside.columns][len(_ITEM) :],
)
_PUT_SUBJECTS: Final = UpsertRows(_T.set_aside_subject, key=["tenant", "digest", "source", "item"])
_FIND_BEHAVIOURS: Final = FindRows(_T.behaviour, key=["tenant", "source_system", "digest"])
_INSERT_BEHAVIOURS: Final = InsertRows(_T.behaviour)
_PUT_RULES: Final = UpsertRows(_T.rules, key=["tenant"], replace=["version", "rules"])
_PURGED_AT_ONCE: Final = 500

Key = tuple[str, str, str]
"""Tenant, source and item."""


@dataclass(frozen=True, slots=True)
class PutAside:
    """What to keep of an item, and by whom it is about."""

    kept: SetAside
    body: bytes
    subjects: Collection[bytes] = ()


@dataclass(frozen=True, slots=True)
class KeptRules:
    """A tenant's rules as they are kept, and how often they changed."""

    version: int = 0
    rules: bytes = b""


class Intake:
    """What the use cases of intake load and save within a transaction."""

    def __init__(self, connection: Connection, sealer: Sealer, now: datetime) -> None:
        self._connection = connection
        self._sealer = sealer
        self._now = now
        self._ownership: dict[str, Ownership] = {}

    def ownership(self, tenant: str, read: Callable[[bytes], Ownership]) -> Ownership:
        """Return whose the tenant's fields are; `read` makes it of the kept rules."""
        found = self._ownership.get(tenant)
        if found is None:
            kept = rules_of(self._connection, tenant)
            found = self._ownership[tenant] = read(kept.rules) if kept.rules else Ownership()
        return found

    def rules(self, tenant: str) -> KeptRules:
        """Return the tenant's rules."""
        return rules_of(self._connection, tenant)

    def put_rules(self, tenant: str, kept: KeptRules) -> None:
        """Keep the tenant's rules."""
        _PUT_RULES.upsert(self._connection, [(tenant, kept.version, kept.rules)])

    def source(self, tenant: str, source_id: str) -> tuple[Source, bytes] | None:
        """Return a source and its sealed secrets."""
        table = _T.source
        found = select(table).where(table.c.tenant == tenant, table.c.source == source_id)
        row = self._connection.execute(found).one_or_none()
        return None if row is None else (_source_of(row), bytes(row.sealed_secrets))

    def add_source(self, source: Source, sealed_secrets: bytes) -> None:
        """Keep a new source."""
        self._connection.execute(
            _T.source.insert().values(
                tenant=source.tenant,
                source=source.source_id,
                system=source.system,
                mapping=source.mapping,
                display_name=source.display_name,
                public_url=source.public_url,
                api_url=source.api_url,
                people=orjson.dumps(dict(source.people)).decode(),
                sealed_secrets=sealed_secrets,
                create_time=source.create_time,
                delete_time=None,
            )
        )

    def save_source(self, source: Source, **changes: Any) -> Source:
        """Change a source's secrets, or that it was removed."""
        table = _T.source
        own = (table.c.tenant == source.tenant, table.c.source == source.source_id)
        self._connection.execute(update(table).where(*own).values(**changes))
        return replace(source, **{name: value for name, value in changes.items() if name == "delete_time"})

    def known_items(self, keys: Sequence[Key]) -> dict[Key, tuple[int, datetime]]:
        """Return how often those set aside were tried, and since when they are."""
        found = _FIND_ITEMS.find(self._connection, keys)
        return {(row[0], row[1], row[2]): (row[3], row[4]) for row in found}

    def put_aside(self, items: Iterable[PutAside]) -> None:
        """Keep these items, each sealed with a key of its own."""
        rows, subjects = [], []
        for item in items:
            kept = item.kept
            key = (kept.tenant, kept.source_id, kept.item)
            sealed = self._sealer.seal(item.body, bound_to="/".join(key))
            rows.append(
                (
                    *key,
                    kept.type,
                    kept.reason,
                    kept.description,
                    kept.create_time,
                    kept.attempts,
                    *sealed,
                    kept.next_attempt_time,
                )
            )
            subjects += [(kept.tenant, digest, kept.source_id, kept.item) for digest in set(item.subjects)]
        _PUT_ITEMS.upsert(self._connection, rows)
        _PUT_SUBJECTS.upsert(self._connection, subjects)

    def forget_items(self, keys: Iterable[Key]) -> None:
        """Forget items of which something was made, or which are too old."""
        for tenant, source, item in keys:
            _forget_item(self._connection, tenant, source, item)

    def purge(self) -> int:
        """Forget what was set aside too long ago; return how many, of at most a few hundred at once."""
        table = _T.set_aside
        old = (
            select(table.c.tenant, table.c.source, table.c.item)
            .where(table.c.create_time < self._now - SET_ASIDE_LIFETIME)
            .limit(_PURGED_AT_ONCE)
        )
        keys = [(row[0], row[1], row[2]) for row in self._connection.execute(old)]
        self.forget_items(keys)
        return len(keys)

    def new_behaviours(self, keys: Sequence[tuple[str, str, bytes]]) -> set[tuple[str, str, bytes]]:
        """Keep these behaviours and return those that were not known."""
        rows = _FIND_BEHAVIOURS.find(self._connection, keys)
        new = dict.fromkeys(keys)
        for tenant, system, digest, _ in rows:
            new.pop((tenant, system, bytes(digest)), None)
        _INSERT_BEHAVIOURS.insert(self._connection, [(*key, self._now) for key in new])
        return set(new)


class IntakeReading:
    """Queries on readers, and what only the installation's keys open."""

    def __init__(self, sealer: Sealer, secrets: SecretSealer) -> None:
        self._sealer = sealer
        self._secrets = secrets

    def seal_secrets(self, source: Source, secrets: Secrets) -> bytes:
        """Return a source's secrets as they are kept."""
        until = secrets.previous_expire_time
        plain = {
            "present": secrets.present,
            "previous": secrets.previous,
            "previous_expire_micros": None if until is None else to_micros(until),
            "api_token": secrets.api_token,
            "verify_token": secrets.verify_token,
            "digest_key": secrets.digest_key,
        }
        return self._secrets.seal(orjson.dumps(plain), _purpose(source))

    def open_secrets(self, source: Source, sealed: bytes) -> Secrets:
        """Return a source's secrets."""
        plain = orjson.loads(self._secrets.open(sealed, _purpose(source)))
        micros = plain.pop("previous_expire_micros")
        return Secrets(**plain, previous_expire_time=None if micros is None else from_micros(micros))

    def body(self, key: Key, wrapped_key: bytes, sealed_body: bytes) -> bytes:
        """Return what was set aside."""
        return self._sealer.unseal(wrapped_key, sealed_body, bound_to="/".join(key))

    def source_by_id(self, source_id: str) -> Callable[[Connection], tuple[Source, Secrets, bytes] | None]:
        """Return the query of a source, whichever tenant's it is, with its secrets and the tenant's rules."""
        found = select(_T.source).where(_T.source.c.source == source_id)

        def query(connection: Connection) -> tuple[Source, Secrets, bytes] | None:
            row = connection.execute(found).one_or_none()
            if row is None:
                return None
            source = _source_of(row)
            secrets = self.open_secrets(source, bytes(row.sealed_secrets))
            return source, secrets, rules_of(connection, source.tenant).rules

        return query

    @staticmethod
    def sources(
        tenant: str, *, limit: int, after: Sequence[Any] | None
    ) -> Callable[[Connection], list[Source]]:
        """Return the query of a page of sources, newest first; ids grow with time."""
        table = _T.source
        query = select(table).where(table.c.tenant == tenant)
        if after is not None:
            query = query.where(table.c.source < str(after[0]))
        ordered = query.order_by(table.c.source.desc()).limit(limit)
        return lambda connection: [_source_of(row) for row in connection.execute(ordered)]

    @staticmethod
    def set_aside(
        tenant: str, source_id: str, *, limit: int, after: Sequence[Any] | None
    ) -> Callable[[Connection], list[SetAside]]:
        """Return the query of a page of what was set aside, oldest first."""
        table = _T.set_aside
        query = select(table).where(table.c.tenant == tenant, table.c.source == source_id)
        if after is not None:
            since, item = from_micros(int(after[0])), str(after[1])
            query = query.where(
                (table.c.create_time > since) | ((table.c.create_time == since) & (table.c.item > item))
            )
        ordered = query.order_by(table.c.create_time, table.c.item).limit(limit)
        return lambda connection: [_set_aside_of(row) for row in connection.execute(ordered)]

    def bodies(
        self, tenant: str, source_id: str, items: Collection[str], *, limit: int
    ) -> Callable[[Connection], list[tuple[SetAside, bytes]]]:
        """Return the query of what was set aside with its bodies: these, or with none the oldest."""
        table = _T.set_aside
        query = select(table).where(table.c.tenant == tenant, table.c.source == source_id)
        if items:
            query = query.where(table.c.item.in_(list(items)))
        return lambda connection: self._opened(
            connection.execute(query.order_by(table.c.create_time, table.c.item).limit(limit)).all()
        )

    def due(self, now: datetime, *, limit: int) -> Callable[[Connection], list[tuple[SetAside, bytes]]]:
        """Return the query of what is to be tried again by itself."""
        table = _T.set_aside
        query = (
            select(table)
            .where(table.c.next_attempt_time.is_not(None), table.c.next_attempt_time <= now)
            .order_by(table.c.next_attempt_time)
            .limit(limit)
        )
        return lambda connection: self._opened(connection.execute(query).all())

    @staticmethod
    def next_due(connection: Connection) -> datetime | None:
        """Return when something is next to be tried again."""
        column = _T.set_aside.c.next_attempt_time
        found: datetime | None = connection.execute(
            select(func.min(column)).where(column.is_not(None))
        ).scalar_one()
        return found

    def _opened(self, rows: Sequence[Row[Any]]) -> list[tuple[SetAside, bytes]]:
        return [
            (
                _set_aside_of(row),
                self.body((row.tenant, row.source, row.item), bytes(row.wrapped_key), bytes(row.sealed_body)),
            )
            for row in rows
        ]


def rules_of(connection: Connection, tenant: str) -> KeptRules:
    """Return a tenant's rules; those of a tenant that never said any are empty."""
    table = _T.rules
    row = connection.execute(select(table).where(table.c.tenant == tenant)).one_or_none()
    return KeptRules() if row is None else KeptRules(row.version, bytes(row.rules))


def forget_subjects(connection: Connection, tenant: str, digests: Collection[bytes]) -> int:
    """Forget what was set aside about whoever has one of these digests; return how much.

    For whoever erases a person: call it in the same transaction.
    """
    table = _T.set_aside_subject
    found = select(table.c.source, table.c.item).where(
        table.c.tenant == tenant, table.c.digest.in_(list(digests))
    )
    keys = {(row[0], row[1]) for row in connection.execute(found)}
    for source, item in keys:
        _forget_item(connection, tenant, source, item)
    return len(keys)


def _forget_item(connection: Connection, tenant: str, source: str, item: str) -> None:
    for table in (_T.set_aside, _T.set_aside_subject):
        own = (table.c.tenant == tenant, table.c.source == source, table.c.item == item)
        connection.execute(delete(table).where(*own))


def _source_of(row: Row[Any]) -> Source:
    people: Mapping[str, str] = orjson.loads(row.people)
    return Source(
        tenant=row.tenant,
        source_id=row.source,
        system=row.system,
        mapping=row.mapping,
        display_name=row.display_name,
        public_url=row.public_url,
        api_url=row.api_url,
        people=people,
        create_time=row.create_time,
        delete_time=row.delete_time,
    )


def _set_aside_of(row: Row[Any]) -> SetAside:
    return SetAside(
        tenant=row.tenant,
        source_id=row.source,
        item=row.item,
        type=row.type,
        reason=row.reason,
        description=row.description,
        create_time=row.create_time,
        attempts=row.attempts,
        next_attempt_time=row.next_attempt_time,
    )


def _purpose(source: Source) -> str:
    return f"intake-source/{source.tenant}/{source.source_id}"
