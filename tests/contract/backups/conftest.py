"""One life of an installation for all tests here; who changes files of it takes a copy."""

import fcntl
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.backups.lived_in import LivedIn, a_life


@pytest.fixture(scope="package")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> LivedIn:
    """Return what is left of an installation that took in a hundred leads.

    It is lived once, by the first of several workers that asks; the others wait for it. Each has a copy of
    its own, because a database that is only read has other files while it is open.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    kept, note = shared / "lived-in", shared / "lived-in.pickle"
    with (shared / "lived-in.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            lived = a_life(tmp_path_factory.mktemp("life"))
            shutil.copytree(lived.folder, kept)
            note.write_bytes(pickle.dumps(lived))
    life: LivedIn = pickle.loads(note.read_bytes())
    own = Path(shutil.copytree(kept, tmp_path_factory.mktemp("own") / "life"))

    def moved(path: Path) -> Path:
        return own / path.relative_to(life.folder)

    return replace(
        life,
        folder=own,
        data_dir=moved(life.data_dir),
        backup=moved(life.backup),
        keys=moved(life.keys),
    )
