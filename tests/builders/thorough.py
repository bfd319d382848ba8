"""What takes too long for every run of `make test`, and is run by `make thorough` or `make faults`."""

import os
from typing import Final

import pytest

THOROUGH: Final = os.environ.get("THOROUGH") == "1"
"""Whether suites about answers run on both stores and both engines, and the slow tests too."""

FULL_FAULTS: Final = os.environ.get("FAULTS") == "full"
"""Whether fault rows run at full count, of which slow tests are a part."""

takes_minutes: Final = pytest.mark.skipif(
    not (THOROUGH or FULL_FAULTS), reason="takes minutes: `make thorough` and `make faults` run it"
)
