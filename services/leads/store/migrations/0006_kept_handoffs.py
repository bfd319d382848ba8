"""Find by indexes alone what was merged: with a column less SQLite read all of a tenant's."""

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the indexes anew."""
    op.drop_index("lead_merge_by_lead", "lead_merge")
    op.create_index("lead_merge_by_lead", "lead_merge", ["tenant", "lead", "unmerge_time"])
    kept = text("kept_lead <> ''")
    op.drop_index("handoff_by_kept_lead", "handoff")
    op.create_index(
        "handoff_by_kept_lead",
        "handoff",
        ["tenant", "kept_lead", "kept_number"],
        sqlite_where=kept,
        postgresql_where=kept,
    )
