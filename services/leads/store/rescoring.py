"""Passes over a tenant's open handoffs: how far each has come, and a part of it read and written narrowly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, false, or_, select, tuple_

from services.leads.domain.claims import ClaimOrder, claim_place
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Qualification, Rating
from services.leads.domain.scoring import Pass
from services.leads.domain.terms import Money, SourceChannel
from services.leads.store.schema import SCHEMA
from smarketing.sql import FindRows, UpdateRows, UpsertRows

__all__ = ["EVERY", "OpenHandoff", "begin", "due", "find_pass", "open_after", "read", "save", "write"]

EVERY: Final = timedelta(days=1)
"""How often what is open is rated again without anything having happened, since points decay."""

_T: Final = SCHEMA.scoring.rescoring
_h: Final = SCHEMA.leads.handoff.c
_PUT: Final = UpsertRows(
    _T, key=["tenant"], replace=[column.name for column in _T.columns if column.name != "tenant"]
)
_KEY: Final = ["tenant", "lead", "number"]
_RATING: Final = ["rating_score", "rating_band", "rating_version"]
_CLAIM: Final = ["claim_advance", "claim_value", "claim_score", "claim_time"]
_TEXTS: Final = ["campaign", "landing_page", "segment", "region", "product", "lead_type", "language"]
_FIND: Final = FindRows(
    SCHEMA.leads.handoff,
    key=_KEY,
    columns=[
        *(*_KEY, "source_system", "external_digest", "queue", "next_due_time", *_RATING),
        *("source", "source_channel", "score", "value_currency_code", "value_minor_units", "inquire_time"),
        *_TEXTS,
    ],
    locked=True,
)
_UPDATE: Final = UpdateRows(SCHEMA.leads.handoff, key=_KEY, columns=_RATING)
_UPDATE_WAITING: Final = UpdateRows(SCHEMA.leads.handoff, key=_KEY, columns=[*_RATING, *_CLAIM])
_CHANNELS: Final = {channel.value: channel for channel in SourceChannel}
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST_OPEN, _LAST_OPEN = 1, 6


@dataclass(frozen=True, slots=True)
class OpenHandoff:
    """What a score is made of, of one handoff."""

    id: HandoffId
    source_system: str
    external_digest: bytes
    queue: str
    next_due_time: datetime | None
    qualification: Qualification


def begin(connection: Connection, tenant: str, version: int, now: datetime) -> None:
    """Begin a pass; one that was under way is given up."""
    save(connection, Pass(tenant, version, now))


def save(connection: Connection, done: Pass) -> None:
    """Keep how far a pass has come."""
    times = (done.start_time, done.finish_time)
    _PUT.upsert(
        connection,
        [(done.tenant, done.version, *times, *done.after, done.scored_count, done.changed_count)],
    )


def find_pass(tenant: str) -> Callable[[Connection], Pass | None]:
    """Return the query of a tenant's last pass."""

    def query(connection: Connection) -> Pass | None:
        row = connection.execute(select(_T).where(_T.c.tenant == tenant)).one_or_none()
        return None if row is None else _pass_of(row)

    return query


def due(now: datetime) -> Callable[[Connection], list[Pass]]:
    """Return the query of the passes that are under way, or over for so long that the next one is due."""
    waiting = or_(_T.c.finish_time.is_(None), _T.c.start_time <= now - EVERY)
    query = select(_T).where(waiting).order_by(_T.c.tenant)
    return lambda connection: [_pass_of(row) for row in connection.execute(query)]


def open_after(tenant: str, after: tuple[str, int], *, limit: int) -> Callable[[Connection], list[HandoffId]]:
    """Return the query of the next open handoffs, in the order in which they lie."""
    query = (
        select(_h.lead, _h.number)
        .where(_h.tenant == tenant, tuple_(_h.lead, _h.number) > tuple_(*after))
        .where(_h.state.between(_FIRST_OPEN, _LAST_OPEN), _h.archived == false())
        .order_by(_h.lead, _h.number)
        .limit(limit)
    )
    return lambda connection: [HandoffId(tenant, *row) for row in connection.execute(query)]


def read(connection: Connection, ids: Sequence[HandoffId]) -> list[OpenHandoff]:
    """Return what these handoffs are scored by."""
    return [_open_of(row) for row in _FIND.find(connection, ids)]


def write(
    connection: Connection,
    rated: Sequence[tuple[OpenHandoff, Rating]],
    *,
    order: ClaimOrder,
    currency_code: str,
) -> None:
    """Keep ratings, and of what waits in a queue its place there."""
    owned, waiting = [], []
    for handoff, rating in rated:
        row = (*handoff.id, rating.score, rating.band, rating.version)
        if not handoff.queue:
            owned.append(row)
            continue
        told = replace(handoff.qualification, rating=rating)
        place = claim_place(told, order, currency_code=currency_code)
        time = place.time(handoff.next_due_time)
        waiting.append((*row, place.advance // _MICROSECOND, place.value, place.score, time))
    _UPDATE.update(connection, owned)
    _UPDATE_WAITING.update(connection, waiting)


def _pass_of(row: Any) -> Pass:
    return Pass(
        tenant=row.tenant,
        version=row.version,
        start_time=row.start_time,
        finish_time=row.finish_time,
        after=(row.after_lead, row.after_number),
        scored_count=row.scored_count,
        changed_count=row.changed_count,
    )


def _open_of(row: Sequence[Any]) -> OpenHandoff:
    tenant, lead, number, system, digest, queue, next_due_time, rated, band, version, *told = row
    source, channel, score, currency_code, minor_units, inquire_time, *texts = told
    campaign, landing_page, segment, region, product, lead_type, language = texts
    return OpenHandoff(
        HandoffId(tenant, lead, number),
        system,
        bytes(digest),
        queue,
        next_due_time,
        Qualification(
            source=source,
            source_channel=_CHANNELS[channel],
            campaign=campaign,
            landing_page=landing_page,
            segment=segment,
            region=region,
            product=product,
            lead_type=lead_type,
            score=score,
            value=None if currency_code is None else Money(currency_code, minor_units),
            inquire_time=inquire_time,
            language=language,
            rating=None if rated is None else Rating(rated, band, version),
        ),
    )
