"""Faults seeded into a copy of the product, each to be caught by the test that names it.

A mutant replaces texts that stand exactly once in a file; where they no longer do it fits no more, and that
is reported like one that survived. The product itself is never touched.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.builders.processes import ROOT

_SECONDS: Final = 420


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Put `new` in the place of `old`, which must stand exactly once."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One seeded fault."""

    id: str
    what: str
    test: str
    """The test that must catch it."""
    edits: Sequence[Edit]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    mutant: str
    what: str
    test: str
    outcome: str
    """`caught`, `survived` or `fits no more`."""
    how: str


MISSING: Final = {
    "M1": "SQLite gives positions inside the write lock, so no reader by another id exists to be wrong",
    "M2": "a gate by transaction ids exists on PostgreSQL only",
}
"""Of the eighteen, those whose machinery this shape does not have."""

MUTANTS: Final = (
    Mutant(
        id="M3",
        what="the checkpoint is committed before the events are applied",
        test="tests/faults/test_log_survives_kill.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="        self._checkpoint = await self._write(apply)\n        self._tries = 0",
                new="        await self._store(replace(self._checkpoint, position=position))\n"
                "        self._checkpoint = await self._write(apply)\n        self._tries = 0",
            )
        ],
    ),
    Mutant(
        id="M4",
        what="callers are answered before the commit",
        test="tests/faults/test_log_survives_kill.py",
        edits=[
            Edit(
                path="smarketing/sql/transacting.py",
                old='            failpoint("writer.before_commit")\n',
                new='            self.early(jobs)\n            failpoint("writer.before_commit")\n',
            ),
            Edit(
                path="smarketing/sql/writer.py",
                old="                self._hand_back(batch, committed=self._transactor.settle(batch, decided))\n",
                new="                self._transactor.early = lambda jobs: self._hand_back(jobs, committed=True)\n"
                "                self._transactor.settle(batch, decided)\n",
            ),
        ],
    ),
    Mutant(
        id="M5",
        what="events are written by a transaction of their own, after the state's",
        test="tests/faults/test_log_survives_kill.py",
        edits=[
            Edit(
                path="smarketing/eventlog/outbox.py",
                old="    _insert_events.insert(connection, rows)\n",
                new="    raw = connection.connection.driver_connection\n"
                '    raw.execute("COMMIT")\n    raw.execute("BEGIN IMMEDIATE")\n'
                "    _insert_events.insert(connection, rows)\n",
            )
        ],
    ),
    Mutant(
        id="M6",
        what="a clock is written without comparing it with what was read",
        test="tests/faults/test_replicas_race.py",
        edits=[
            Edit(
                path="services/sla/store/tx.py",
                old="        if _change_clocks.update(self.connection, self._moved) != len(self._moved):\n",
                new="        if _change_clocks.update(self.connection, self._moved) > len(self._moved):\n",
            )
        ],
    ),
    Mutant(
        id="M7",
        what="a version of a subject has no unique key",
        test="tests/contract/store/test_event_log.py::test_a_version_of_a_subject_exists_once",
        edits=[
            Edit(
                path="smarketing/eventlog/tables.py",
                old='        UniqueConstraint("tenant", "subject", "subject_version"),\n',
                new="",
            )
        ],
    ),
    Mutant(
        id="M8",
        what="timers live in the memory of the process that started them",
        test="tests/faults/test_kill_around_delivery.py",
        edits=[
            Edit(
                path="services/sla/store/due.py",
                old="    return [(clock, handoff) for clock, handoff in"
                ' connection.execute(DUE, {"now": now, "limit": limit})]\n',
                new='    found = connection.execute(DUE, {"now": now, "limit": limit})\n'
                '    known = connection.info.setdefault("mine", [now])[0]\n'
                "    began = select(_clock.c.next_time)\n"
                "    return [(clock, handoff) for clock, handoff in found\n"
                "            if connection.execute(began.where(_clock.c.id == clock)).scalar_one() >= known]\n",
            )
        ],
    ),
    Mutant(
        id="M9",
        what="SQLite does not wait for the disk",
        test="tests/contract/store/test_sqlite_faults.py::"
        "test_at_least_one_sync_lies_between_a_write_and_its_answer",
        edits=[
            Edit(
                path="smarketing/sql/engine.py",
                old='"PRAGMA synchronous=FULL"',
                new='"PRAGMA synchronous=OFF"',
            )
        ],
    ),
    Mutant(
        id="M10",
        what="a request id is remembered without what was asked under it",
        test="tests/contract/server/test_commands.py::"
        "test_the_same_id_with_other_content_is_refused_without_effect",
        edits=[
            Edit(
                path="smarketing/server/commands.py",
                old="    if earlier.fingerprint != call.fingerprint:\n",
                new="    if not earlier.fingerprint:\n",
            )
        ],
    ),
    Mutant(
        id="M11",
        what="days on which the offset changes are counted in local time",
        test="tests/property/test_calendar_count.py",
        edits=[
            Edit(
                path="smarketing/businesstime/zones.py",
                old="first if first == last else None",
                new="first",
            )
        ],
    ),
    Mutant(
        id="M12",
        what="instants without a zone are taken",
        test="tests/unit/smarketing/sql/test_types.py",
        edits=[
            Edit(
                path="smarketing/sql/types.py",
                old="        if value.tzinfo is None:\n",
                new="        if value is None:\n",
            )
        ],
    ),
    Mutant(
        id="M13",
        what="one query of the log does not ask whose events they are",
        test="tests/contract/store/test_event_log.py::test_each_tenants_view_is_a_log_of_its_own",
        edits=[
            Edit(
                path="smarketing/eventlog/reading.py",
                old='" WHERE tenant = :view AND tenant_position > :after ORDER',
                new="\" WHERE :view <> '' AND tenant_position > :after ORDER",
            )
        ],
    ),
    Mutant(
        id="M14",
        what="an RPC has no line in the policy",
        test="tests/contract/security/test_every_rpc_is_guarded.py::test_every_rpc_of_a_contract_has_a_line",
        edits=[
            Edit(
                path="services/leads/rpc/policy.py",
                old='    f"{_LEADS}/AcceptOffer": _WORK,\n',
                new="",
            )
        ],
    ),
    Mutant(
        id="M15",
        what="totals are counted since the process began",
        test="tests/contract/metrics/test_catalogue.py::test_counters_of_the_database_do_not_fall_at_a_restart",
        edits=[
            Edit(
                path="services/leads/web/metrics.py",
                old="own.totals.get((total, value), 0))\n",
                new="own.totals.get((total, value), 0)"
                " - _FIRST.setdefault((tenant, total, value), own.totals.get((total, value), 0)))\n",
            ),
            Edit(
                path="services/leads/web/metrics.py",
                old="_RESTS: Final = 99\n",
                new="_FIRST: dict[object, int] = {}\n_RESTS: Final = 99\n",
            ),
        ],
    ),
    Mutant(
        id="M16",
        what="an event of a kind that this build does not know is passed over",
        test="tests/contract/bus/test_failing_events.py::"
        "test_an_unknown_event_that_may_not_be_skipped_stops_the_consumer_behind_the_last_known_one",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="            elif not event.skippable:\n",
                new="            elif not event.tenant:\n",
            )
        ],
    ),
    Mutant(
        id="M17",
        what="what goes wrong while events are written is swallowed",
        test="tests/contract/store/test_event_log.py::test_an_event_too_large_to_be_followed_is_not_recorded",
        edits=[
            Edit(
                path="smarketing/eventlog/outbox.py",
                old="    rows = [_row(event, heads, versions, record_time) for event in events]\n",
                new="    try:\n"
                "        rows = [_row(event, heads, versions, record_time) for event in events]\n"
                "    except Exception:\n        return\n",
            )
        ],
    ),
    Mutant(
        id="M18",
        what="the client repeats a call under a new request id",
        test="tests/contract/client/test_calls.py::"
        "test_a_call_is_repeated_with_the_request_id_it_was_first_sent_with",
        edits=[
            Edit(
                path="smarketing/client/connection.py",
                old="            failures += 1\n",
                new="            failures += 1\n            request.request_id = wallclock.new_uuid()\n",
            )
        ],
    ),
)


def copied(folder: Path) -> Path:
    """Copy what is committed, and return where it is."""
    packed = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def tried(mutant: Mutant, tree: Path) -> Verdict:
    """Seed a fault into the copy, run its test, take the fault out again, and say what became of it."""
    before = {edit.path: (tree / edit.path).read_text() for edit in mutant.edits}
    mutated = dict(before)
    for edit in mutant.edits:
        if mutated[edit.path].count(edit.old) != 1 or edit.old == edit.new:
            return _verdict(mutant, "fits no more", f"{edit.path} has changed")
        mutated[edit.path] = mutated[edit.path].replace(edit.old, edit.new)
    try:
        for path, text in mutated.items():
            (tree / path).write_text(text)
        return _judged(mutant, *_ran(mutant, tree))
    finally:
        for path, text in before.items():
            (tree / path).write_text(text)


def _ran(mutant: Mutant, tree: Path) -> tuple[int, str]:
    environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", **mutant.environ}
    environ.pop("FAULTS", None)
    command = [sys.executable, "-m", "pytest", mutant.test, "-x", "-q", "-p", "no:cacheprovider", "--tb=line"]
    try:
        ran = subprocess.run(
            command, cwd=tree, env=environ, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return 1, f"FAILED {mutant.test} - it did not come to an end within {_SECONDS} s"
    return ran.returncode, ran.stdout


def _judged(mutant: Mutant, status: int, said: str) -> Verdict:
    """One is caught by a failure of the test, not by a test that could not be run."""
    failures = [line for line in said.splitlines() if line.startswith("FAILED ")]
    if status == 1 and failures:
        name, _, why = failures[0].removeprefix("FAILED ").partition(" - ")
        return _verdict(mutant, "caught", f"{name.rpartition('::')[2]}: {why}"[:160])
    if status == 0:
        return _verdict(mutant, "survived", said.strip().splitlines()[-1])
    return _verdict(mutant, "not run", said.strip()[-300:])


def _verdict(mutant: Mutant, outcome: str, how: str) -> Verdict:
    return Verdict(mutant.id, mutant.what, mutant.test, outcome, how)
