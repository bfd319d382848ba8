"""What every contract suite may need."""

import pytest

from smarketing.server.settings import GrpcEngine
from tests.builders.engines import ENGINE_VARIABLE


@pytest.fixture(params=list(GrpcEngine))
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GrpcEngine:
    """Run the test once on each gRPC engine: the builders start their servers on it."""
    engine: GrpcEngine = request.param
    monkeypatch.setenv(ENGINE_VARIABLE, engine)
    return engine
