"""The eighteen faults of the plan, as far as this shape has what they are faults of."""

from typing import Final

from tests.faults.harness.bus_mutants import ON_THE_BUS
from tests.faults.harness.own_mutants import OWN
from tests.faults.harness.seeding import Edit, Mutant

MISSING: Final = {
    "M1": "SQLite gives positions inside the write lock, so no reader by another id exists to be wrong",
    "M2": "a gate by transaction ids exists on PostgreSQL only",
}
"""Of the eighteen, those whose machinery this shape does not have."""

EIGHTEEN: Final = (
    Mutant(
        id="M3",
        what="the checkpoint is committed before the events are applied",
        test="tests/faults/test_log_survives_kill.py",
        edits=[
            Edit(
                path="smarketing/eventlog/place.py",
                old="            effect(connection, now)\n            checkpoint = to(now)\n"
                "            put_checkpoint(connection, checkpoint)\n",
                new="            checkpoint = to(now)\n            put_checkpoint(connection, checkpoint)\n"
                "            raw = connection.connection.driver_connection\n"
                '            raw.execute("COMMIT")\n            raw.execute("BEGIN IMMEDIATE")\n'
                "            effect(connection, now)\n",
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
                old="self._hand_back(batch, committed=self._transactor.settle(batch, decided))\n",
                new="self._transactor.early = lambda jobs: self._hand_back(jobs, committed=True)\n"
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
                "            if connection.execute(began.where(_clock.c.id == clock)).scalar_one()"
                " >= known]\n",
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
                old="    if instant.tzinfo is None:\n        raise NaiveInstant(instant)\n",
                new="    if instant.tzinfo is None:\n        instant = instant.replace(tzinfo=UTC)\n",
            ),
            Edit(
                path="smarketing/sql/types.py",
                old="        if value.tzinfo is None:\n",
                new="        if not value:\n",
            ),
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
                old="    rows = [_row(event, heads, versions, recorded) for event in events]\n",
                new="    try:\n"
                "        rows = [_row(event, heads, versions, recorded) for event in events]\n"
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

MUTANTS: Final = (*EIGHTEEN, *sorted((*OWN, *ON_THE_BUS), key=lambda mutant: int(mutant.id[1:])))
