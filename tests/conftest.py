"""What every test may need: the system packages some of them want."""

import gc
import os
import shutil

import pytest
from hypothesis import Phase, settings

from tests.builders.stores import STORE_VARIABLE, Store, store
from tests.builders.thorough import THOROUGH

# Explaining a failure traces every line from the first example on, which makes all of them much slower.
settings.register_profile("plain", phases=[phase for phase in Phase if phase is not Phase.explain])
settings.load_profile("plain")

# What is imported and collected stays to the end: looking through it again and again for garbage is a
# quarter of the collection, and as much with each large test.
gc.disable()

_PROGRAMS = {
    "chromium": "chromium",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "strace": "strace",
}
"""Program → the Debian package that brings it."""


@pytest.fixture(params=list(Store))
def each_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Run the test once on each kind of database: the builders make theirs of it."""
    store: Store = request.param
    monkeypatch.setenv(STORE_VARIABLE, store)
    return store


@pytest.fixture(params=[*Store] if THOROUGH else [store()])
def each_store_if_thorough(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Run the test on the store that the environment names, and on both when all is to be run."""
    monkeypatch.setenv(STORE_VARIABLE, request.param)
    chosen: Store = request.param
    return chosen


@pytest.fixture
def on_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test on SQLite whatever the environment names: it asks the database about itself."""
    monkeypatch.setenv(STORE_VARIABLE, Store.SQLITE)


def pytest_collection_finish() -> None:
    """Look for garbage from here on, among what the tests make."""
    gc.freeze()
    gc.enable()


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
