"""The first start makes a whole month or none, and the same one again."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from services.demo.first_start import FolderRefused, has_month, make_month, owned
from services.demo.storing import Shape, storage_in
from smarketing.sql import open_database, to_micros

END = datetime(2026, 11, 20, 15, tzinfo=UTC)
SHORT = timedelta(days=3)
_STATES = text("SELECT lead, number, state, owner, version FROM handoff ORDER BY lead, number")
_CLOCKS = text("SELECT handoff, commitment_id, cycle, outcome, due_time FROM clock ORDER BY 1, 2, 3")


def test_a_start_that_is_killed_leaves_no_half_month_and_the_next_makes_the_same_one(tmp_path: Path) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    _kill_while_playing(killed)
    assert not has_month(killed)

    _make(killed)
    _make(undisturbed)

    assert has_month(killed)
    assert _content(killed) == _content(undisturbed)
    assert [each.name for each in tmp_path.iterdir() if "unfinished" in each.name] == []


def test_the_same_day_is_played_on_a_server_of_the_demos_own(tmp_path: Path) -> None:
    files, server, day = tmp_path / "files", tmp_path / "server", timedelta(days=1)
    _make(files, length=day)
    try:
        _make(server, length=day, shape=Shape.POSTGRES)

        assert has_month(server, Shape.POSTGRES)
        assert _content(server, Shape.POSTGRES) == _content(files)
    finally:
        # Where the server may not run as we do and cannot get in here, its files are elsewhere.
        for note in tmp_path.glob("server*/postgres.home"):
            shutil.rmtree(note.parent / note.read_text().strip(), ignore_errors=True)


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        owned(tmp_path / "data"),
        pytest.raises(FolderRefused, match="Another demo"),
        owned(tmp_path / "data"),
    ):
        pass
    with owned(tmp_path / "data"):
        pass


def test_an_empty_folder_is_taken_and_a_full_one_refused(tmp_path: Path) -> None:
    assert not has_month(tmp_path)
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(FolderRefused, match="no demo's"):
        has_month(tmp_path)


def _make(folder: Path, *, length: timedelta = SHORT, shape: Shape = Shape.EMBEDDED) -> None:
    make_month(folder, seed=3, end=END, length=length, said=lambda _share: None, shape=shape)


def _kill_while_playing(folder: Path) -> None:
    """Kill -9 a start in the middle of its month."""
    program = (
        "import sys; from datetime import *; from pathlib import Path\n"
        "from services.demo.first_start import make_month\n"
        f"make_month(Path({str(folder)!r}), seed=3, end=datetime.fromisoformat({END.isoformat()!r}),\n"
        f"    length=timedelta(days={SHORT.days}), said=lambda share: print('played', share, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        for line in playing.stdout:
            if line.startswith("played") and float(line.split()[1]) > 0.4:
                playing.send_signal(signal.SIGKILL)
                break
    assert playing.returncode == -signal.SIGKILL


def _content(folder: Path, shape: Shape = Shape.EMBEDDED) -> tuple[list[object], list[object]]:
    """Return where every handoff and every clock of a month stands."""
    with storage_in(folder, shape) as storage:
        with open_database(storage.url_of("leads")) as leads, leads.reading() as connection:
            handoffs: list[object] = [_plain(row) for row in connection.execute(_STATES)]
        with open_database(storage.url_of("sla")) as sla, sla.reading() as connection:
            clocks: list[object] = [_plain(row) for row in connection.execute(_CLOCKS)]
    assert handoffs
    assert clocks
    return handoffs, clocks


def _plain(row: Iterable[object]) -> tuple[object, ...]:
    return tuple(to_micros(each) if isinstance(each, datetime) else each for each in row)
