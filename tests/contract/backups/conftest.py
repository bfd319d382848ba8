"""One life of an installation for all tests here; who changes files of it takes a copy."""

import fcntl
import os
import pickle

import pytest

from tests.contract.backups.lived_in import LivedIn, a_life


@pytest.fixture(scope="package")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> LivedIn:
    """Return what is left of an installation that took in a hundred leads.

    It is lived once, by the first of several workers that asks; the others wait for it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    kept = shared / "lived-in.pickle"
    with (shared / "lived-in.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(a_life(tmp_path_factory.mktemp("lived-in"))))
    life: LivedIn = pickle.loads(kept.read_bytes())
    return life
