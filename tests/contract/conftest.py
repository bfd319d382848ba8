"""What every contract suite may need."""

import os
from typing import Final

import pytest

from smarketing.server.settings import GrpcEngine
from tests.builders.engines import ENGINE_VARIABLE

EVERY_SUITE: Final = os.environ.get("ENGINES") == "all"
"""Whether suites that are about a service's answers, and not about calls, run on both engines too."""


@pytest.fixture(params=list(GrpcEngine))
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GrpcEngine:
    """Run the test once on each gRPC engine: the builders start their servers on it."""
    return _on(request.param, monkeypatch)


@pytest.fixture(params=list(GrpcEngine) if EVERY_SUITE else [GrpcEngine.GRPCIO])
def each_engine_when_asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GrpcEngine:
    """Run the test on grpcio, and with ENGINES=all on the other engine as well."""
    return _on(request.param, monkeypatch)


def _on(engine: GrpcEngine, monkeypatch: pytest.MonkeyPatch) -> GrpcEngine:
    monkeypatch.setenv(ENGINE_VARIABLE, engine)
    return engine
