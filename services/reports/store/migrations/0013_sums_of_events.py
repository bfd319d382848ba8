"""Keep a sum over each event, by which a value that changed on the disk is seen."""

from alembic import op
from sqlalchemy import Column

from smarketing.sql import BigInt

revision = "0013"
down_revision = "0012"
oldest_build = "0012"


def upgrade() -> None:
    """Add it; what is there already has none, and what an older build records gets none."""
    op.add_column("event_log", Column("checksum", BigInt))
