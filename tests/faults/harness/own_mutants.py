"""Faults of our own, for the rows that none of the eighteen breaks and that are not about the bus."""

from typing import Final

from tests.faults.harness.seeding import Edit, Mutant

OWN: Final = (
    Mutant(
        id="N1",
        what="a file may have two owners",
        test="tests/unit/smarketing/sql/test_engine.py",
        edits=[
            Edit(
                path="smarketing/sql/ownership.py",
                old="fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
                new="fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
            )
        ],
    ),
    Mutant(
        id="N2",
        what="the write-ahead log keeps the size that a long reader let it grow to",
        test="tests/faults/test_disk.py",
        edits=[
            Edit(
                path="smarketing/sql/engine.py",
                old='    "PRAGMA journal_size_limit=67108864",\n',
                new="",
            )
        ],
    ),
    Mutant(
        id="N3",
        what="a file is served from without a look at it",
        test="tests/faults/test_disk.py",
        edits=[
            Edit(
                path="smarketing/sql/engine.py",
                old='        if finding != "ok":\n',
                new="        if not finding:\n",
            )
        ],
    ),
    Mutant(
        id="N5",
        what="each statement of a migration is committed by itself",
        test="tests/faults/test_kill_during_migration.py",
        edits=[
            Edit(
                path="smarketing/sql/migrate.py",
                old="    with database.migrating() as connection:\n",
                new="    with database.migrating() as connection:\n"
                '        connection.connection.driver_connection.execute("COMMIT")\n',
            )
        ],
    ),
    Mutant(
        id="N7",
        what="a miss stands, whatever becomes known afterwards",
        test="tests/faults/test_stop_against_miss.py",
        edits=[
            Edit(
                path="services/sla/domain/recorded.py",
                old="    if not events and clock.is_decided:\n",
                new="    if clock.breach_time is not None or (not events and clock.is_decided):\n",
            )
        ],
    ),
    Mutant(
        id="N8",
        what="nobody notices that the wall clock was set back",
        test="tests/unit/sla_engine/test_sweeping.py::test_nothing_fires_while_the_wall_clock_is_set_back",
        edits=[
            Edit(
                path="services/sla/usecases/sweep.py",
                old="        if behind > _STEP_BACK_SECONDS and not self._caught_up(wall):\n",
                new="        if behind > 1e12 and not self._caught_up(wall):\n",
            )
        ],
    ),
    Mutant(
        id="N9",
        what="a foreign lock is a fault for ever",
        test="tests/contract/store/test_sqlite_faults.py::"
        "test_a_foreign_lock_is_refused_in_time_and_forgotten_when_it_goes",
        edits=[
            Edit(
                path="smarketing/sql/errors.py",
                old='    "SQLITE_BUSY": StorageFault.LOCKED,\n',
                new='    "SQLITE_BUSY": StorageFault.READ_ONLY,\n',
            )
        ],
    ),
    Mutant(
        id="N10",
        what="a full disk is told as a device that fails",
        test="tests/contract/store/test_sqlite_faults.py::"
        "test_a_full_disk_is_refused_as_full_and_recovers_without_a_restart",
        edits=[
            Edit(
                path="smarketing/sql/transacting.py",
                old="self._database.is_out_of_room()",
                new="not self._database",
            )
        ],
    ),
    Mutant(
        id="N12",
        what="an offer that has expired can be accepted",
        test="tests/property/test_accepting_races.py",
        edits=[
            Edit(
                path="services/leads/domain/answers.py",
                old="    if number < offer.number or offer.state is not OfferState.OPEN:\n",
                new="    if number < offer.number and offer.state is not OfferState.OPEN:\n",
            )
        ],
    ),
    Mutant(
        id="N13",
        what="a full server takes one more call",
        test="tests/contract/server/test_overload_and_drain.py",
        edits=[
            Edit(
                path="smarketing/server/admission.py",
                old="        if self.unary_in_flight >= self._limits.unary_in_flight:\n",
                new="        if self.unary_in_flight > 1000 * self._limits.unary_in_flight:\n",
            )
        ],
    ),
    Mutant(
        id="N14",
        what="a webhook may reach any address",
        test="tests/unit/smarketing/delivery/test_addresses.py",
        edits=[
            Edit(
                path="smarketing/delivery/addresses.py",
                old="    if special or not effective.is_global or effective.is_multicast or",
                new="    if effective.is_multicast and",
            )
        ],
    ),
    Mutant(
        id="N15",
        what="what looks like a secret is logged",
        test="tests/unit/smarketing/test_logs.py",
        edits=[
            Edit(
                path="smarketing/logs.py",
                old="        event[key] = _HIDDEN if _SECRET_KEY.search(key) else redacted(value)\n",
                new="        event[key] = value\n",
            )
        ],
    ),
    Mutant(
        id="N16",
        what="plain text is served where others can reach it",
        test="tests/contract/server/test_listening.py",
        edits=[
            Edit(
                path="smarketing/server/listening.py",
                old="    if tls is None and not is_loopback(address):\n",
                new="    if tls is None and not address:\n",
            )
        ],
    ),
    Mutant(
        id="N17",
        what="a draining server lets its streams go on",
        test="tests/contract/server/test_overload_and_drain.py",
        edits=[
            Edit(
                path="smarketing/server/draining.py",
                old="        self._begun.set()\n",
                new="        self._begun.is_set()\n",
            )
        ],
    ),
    Mutant(
        id="N18",
        what="an answer is given to who no longer waits for it, which ends what gives it",
        test="tests/contract/store/test_writer.py::test_cancelling_the_caller_does_not_cancel_the_write",
        edits=[
            Edit(
                path="smarketing/sql/writer.py",
                old="            if future.done():  # its caller was cancelled meanwhile\n",
                new="            if future is None:\n",
            )
        ],
    ),
    Mutant(
        id="N19",
        what="PostgreSQL answers a commit before its disk has it",
        test="tests/contract/store/test_postgres.py::"
        "test_a_commit_waits_for_what_the_server_is_told_to_wait_for",
        edits=[
            Edit(
                path="smarketing/sql/postgres.py",
                old="""        "timezone": "'UTC'",\n""",
                new="""        "timezone": "'UTC'",\n        "synchronous_commit": "off",\n""",
            )
        ],
    ),
    Mutant(
        id="N20",
        what="writers of several replicas do not take turns",
        test="tests/contract/store/test_postgres.py::"
        "test_what_replicas_decide_from_what_they_read_is_never_lost",
        edits=[
            Edit(
                path="smarketing/sql/postgres.py",
                old="""f"BEGIN; {self._turn('writer')}\"""",
                new='"BEGIN"',
            )
        ],
    ),
    Mutant(
        id="N22",
        what="an event is served without a look at the sum that was kept of it",
        test="tests/contract/store/test_event_log.py",
        edits=[
            Edit(
                path="smarketing/eventlog/reading.py",
                old="    if checksum is not None and checksum != ",
                new="    if checksum is None and checksum != ",
            )
        ],
    ),
    Mutant(
        id="N23",
        what="a commit that the device failed is answered as kept",
        test="tests/faults/test_failing_device.py",
        edits=[
            Edit(
                path="smarketing/sql/transacting.py",
                old="            return failure\n        if self._database.is_remote:\n",
                new="            if str(failure) != 'storage is unavailable: input_output':\n"
                "                return failure\n        if self._database.is_remote:\n",
            )
        ],
    ),
    Mutant(
        id="N24",
        what="a database that is asked and says nothing is waited for without end",
        test="tests/contract/store/test_postgres_roads.py",
        edits=[
            Edit(
                path="smarketing/sql/silence.py",
                old="                watched.socket.shutdown(socket.SHUT_RDWR)\n",
                new="                watched.socket.fileno()\n",
            )
        ],
    ),
    Mutant(
        id="N25",
        what="a transaction that gave way to another one is not begun anew",
        test="tests/contract/store/test_postgres.py::test_what_passes_is_begun_anew_as_a_whole",
        edits=[
            Edit(
                path="smarketing/sql/transacting.py",
                old="        return away or error.fault in _PASSING\n",
                new="        return away\n",
            )
        ],
    ),
    Mutant(
        id="N26",
        what="services of one database wait for one another's turn to write",
        test="tests/contract/store/test_postgres.py::"
        "test_services_in_schemas_of_one_database_neither_meet_nor_wait_for_one_another",
        edits=[
            Edit(
                path="smarketing/sql/postgres.py",
                old='f"smarketing {purpose} {schema}".encode()',
                new='f"smarketing {purpose}".encode()',
            )
        ],
    ),
    Mutant(
        id="N28",
        what="clocks stay planned by the rules of a zone that were known when they started",
        test="tests/unit/sla_engine/test_new_zone_rules.py",
        edits=[
            Edit(
                path="services/sla/usecases/replay.py",
                old="(replay_batch, recast_batch, move_batch)",
                new="(replay_batch, move_batch)",
            )
        ],
    ),
    Mutant(
        id="N35",
        what="clocks that became known before their handoff stay counted without it",
        test="tests/unit/reports/test_clock_figures.py::"
        "test_a_clock_is_grouped_by_its_handoff_even_if_it_was_heard_of_first",
        edits=[
            Edit(
                path="services/reports/store/fold.py",
                old="            if known != seen:\n",
                new="            if before is not None and known != seen:\n",
            )
        ],
    ),
    Mutant(
        id="N37",
        what="of two pauses at once the one that ends first lets the clock run on",
        test="tests/faults/test_pause_storm.py",
        edits=[
            Edit(
                path="services/sla/domain/course.py",
                old="            self._held.pop(mark.key, None)\n        if not self._held:\n",
                new="            self._held.pop(mark.key, None)\n        if self._pause_start is not None:\n",
            )
        ],
    ),
    Mutant(
        id="N38",
        what="a clock is missed at the very instant at which it is due",
        test="tests/unit/sla/test_offline.py::"
        "test_at_due_the_clock_still_runs_and_at_any_later_instant_it_is_breached",
        edits=[
            Edit(
                path="services/sla/domain/course.py",
                old="        return Outcome.BREACHED if now > self._due else Outcome.RUNNING\n",
                new="        return Outcome.BREACHED if now >= self._due else Outcome.RUNNING\n",
            )
        ],
    ),
    Mutant(
        id="N39",
        what="a sweep reads every open clock, and keeps those that are due",
        test="tests/unit/sla_engine/test_sweep_cost.py",
        edits=[
            Edit(
                path="services/sla/store/due.py",
                old="    return [(clock, handoff) for clock, handoff in"
                ' connection.execute(DUE, {"now": now, "limit": limit})]\n',
                new="    every = select(_clock.c.id, _clock.c.handoff, _clock.c.next_time)"
                ".where(_clock.c.next_time.is_not(None))\n"
                "    found = connection.execute(every.order_by(_clock.c.next_time)).all()\n"
                "    return [(clock, handoff) for clock, handoff, at in found if at <= now][:limit]\n",
            )
        ],
    ),
    Mutant(
        id="N40",
        what="who starts while another replica migrates waits for it no longer than for any other lock",
        test="tests/contract/store/test_postgres.py::"
        "test_of_twenty_replicas_that_start_together_one_migrates_and_all_are_ready",
        edits=[
            Edit(
                path="smarketing/sql/postgres.py",
                old='            f"SET LOCAL lock_timeout TO {_milliseconds(self._turn_patience)}",\n',
                new="",
            )
        ],
    ),
    Mutant(
        id="N41",
        what="of all migrations that an older build does not know the last one says whether it may run",
        test="tests/contract/store/test_older_builds.py::"
        "test_one_migration_that_takes_away_shuts_out_whatever_the_others_promise",
        edits=[
            Edit(
                path="smarketing/sql/migrate.py",
                old="    return max(declared, key=known.index)\n",
                new="    return next(declared, known[-1])\n",
            )
        ],
    ),
    Mutant(
        id="N42",
        what="a text may hold NUL",
        test="tests/contract/api/test_bad_input.py::test_the_usual_mistakes_have_their_reasons",
        edits=[
            Edit(
                path="smarketing/server/validation.py",
                old=r'_LINE_BAD = re.compile("[\x00-\x1f',
                new=r'_LINE_BAD = re.compile("[\x01-\x1f',
            )
        ],
    ),
    Mutant(
        id="N50",
        what="each replica decides by its own clock what is due, also where a server has one for all",
        test="tests/faults/test_drifting_replicas.py",
        edits=[
            Edit(
                path="smarketing/sql/engine.py",
                old="        return now if self._server is None else self._server.clock.instead_of(now)\n",
                new="        return now\n",
            )
        ],
    ),
    Mutant(
        id="N51",
        what="a build runs on no schema newer than its own, whatever that was promised to leave to it",
        test="tests/contract/store/test_older_builds.py",
        edits=[
            Edit(
                path="smarketing/sql/migrate.py",
                old="    if promise not in known:\n",
                new="    if current not in known:\n",
            )
        ],
    ),
    Mutant(
        id="N52",
        what="what was asked in the moment in which an answer came is waited for without end",
        test="tests/contract/store/test_postgres_roads.py::"
        "test_a_question_that_follows_an_answer_at_once_is_not_waited_for_without_end_either",
        edits=[
            Edit(
                path="smarketing/sql/silence.py",
                old="        if self.connection.info.transaction_status.name != _WAITS"
                " or self._is_unread():\n            return False\n",
                new="",
            ),
            Edit(
                path="smarketing/sql/silence.py",
                old="        return bool(quiet > ",
                new="        return bool(info[_LAST_RECEIVED] > info[_LAST_SENT] and quiet > ",
            ),
        ],
    ),
    Mutant(
        id="N53",
        what="a service that is told to stop while it opens its database starts all the same",
        test="tests/contract/store/test_starting_without_storage.py::"
        "test_a_stop_that_is_heard_while_the_store_is_opened_ends_the_start",
        edits=[
            Edit(
                path="smarketing/server/starting.py",
                old="                    waiting.go_on()\n",
                new="",
            )
        ],
    ),
)
