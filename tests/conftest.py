"""What every test may need: the system packages some of them want."""

import os
import shutil

import pytest
from hypothesis import Phase, settings

# Explaining a failure traces every line from the first example on, which makes all of them much slower.
settings.register_profile("plain", phases=[phase for phase in Phase if phase is not Phase.explain])
settings.load_profile("plain")

_PROGRAMS = {
    "chromium": "chromium",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "faketime": "faketime",
    "strace": "strace",
}
"""Program → the Debian package that brings it."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is missing, by name; with REQUIRE_ALL=1 that is a failure."""
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if program not in _PROGRAMS:
                pytest.fail(f"{program} has no package in tests/conftest.py")
            if shutil.which(program) is None:
                message = f"{program} is missing: install the package {_PROGRAMS[program]}"
                if os.environ.get("REQUIRE_ALL") == "1":
                    pytest.fail(message)
                pytest.skip(message)
