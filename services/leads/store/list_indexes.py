"""The indexes behind the lists of handoffs: one for each order and each column that narrows it.

What a list holds fast comes first, then its order, then the key: so a page is a piece of the index.
"""

from typing import Final

from sqlalchemy import Index, text

_OWNED: Final = text("owner <> ''")
_QUEUED: Final = text("queue <> ''")
_OFFERED: Final = text("offer_state = 1")
_DUE: Final = text("next_due_time IS NOT NULL")
_NEWEST: Final = ("submit_time", "lead", "number")


def define_list_indexes() -> list[Index]:
    """Return the indexes, for the table of handoffs to be declared with."""
    return [
        Index("handoff_by_time", "tenant", *_NEWEST),
        Index("handoff_by_state", "tenant", "state", "archived", *_NEWEST),
        _partial("handoff_by_owner", "owner", "state", *_NEWEST, where=_OWNED),
        _partial("handoff_by_queue", "queue", *_NEWEST, where=_QUEUED),
        _partial("handoff_by_due", "next_due_time", "lead", "number", where=_DUE),
        _partial("handoff_by_owner_due", "owner", "next_due_time", "lead", "number", where=_DUE),
        _partial("handoff_by_expiry", "offer_expire_time", "lead", "number", where=_OFFERED),
        _partial(
            "handoff_by_assignee", "offer_assignee", "offer_expire_time", "lead", "number", where=_OFFERED
        ),
    ]


def _partial(name: str, *columns: str, where: object) -> Index:
    return Index(name, "tenant", *columns, sqlite_where=where, postgresql_where=where)
