"""Keep how far each tenant's view of a log is folded in, beside how far the whole log is."""

from alembic import op

from services.reports.store.database import SCHEMA

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table, where the first step did not create it with the others."""
    SCHEMA.reports.folded_tenant.create(op.get_bind(), checkfirst=True)
