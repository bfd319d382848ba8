"""Find the touchpoints of a buyer's way without walking all of the tenant's."""

from alembic import op

revision = "0010"
down_revision = "0009"
oldest_build = "0009"


def upgrade() -> None:
    """Make the index."""
    op.create_index("input_entry_by_journey", "input_entry", ["tenant", "journey"])
