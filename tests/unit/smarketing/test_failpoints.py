"""Rules of the places at which a test makes a process fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smarketing.failpoints import PLACES, FailpointReached, failpoint, planned

ROOT = Path(__file__).parents[3]


def reached(text: str, *, visits: int, service: str = "leads") -> list[int]:
    """Return at which visits of the place something was raised."""
    plan = planned(text, service) or {}
    raised = []
    for visit in range(1, visits + 1):
        try:
            plan.get("writer.before_commit", lambda: None)()
        except FailpointReached:
            raised.append(visit)
    return raised


def test_nothing_is_planned_where_nothing_is_set() -> None:
    assert planned("", "leads") is None
    failpoint("writer.before_commit")


def test_a_counted_action_happens_at_that_visit_alone() -> None:
    assert reached("writer.before_commit=raise@3", visits=9) == [3]


def test_an_action_by_chance_happens_at_about_that_share_of_visits() -> None:
    assert 200 < len(reached("writer.before_commit=raise%0.3", visits=1000)) < 400


def test_an_entry_for_a_service_is_no_other_services() -> None:
    assert reached("sla/writer.before_commit=raise", visits=2) == []
    assert reached("sla/writer.before_commit=raise", visits=2, service="sla") == [1, 2]


@pytest.mark.parametrize(
    "entry",
    [
        "writer.before_comit=exit",
        "writer.before_commit",
        "writer.before_commit=halt",
        "writer.before_commit=exit@seventh",
        "writer.before_commit=exit%seldom",
        "writer.before_commit=sleep",
    ],
)
def test_an_entry_that_cannot_be_read_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match=entry):
        planned(entry, "leads")


def test_every_place_is_visited_somewhere_and_no_other() -> None:
    files = [file for folder in ("smarketing", "services") for file in (ROOT / folder).rglob("*.py")]
    texts = [file.read_text() for file in files if file.name != "failpoints.py"]
    found = {place for place in PLACES for text in texts if f'failpoint("{place}")' in text}

    assert found == set(PLACES)
    assert sum(text.count("failpoint(") for text in texts) == len(PLACES)


@pytest.mark.skipif(sys.platform != "linux", reason="names the program as Linux does")
def test_a_process_ends_as_if_killed_where_it_is_told_to() -> None:
    program = (
        "from smarketing.failpoints import failpoint\nfailpoint('writer.after_commit')\nprint('lived on')"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "FAILPOINTS": "writer.after_commit=exit"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout) == (-9, "")
    assert "fails on purpose at: writer.after_commit" in ran.stderr
