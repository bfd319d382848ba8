"""What every contract suite may need."""

import pytest

from smarketing.server.settings import GrpcEngine
from tests.builders.engines import ENGINE_VARIABLE
from tests.builders.thorough import THOROUGH


@pytest.fixture(params=list(GrpcEngine))
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GrpcEngine:
    """Run the test once on each gRPC engine: the builders start their servers on it."""
    return _on(request.param, monkeypatch)


@pytest.fixture(params=list(GrpcEngine) if THOROUGH else [GrpcEngine.GRPCIO])
def each_engine_if_thorough(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GrpcEngine:
    """Run the test on grpcio, and on the other engine too when all is to be run."""
    return _on(request.param, monkeypatch)


def _on(engine: GrpcEngine, monkeypatch: pytest.MonkeyPatch) -> GrpcEngine:
    monkeypatch.setenv(ENGINE_VARIABLE, engine)
    return engine
