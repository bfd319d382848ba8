"""Keep what became of each promise of a period, and alerts that are of no clock."""

from alembic import op
from sqlalchemy import Column, Text, text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns, and the index by which such alerts are found."""
    for column in ("verdicts", "pace"):
        op.add_column("marketing_period", Column(column, Text, nullable=False, server_default=text("''")))
    for column in ("topic", "agreement_version"):
        op.add_column("alert", Column(column, Text, nullable=False, server_default=text("''")))
    of_no_clock = text("topic <> ''")
    op.create_index(
        "alert_of_topic",
        "alert",
        ["tenant", "topic", "commitment_id"],
        sqlite_where=of_no_clock,
        postgresql_where=of_no_clock,
    )
