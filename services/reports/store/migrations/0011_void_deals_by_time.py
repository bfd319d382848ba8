"""Let the few void handoffs with an opportunity be found by when they became void.

By the tenant alone, SQLite takes another index of the tenant, and walks all handoffs.
"""

from alembic import op
from sqlalchemy import text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the index anew."""
    void = text("void_time IS NOT NULL AND convert_time IS NOT NULL")
    op.drop_index("handoff_fact_void_deals", "handoff_fact")
    op.create_index(
        "handoff_fact_void_deals",
        "handoff_fact",
        ["tenant", "void_time"],
        sqlite_where=void,
        postgresql_where=void,
    )
