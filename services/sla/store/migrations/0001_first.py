"""The first schema: everything there is."""

from alembic import op

from services.sla.store.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    metadata.create_all(op.get_bind())
