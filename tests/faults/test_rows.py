"""The plan of faults holds what it says: its tests exist, and so do the faults seeded for them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.processes import ROOT
from tests.faults.__main__ import all_parts, plan_table
from tests.faults.harness.mutants import MISSING, MUTANTS
from tests.faults.harness.rows import ROWS

PAGE = ROOT / "docs" / "faults.md"


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_the_tests_of_a_row_exist(row: object) -> None:
    (planned,) = [each for each in ROWS if each is row]
    assert planned.tests or planned.missing, "neither shown nor said to be missing"
    for test in planned.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists(), test
        assert not name or f"def {name}(" in (ROOT / path).read_text(), test
    assert set(planned.mutants) <= {mutant.id for mutant in MUTANTS}


def test_every_row_of_the_plan_is_there_once_and_in_order() -> None:
    numbers = [int(row.id[1:]) for row in ROWS]

    assert numbers == sorted(set(numbers))
    assert {*range(1, 19), *range(20, 33), *range(40, 47), *range(50, 70)} == set(numbers)


def test_of_the_eighteen_each_is_seeded_or_said_to_be_missing() -> None:
    seeded = {mutant.id for mutant in MUTANTS if mutant.id.startswith("M")}

    assert seeded | set(MISSING) == {f"M{number}" for number in range(1, 19)}
    assert not seeded & set(MISSING)
    assert {name for row in ROWS for name in row.mutants} == {mutant.id for mutant in MUTANTS}


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.id for mutant in MUTANTS])
def test_a_mutant_still_fits_the_product(mutant: object) -> None:
    (own,) = [each for each in MUTANTS if each is mutant]
    for edit in own.edits:
        assert Path(ROOT / edit.path).read_text().count(edit.old) == 1, f"{edit.path}: {edit.old}"
        assert edit.old != edit.new
    path, _, name = own.test.partition("::")
    assert (ROOT / path).is_file()
    assert not name or f"def {name}(" in (ROOT / path).read_text()


def test_the_page_shows_the_plan() -> None:
    assert plan_table() in PAGE.read_text()


def test_at_full_count_no_test_is_left_out_because_it_takes_minutes() -> None:
    kept = {name: value for name, value in os.environ.items() if name != "THOROUGH"}
    told = {**kept, **all_parts()[-1].environ}
    asked = "from tests.builders.thorough import takes_minutes; print(takes_minutes.args[0])"
    command = [sys.executable, "-c", asked]
    left_out = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=True)

    assert left_out.stdout.strip() == "False"


def test_parts_have_names_of_their_own() -> None:
    names = [part.name for part in all_parts()]

    assert len(set(names)) == len(names)
    assert all(re.match(r"F\d+( \d of \d| besides)?$", name) for name in names)
