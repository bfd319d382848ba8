"""The handoff loop as it stands, on PostgreSQL and over JetStream: the same test, another shape."""

from collections.abc import Iterator

import pytest

from tests.builders import postgres
from tests.builders.nats_servers import NatsServer
from tests.builders.processes import Installation, an_installation, until
from tests.e2e.test_on_the_bus import is_carried
from tests.e2e.test_the_handoff_loop import (
    test_a_lead_is_offered_accepted_worked_and_won_and_both_parties_read_it,
)

__all__ = ["test_a_lead_is_offered_accepted_worked_and_won_and_both_parties_read_it"]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Return services of the second shape, in the place of those that other tests share."""
    folder = tmp_path_factory.mktemp("second")
    server = NatsServer(folder)
    server.start()
    try:
        with postgres.database() as url:
            environ = {
                "SMARKETING_DATABASE_URL": url,
                "SMARKETING_BUS": server.url,
                "SMARKETING_NATS_MONITORS": server.monitor,
                "SMARKETING_NATS_REPLICAS": "1",
                "SMARKETING_NATS_MAX_BYTES": "100000000",
            }
            with an_installation(folder / "installation", environ) as running:
                yield running
    finally:
        server.stop()


async def test_what_was_told_went_over_the_bus(installation: Installation) -> None:
    await until(lambda: is_carried(installation), bool, seconds=30)
