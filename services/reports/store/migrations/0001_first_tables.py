"""Create every table as the first build knew it."""

from alembic import op

from services.reports.store.database import SCHEMA

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    SCHEMA.metadata.create_all(op.get_bind())
