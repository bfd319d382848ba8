"""Keep every change of inputs, and figures as they were at the end of a month.

What is recorded already becomes the first changes, of an instant before all others.
"""

import json

from alembic import op
from sqlalchemy import Column, LargeBinary, Text, column, select, table

from smarketing.sql.types import BigInt

revision = "0008"
down_revision = "0007"

_ENTRY = (
    *("tenant", "source_system", "external_id", "revision", "withdrawn", "kind", "word"),
    *("first_day", "last_day", "number", "currency", "second", "party", "team", "person"),
    *("campaign", "investment", "source_channel", "segment", "region", "product", "journey"),
)


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "input_change",
        Column("tenant", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("change_time", BigInt, nullable=False),
        Column("entry", Text, nullable=False),
    )
    op.create_table(
        "month_end",
        Column("tenant", Text, primary_key=True),
        Column("month", BigInt, primary_key=True, autoincrement=False),
        Column("kpi_id", Text, primary_key=True),
        Column("basis", Text, primary_key=True),
        Column("group_by", Text, primary_key=True),
        Column("freeze_time", BigInt, nullable=False),
        Column("answer", LargeBinary, nullable=False),
    )
    _begin_journal()


def _begin_journal() -> None:
    entry = table("input_entry", *(column(name) for name in _ENTRY))
    change = table("input_change", *(column(name) for name in ("tenant", "number", "change_time", "entry")))
    connection = op.get_bind()
    numbers: dict[str, int] = {}
    rows = connection.execute(select(entry).order_by(*(entry.c[name] for name in _ENTRY[:3]))).all()
    for row in rows:
        told = dict(zip(_ENTRY, row, strict=True)) | {"withdrawn": bool(row.withdrawn)}
        number = numbers[row.tenant] = numbers.get(row.tenant, 0) + 1
        values = (row.tenant, number, 0, json.dumps(told, sort_keys=True))
        connection.execute(change.insert().values(dict(zip(change.c.keys(), values, strict=True))))
