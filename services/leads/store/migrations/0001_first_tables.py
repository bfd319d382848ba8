"""Create every table as the first build knew it."""

from alembic import op

from services.leads.store.schema import SCHEMA

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    SCHEMA.metadata.create_all(op.get_bind())
