"""Order by worth what waits in queues alone: what a person is offered is not taken from one."""

from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the index anew, of fewer handoffs."""
    waiting = text("queue <> '' AND offer_state = 1")
    op.create_index(
        "handoff_waiting",
        "handoff",
        [
            "tenant",
            "queue",
            "claim_time",
            text("claim_value DESC"),
            text("claim_score DESC"),
            "submit_time",
        ],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.drop_index("handoff_offered", "handoff")
