"""One installation that all end-to-end tests share which kill nothing; each test has a tenant of its own."""

from collections.abc import Iterator

import pytest

from tests.builders.processes import Installation, an_installation


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Return the running services; webhooks may go to this machine, and reflection is on."""
    environ = {
        "SMARKETING_WEBHOOK_LOOPBACK": "true",
        "SMARKETING_REFLECTION": "true",
        "SMARKETING_METRIC_TENANTS": "default,forgotten,watched",
    }
    with an_installation(tmp_path_factory.mktemp("installation"), environ) as running:
        yield running
