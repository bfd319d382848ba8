"""Which engine the servers of a test run on; the suites that are about calls run on both."""

import os
from typing import Final

from smarketing.server.settings import GrpcEngine

ENGINE_VARIABLE: Final = "SMARKETING_GRPC_ENGINE"


def engine() -> GrpcEngine:
    """Return the engine that the environment names, as a service started from it would."""
    return GrpcEngine(os.environ.get(ENGINE_VARIABLE) or GrpcEngine.GRPCIO)
