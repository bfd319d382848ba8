import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smarketing.server.keys import load_or_make_key


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = load_or_make_key(tmp_path / "a.key")

    assert load_or_make_key(tmp_path / "a.key") == first
    assert load_or_make_key(tmp_path / "b.key") != first


def test_a_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    load_or_make_key(tmp_path / "a.key")

    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600


def test_those_who_make_a_key_at_once_end_with_the_same_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(load_or_make_key, [tmp_path / "a.key"] * 16))

    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_a_key_that_a_kill_left_unfinished_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "a.key.0000.new").write_bytes(b"half")

    assert len(load_or_make_key(tmp_path / "a.key")) == 32


def test_a_file_that_is_no_key_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "a.key").write_bytes(b"something else")

    with pytest.raises(ValueError, match="restore it from its backup"):
        load_or_make_key(tmp_path / "a.key")
    assert (tmp_path / "a.key").read_bytes() == b"something else"


def test_the_folder_of_a_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    load_or_make_key(tmp_path / "data" / "a.key")

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
