"""What an erasure leaves for later: kept answers that name the lead."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, or_, select

from services.leads.domain.privacy import Erasure
from services.leads.store.schema import SCHEMA
from services.leads.store.subjects import ANSWER_KEY, AnswerKey, erasure_of
from smarketing import names
from smarketing.server.audit import AuditEntry, append_entries
from smarketing.sql import Writer
from smarketing.sql.expressions import holds_bytes

__all__ = ["answers_about", "append_audit", "unfinished"]

_erasure: Final = SCHEMA.privacy.erasure
_answer: Final = SCHEMA.commands.idempotency


def unfinished(connection: Connection) -> list[Erasure]:
    """Return the erasures that left something, oldest first; at most 100."""
    found = (
        select(_erasure).where(_erasure.c.finish_time.is_(None)).order_by(_erasure.c.erase_time).limit(100)
    )
    return [erasure_of(row) for row in connection.execute(found)]


def answers_about(erasures: Sequence[Erasure]) -> Callable[[Connection], list[AnswerKey]]:
    """Return the query for the kept answers that name one of the leads; it looks at all of their tenants'."""
    by_tenant: dict[str, list[str]] = {}
    for each in erasures:
        by_tenant.setdefault(each.tenant, []).append(names.LEAD.build(each.tenant, each.lead))

    def query(connection: Connection) -> list[AnswerKey]:
        found: list[AnswerKey] = []
        for tenant, leads in by_tenant.items():
            names_one = or_(*(holds_bytes(_answer.c.response, lead.encode()) for lead in leads))
            wanted = select(*(_answer.c[name] for name in ANSWER_KEY))
            rows = connection.execute(wanted.where(_answer.c.tenant == tenant, names_one))
            found += [tuple(row) for row in rows]
        return found

    return query


async def append_audit(writer: Writer, entries: Sequence[AuditEntry]) -> None:
    """Put on record what no command did; it is there when this returns."""
    await writer.run(_append, entries)


def _append(connection: Connection, entries: Sequence[AuditEntry], now: datetime) -> list[None]:
    append_entries(SCHEMA.commands.audit, connection, entries, now=now)
    return [None] * len(entries)
