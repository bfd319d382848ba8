"""What takes too long for every run of `make test`, and is run by `make thorough`."""

import os
from typing import Final

import pytest

THOROUGH: Final = os.environ.get("THOROUGH") == "1"
"""Whether suites about answers run on both stores and both engines, and the slow tests run at all."""

takes_minutes: Final = pytest.mark.skipif(not THOROUGH, reason="takes minutes: `make thorough` runs it")
