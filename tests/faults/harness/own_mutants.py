"""Faults of our own, for the rows that none of the eighteen breaks."""

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
        id="N4",
        what="a follower does not ask whether the log still holds the event that it applied last",
        test="tests/contract/bus/test_restored_logs.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="        if remembered is None or not self.position:\n",
                new="        if remembered is not None or not self.position:\n",
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
        id="N6",
        what="that an event is about to be handled is not noted before it is",
        test="tests/contract/bus/test_failing_events.py::"
        "test_an_event_that_ends_the_process_each_time_is_not_handled_for_ever",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="        if not self._begun:\n",
                new="        if self._begun is None:\n",
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
        id="N11",
        what="what a delivery leaves out is passed over",
        test="tests/contract/bus/test_feed.py::test_a_transport_that_loses_repeats_and_shuffles_changes_nothing",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="        if event.position != behind + count + 1:\n",
                new="        if event.position <= behind:\n",
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
        id="N21",
        what="a replica that applies its first event does not ask how far another one got meanwhile",
        test="tests/contract/bus/test_replicas_of_a_consumer.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="            if self.position >= last:\n",
                new="            if not last:\n",
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
        id="N27",
        what="a process ends at an event that it cannot take in",
        test="tests/contract/bus/test_failing_events.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="                if self._rest_seconds is None:\n",
                new="                if stopped is not None:\n",
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
)
