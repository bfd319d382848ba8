"""Keep references that may name a person as a keyed digest and a sealed value.

What stood there in plain text is dropped, for a migration has no keys: nothing was released with it.
"""

from alembic import op
from sqlalchemy import Column, LargeBinary, text

revision = "0003"
down_revision = "0002"

_KNOWN_BY_ID = ("follow_up", "reply")
_WITH_ID = ("opportunity", "opportunity_change")
_WITH_EVIDENCE = ("handoff", "dispute")


def upgrade() -> None:
    """Change the columns."""
    given = text("external_digest IS NOT NULL")
    for table in _KNOWN_BY_ID:
        index = f"{table}_by_external_id"
        op.drop_index(index, table)
        op.drop_column(table, "external_id")
        op.add_column(table, Column("external_digest", LargeBinary))
        op.add_column(table, Column("sealed_external_id", LargeBinary))
        op.create_index(
            index,
            table,
            ["tenant", "lead", "number", "external_digest"],
            unique=True,
            sqlite_where=given,
            postgresql_where=given,
        )
    for table in _WITH_ID:
        op.drop_column(table, "external_id")
        op.add_column(table, Column("sealed_external_id", LargeBinary))
    for table in _WITH_EVIDENCE:
        op.drop_column(table, "evidence")
        op.add_column(table, Column("sealed_evidence", LargeBinary))
