"""A service is killed while it brings its database up to date (F18): the next start finds it as it was.

One kill of each in `make test`, forty for each service with FAULTS=full.
"""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from smarketing.sql import open_database

FULL: Final = os.environ.get("FAULTS") == "full"
KILLS: Final = 40 if FULL else 1
SEED: Final = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CHILD: Final = Path(__file__).with_name("migrating_child.py")

pytestmark = pytest.mark.timeout(500 if FULL else 60)


def migrated(path: Path, package: str, *, dies_at: int = 0) -> subprocess.CompletedProcess[str]:
    """Migrate a file in a process of its own, which dies before a statement."""
    command = [sys.executable, str(CHILD), f"sqlite:///{path}", package, str(dies_at)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def schema(path: Path) -> set[tuple[str, str]]:
    """Return everything that a file declares."""
    with open_database(f"sqlite:///{path}") as database, database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema").all()
        return {(row[0], row[1] or "") for row in rows}


@pytest.mark.parametrize("service", ["leads", "sla", "reports"])
def test_a_migration_that_is_killed_leaves_nothing_half_done_and_is_done_at_the_next_start(
    service: str, tmp_path: Path
) -> None:
    package = f"services.{service}.store.migrations"
    whole = tmp_path / "whole.db"
    ran = migrated(whole, package)
    assert ran.returncode == 0, ran.stderr
    statements = abs(int(ran.stdout))
    wanted = schema(whole)
    chance = random.Random(f"{SEED}/{service}")

    path = tmp_path / "killed.db"
    last = [statements] if FULL else []
    for dies_at in [chance.randrange(3, statements) for _ in range(KILLS)] + last:
        killed = migrated(path, package, dies_at=dies_at)
        assert killed.returncode == -signal.SIGKILL, (dies_at, killed.stderr)
        assert schema(path) == set(), f"seed {SEED}: half of it is there after statement {dies_at}"

    assert migrated(path, package).returncode == 0
    assert schema(path) == wanted
