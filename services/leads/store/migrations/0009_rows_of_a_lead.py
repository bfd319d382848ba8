"""Find the submissions and the changes of opportunities of a lead: exports and erasures ask for them."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("submission_by_lead", "submission", ["tenant", "lead"])
    op.create_index("opportunity_change_by_lead", "opportunity_change", ["tenant", "lead"])
