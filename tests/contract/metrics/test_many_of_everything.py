"""However many commitments, teams and steps tenants make, /metrics stays small and its sums stay right."""

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, insert

from services.sla.store.schema import metadata, tally
from services.sla.store.tallies import RUNG, SETTLED
from services.sla.web.metrics import SlaMetrics
from smarketing import wallclock
from smarketing.sql import Database, Writer

TENANTS = ("acme", "globex", "initech")
COMMITMENTS, TEAMS, RUNGS = 25, 20, 15


def _rows() -> list[dict[str, object]]:
    return [
        {
            "tenant": tenant,
            "what": what,
            "commitment_id": f"promise-{number}",
            "team": f"tenants/{tenant}/teams/team-{number % TEAMS}" if what == SETTLED else "",
            "label": label,
            "count": number + 1,
        }
        for tenant in TENANTS
        for number in range(COMMITMENTS)
        for what, labels in ((SETTLED, ("met", "breached")), (RUNG, [f"step-{n}" for n in range(RUNGS)]))
        for label in labels
    ]


async def test_what_tenants_name_themselves_is_shown_up_to_four_and_the_rest_together() -> None:
    def fill(connection: Connection, rows: Sequence[dict[str, object]], _now: datetime) -> list[None]:
        connection.execute(insert(tally), list(rows))
        return [None] * len(rows)

    registry, rows = CollectorRegistry(), _rows()
    with Database.in_memory() as database:
        with database.writer_engine.begin() as connection:
            metadata.create_all(connection)
        async with Writer(database, now=wallclock.utc_now) as writer:
            await writer.run(fill, rows)
            metrics = SlaMetrics(registry, writer, tenants=TENANTS, now=wallclock.utc_now)
            await metrics.refresh()

    samples = {
        name: family.samples
        for family in metrics.collect()
        if (name := family.name) in {"smarketing_sla_clocks_settled", "smarketing_sla_rungs_fired"}
    }
    for name, what in (("smarketing_sla_clocks_settled", SETTLED), ("smarketing_sla_rungs_fired", RUNG)):
        shown = sum(sample.value for sample in samples[name])
        assert shown == sum(int(str(row["count"])) for row in rows if row["what"] == what)
        for label in ("commitment", "team", "rung"):
            values = {sample.labels.get(label, "") for sample in samples[name]}
            # Four with three tenants, and `other`; one empty where the metric has no such label.
            assert len(values) <= 5, label
        assert "other" in {sample.labels["commitment"] for sample in samples[name]}
        # The most used is never among the rest.
        assert f"promise-{COMMITMENTS - 1}" in {sample.labels["commitment"] for sample in samples[name]}
