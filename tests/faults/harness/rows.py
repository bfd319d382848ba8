"""Every row of the plan of faults, with the tests that show it on this shape, or what is missing by name.

`docs/faults.md` is written from here; a test holds each name to a test that exists.
"""

from typing import Final

from tests.faults.harness.planned import DIVIDED, IMPORT, ROLLING, SECOND_SHAPE, Planned

__all__ = ["DIVIDED", "IMPORT", "ROLLING", "ROWS", "SECOND_SHAPE", "Planned"]

_STORE: Final = "tests/contract/store"
_BUS: Final = "tests/contract/bus"
_SERVER: Final = "tests/contract/server"
_ENGINE: Final = "tests/unit/sla_engine"


_SERVER_TESTS: Final = f"{_STORE}/test_postgres.py"
_CLUSTER: Final = f"{_BUS}/test_cluster.py"
_RELAY: Final = f"{_BUS}/test_relay.py"
_ON_POSTGRES: Final = "tests/faults/test_replicas_on_postgresql.py"
_DISK: Final = f"{_STORE}/test_sqlite_faults.py"
_STALLED: Final = (
    "tests/faults/test_replicas_race.py::"
    "test_a_process_that_is_stopped_past_the_due_instant_keeps_others_out_and_then_fires_each_once"
)
_FLIPPED: Final = (
    f"{_STORE}/test_event_log.py::test_a_flipped_bit_of_anything_kept_of_an_event_is_refused_with_its_place"
)
_HEARD_OF_FIRST: Final = (
    "tests/unit/reports/test_clock_figures.py::"
    "test_a_clock_is_grouped_by_its_handoff_even_if_it_was_heard_of_first"
)
_STOPPED_EARLY: Final = (
    f"{_STORE}/test_starting_without_storage.py::"
    "test_a_stop_that_is_heard_while_the_store_is_opened_ends_the_start"
)
_GIVEN_UP: Final = "tests/faults/test_calls_given_up.py"
_KILLS: Final = "tests/faults/test_kills.py"
_LOG_KILLS: Final = "tests/faults/test_log_survives_kill.py"

ROWS: Final = (
    Planned(
        id="F1",
        fault="SIGKILL `leads` under load, at any moment and at named places",
        tests=[_KILLS, _LOG_KILLS, "tests/faults/test_kill_during_import.py"],
        mutants=["M4", "M5"],
    ),
    Planned(
        id="F2",
        fault="SIGKILL `sla` under load, at any moment and at each named place",
        tests=[_KILLS, "tests/faults/test_kill_around_delivery.py"],
        mutants=["M8"],
    ),
    Planned(
        id="F3",
        fault="SIGKILL `reports` in the middle of batches",
        tests=[_KILLS, _LOG_KILLS],
        mutants=["M3"],
    ),
    Planned(id="F4", fault="SIGKILL all three at once", tests=[_KILLS], mutants=["M4"]),
    Planned(
        id="F5",
        fault="SIGKILL any replica",
        tests=[
            SECOND_SHAPE,
            f"{_ON_POSTGRES}::test_a_killed_replica_is_missed_by_nobody",
            f"{_BUS}/test_replicas_of_a_consumer.py",
            DIVIDED,
            f"{_BUS}/test_partitions.py",
            f"{_STORE}/test_shared_turns.py",
        ],
        mutants=["N21", "N54", "N55", "N56", "N57", "N58", "N59", "N60", "N61", "N62"],
    ),
    Planned(
        id="F6",
        fault="the database stops at once and starts again",
        tests=[
            SECOND_SHAPE,
            IMPORT,
            f"{_SERVER_TESTS}::test_a_commit_waits_for_what_the_server_is_told_to_wait_for",
            f"{_ON_POSTGRES}::test_a_database_that_is_away_makes_nobody_ready_and_nobody_restart",
        ],
        mutants=["N19"],
    ),
    Planned(
        id="F7",
        fault="the database stands still, is slow, is half open",
        tests=[SECOND_SHAPE, f"{_STORE}/test_postgres_roads.py"],
        mutants=["N24", "N52"],
    ),
    Planned(
        id="F8",
        fault="a backend is killed; deadlock; serialization failure",
        tests=[
            SECOND_SHAPE,
            f"{_SERVER_TESTS}::test_what_passes_is_begun_anew_as_a_whole",
            f"{_SERVER_TESTS}::test_a_connection_lost_at_the_commit_leaves_the_outcome_unknown_and_says_so",
        ],
        mutants=["N25"],
    ),
    Planned(
        id="F9",
        fault="an open write transaction for minutes",
        tests=[
            f"{_SERVER_TESTS}::test_a_transaction_that_is_open_elsewhere_is_waited_for_and_then_given_up",
            f"{_SERVER_TESTS}::test_services_in_schemas_of_one_database_neither_meet_nor_wait_for_one_another",
        ],
        mutants=["N26"],
    ),
    Planned(
        id="F10",
        fault="a second process opens the file",
        tests=[
            "tests/unit/smarketing/sql/test_engine.py::test_the_owner_itself_cannot_open_the_file_twice",
            _STALLED,
        ],
        mutants=["N1"],
    ),
    Planned(
        id="F11",
        fault="a foreign lock is held",
        tests=[f"{_DISK}::test_a_foreign_lock_is_refused_in_time_and_forgotten_when_it_goes"],
        mutants=["N9"],
    ),
    Planned(
        id="F12",
        fault="a long reader while others write",
        tests=[
            "tests/faults/test_disk.py::test_a_long_reader_lets_the_write_ahead_log_grow_and_not_for_ever"
        ],
        mutants=["N2"],
    ),
    Planned(
        id="F13",
        fault="the disk is full, or the file may grow no more; the disk of NATS is full",
        tests=[
            f"{_DISK}::test_a_full_disk_is_refused_as_full_and_recovers_without_a_restart",
            f"{_DISK}::test_a_database_at_its_size_limit_refuses_what_does_not_fit_and_serves_on",
            f"{_BUS}/test_full_store.py",
        ],
        mutants=["N10"],
    ),
    Planned(
        id="F14",
        fault="the database turns read-only; the device fails",
        tests=[
            f"{_DISK}::test_a_database_that_turned_read_only_refuses_writes_and_answers_reads",
            "tests/faults/test_failing_device.py",
        ],
        mutants=["N23"],
    ),
    Planned(
        id="F15",
        fault="power is lost",
        tests=[
            f"{_DISK}::test_the_files_as_a_power_cut_leaves_them_hold_every_answered_write",
            f"{_DISK}::test_at_least_one_sync_lies_between_a_write_and_its_answer",
        ],
        mutants=["M9"],
    ),
    Planned(
        id="F16",
        fault="a page of the file, the end of the write-ahead log, or a bit inside a value is damaged",
        tests=[
            "tests/faults/test_disk.py::test_a_damaged_page_is_found_at_the_start_and_nothing_is_served",
            "tests/faults/test_disk.py::test_a_damaged_end_of_the_write_ahead_log_loses_its_end_and_nothing_before",
            _FLIPPED,
            f"{_BUS}/test_serving.py::test_a_damaged_event_is_sent_to_nobody_and_its_place_is_told",
            "tests/contract/backups/test_backups.py::test_databases_that_lie_are_told",
        ],
        mutants=["N3", "N22"],
        missing="values outside the logs carry no sum; what was recorded before there were sums has none",
    ),
    Planned(
        id="F17",
        fault="an older copy is restored under running readers",
        tests=[f"{_BUS}/test_restored_logs.py", "tests/contract/backups/test_restoring.py"],
        mutants=["N4"],
    ),
    Planned(
        id="F18",
        fault="SIGKILL in the middle of a migration",
        tests=["tests/faults/test_kill_during_migration.py"],
        mutants=["N5"],
    ),
    Planned(
        id="F20",
        fault="SIGKILL a node of NATS",
        tests=[SECOND_SHAPE, f"{_CLUSTER}::test_a_log_outlives_its_leaders"],
        mutants=["N29"],
    ),
    Planned(
        id="F21",
        fault="a node stands still, or is parted from the others",
        tests=[
            SECOND_SHAPE,
            f"{_CLUSTER}::test_a_leader_that_sleeps_and_wakes_divides_nothing",
            f"{_BUS}/test_parted.py",
        ],
        mutants=["N30"],
    ),
    Planned(
        id="F22",
        fault="all nodes killed, stores deleted",
        tests=[
            f"{_CLUSTER}::test_a_server_that_lost_its_store_is_filled_again_and_nobody_notices",
            f"{_CLUSTER}::test_a_stream_of_which_every_server_lost_its_store_is_made_anew",
        ],
        mutants=["N31"],
    ),
    Planned(
        id="F23",
        fault="the majority is lost for minutes",
        tests=[
            f"{_CLUSTER}::test_without_a_majority_writers_and_followers_go_on_and_the_relay_catches_up_later"
        ],
        mutants=["N32"],
    ),
    Planned(
        id="F24",
        fault="the relay dies between publishing and its mark",
        tests=[
            f"{_RELAY}::test_what_is_published_again_soon_is_dropped_by_the_bus_and_later_by_the_consumer"
        ],
        mutants=["N33"],
    ),
    Planned(
        id="F25",
        fault="published again after the window; one id with two bodies",
        tests=[
            f"{_RELAY}::test_what_is_published_again_soon_is_dropped_by_the_bus_and_later_by_the_consumer",
            f"{_BUS}/test_jetstream.py::test_of_two_bodies_of_one_position_the_owners_is_taken",
        ],
        mutants=["N34"],
    ),
    Planned(
        id="F26",
        fault="deliveries shuffled, doubled, late, dropped, from the beginning",
        tests=[f"{_BUS}/test_feed.py", f"{_BUS}/test_consumer.py"],
        mutants=["N11"],
    ),
    Planned(
        id="F27",
        fault="one log is ahead of the other",
        tests=[
            "tests/property/test_reports_fold.py",
            _HEARD_OF_FIRST,
            f"{_ENGINE}/test_batches.py",
        ],
        mutants=["N35"],
    ),
    Planned(
        id="F28",
        fault="events that cannot be read, are unknown, fail always, or end the process",
        tests=[
            f"{_BUS}/test_failing_events.py",
            f"{_BUS}/test_too_large.py",
            f"{_BUS}/test_known_events.py",
            f"{_ENGINE}/test_poison.py",
        ],
        mutants=["M16", "M17", "N6", "N27"],
        missing="a handoff is not set aside alone: ADR 0048 says why; a clock that cannot be decided is",
    ),
    Planned(
        id="F29",
        fault="a reader that is slow, or never reads",
        tests=[
            f"{_BUS}/test_feed.py::test_a_slow_consumer_holds_a_bounded_part_of_the_log_in_memory",
            f"{_BUS}/test_serving.py::test_a_reader_that_does_not_read_is_let_go_with_the_place_to_resume",
        ],
        mutants=["N17"],
    ),
    Planned(
        id="F30",
        fault="the bus restarts under its clients",
        tests=[
            f"{_RELAY}::test_a_bus_that_dies_among_many_messages_has_them_all_in_order_afterwards",
            f"{_BUS}/test_jetstream.py::test_a_subscription_that_the_bus_forgot_is_made_anew",
        ],
        mutants=["N36"],
    ),
    Planned(
        id="F31",
        fault="a stop becomes known after the miss was recorded",
        tests=[f"{_ENGINE}/test_arrivals.py", "tests/unit/sla/test_late_pauses.py"],
        mutants=["N7"],
    ),
    Planned(
        id="F32",
        fault="two connections race for the end of the log",
        tests=[
            f"{_STORE}/test_event_log.py",
            f"{_STORE}/test_writer.py::test_callers_that_wait_together_share_one_call_and_one_instant",
            f"{_SERVER_TESTS}::test_what_replicas_decide_from_what_they_read_is_never_lost",
        ],
        mutants=["M7", "M13", "N20"],
        missing="two writing connections race in `contract/store/test_postgres.py` alone",
    ),
    Planned(
        id="F40",
        fault="the wall clock is set forwards or back",
        tests=[
            "tests/faults/test_clock_steps.py",
            f"{_ENGINE}/test_sweeping.py",
            "tests/faults/test_drifting_replicas.py",
        ],
        mutants=["N8", "N50"],
    ),
    Planned(
        id="F41",
        fault="`sla` stands still past due instants; the wall clock jumps while the other does not",
        tests=["tests/faults/test_clock_steps.py", "tests/faults/test_replicas_race.py"],
        mutants=["M6"],
    ),
    Planned(
        id="F42",
        fault="changes of the offset, skipped dates, overnight shifts, odd zones",
        tests=["tests/property/test_calendar_count.py", "tests/property/test_businesstime_properties.py"],
        mutants=["M11", "M12"],
    ),
    Planned(
        id="F43",
        fault="new rules of a zone",
        tests=[
            "tests/unit/smarketing/test_businesstime.py::test_the_edition_of_the_zone_rules_is_known",
            f"{_ENGINE}/test_new_zone_rules.py",
        ],
        mutants=["N28"],
    ),
    Planned(
        id="F44",
        fault="storms of pauses; terms edited meanwhile; clocks opened again",
        tests=[
            "tests/faults/test_pause_storm.py",
            f"{_ENGINE}/test_pausing.py",
            "tests/property/test_clock_properties.py",
            "tests/property/test_months_relived.py",
            f"{_ENGINE}/test_sweeping.py",
        ],
        mutants=["N37"],
    ),
    Planned(
        id="F45",
        fault="due now, in the past, at once, never; the last year there is",
        tests=["tests/unit/sla/test_offline.py", "tests/unit/smarketing/test_businesstime.py"],
        mutants=["N38"],
    ),
    Planned(
        id="F46",
        fault="a million open clocks, ten thousand due in one second",
        tests=[f"{_ENGINE}/test_sweep_cost.py"],
        mutants=["N39"],
        missing="the million itself is measured by `make bench ONLY=sweep`",
    ),
    Planned(
        id="F50",
        fault="replicas race for the same misses",
        tests=["tests/faults/test_replicas_race.py"],
        mutants=["M6"],
        missing="on SQLite they are threads with caches of their own",
    ),
    Planned(
        id="F51",
        fault="sixty-four calls with one request id",
        tests=[SECOND_SHAPE, f"{_SERVER}/test_commands.py"],
        mutants=["M10"],
    ),
    Planned(
        id="F52",
        fault="thirty-two accept an offer while it expires",
        tests=["tests/property/test_accepting_races.py"],
        mutants=["N12"],
    ),
    Planned(
        id="F53",
        fault="the stop and the miss at one instant",
        tests=["tests/faults/test_stop_against_miss.py", f"{_ENGINE}/test_arrivals.py"],
        mutants=["N7"],
    ),
    Planned(
        id="F54",
        fault="twenty replicas start at once",
        tests=[
            f"{_SERVER_TESTS}::test_of_twenty_replicas_that_start_together_one_migrates_and_all_are_ready"
        ],
        mutants=["N40"],
    ),
    Planned(
        id="F55",
        fault="the holder of a lease stalls and returns",
        tests=[f"{_STORE}/test_leases.py", "tests/faults/test_replicas_race.py"],
        mutants=["M6"],
    ),
    Planned(
        id="F56",
        fault="the release before and this one together",
        tests=["tests/faults/test_two_builds.py", f"{_STORE}/test_older_builds.py"],
        mutants=["N20", "N41", "N51"],
        missing="there is no release yet: the other build is this one with a migration more",
    ),
    Planned(
        id="F57",
        fault="clients give up within fifty milliseconds",
        tests=[
            f"{_GIVEN_UP}::test_callers_who_give_up_within_fifty_milliseconds_lose_nothing_and_leave_nothing_open",
            _KILLS,
            f"{_STORE}/test_writer.py",
        ],
        mutants=["M18", "N18"],
    ),
    Planned(
        id="F58",
        fault="SIGTERM under load and open streams",
        tests=[
            f"{_GIVEN_UP}::test_a_service_told_to_stop_under_load_answers_what_it_began_and_ends_in_time",
            ROLLING,
            "tests/contract/client/test_rolling_restart.py",
            f"{_SERVER}/test_overload_and_drain.py",
            _STOPPED_EARLY,
        ],
        mutants=["N17", "N53"],
    ),
    Planned(
        id="F59",
        fault="more calls than can be answered",
        tests=[f"{_SERVER}/test_overload_and_drain.py", "tests/contract/intake/test_one_tenant_too_much.py"],
        mutants=["N13"],
        missing="goodput at 2× and 5× is a measurement of `make bench`",
    ),
    Planned(
        id="F60",
        fault="any bytes to every RPC, webhook and page",
        tests=["tests/contract/api/test_bad_input.py"],
        mutants=["N42"],
    ),
    Planned(
        id="F61",
        fault="every method with every role and token",
        tests=["tests/contract/security/test_every_rpc_is_guarded.py", f"{_SERVER}/test_who_may_call.py"],
        mutants=["M14"],
    ),
    Planned(
        id="F62",
        fault="two tenants with equal names and keys",
        tests=[
            "tests/contract/security/test_every_rpc_is_guarded.py",
            f"{_STORE}/test_event_log.py",
            "tests/contract/leads/test_lead_service.py",
        ],
        mutants=["M13"],
    ),
    Planned(
        id="F63",
        fault="no TLS, wrong or expired certificates",
        tests=[f"{_SERVER}/test_listening.py"],
        mutants=["N16"],
    ),
    Planned(
        id="F64",
        fault="no deadline, readers that sleep, idle streams",
        tests=[f"{_SERVER}/test_how_calls_end.py", f"{_SERVER}/test_overload_and_drain.py"],
        mutants=["N13"],
    ),
    Planned(
        id="F65",
        fault="webhooks to private addresses, redirects, peers without end",
        tests=["tests/contract/delivery/test_webhooks.py", "tests/unit/smarketing/delivery"],
        mutants=["N14"],
    ),
    Planned(
        id="F66",
        fault="secrets and persons in what is said when things fail",
        tests=["tests/unit/smarketing/test_logs.py", _KILLS],
        mutants=["N15"],
    ),
    Planned(
        id="F67",
        fault="too many teams, sources and promises for metrics",
        tests=["tests/contract/metrics"],
        mutants=["M15"],
    ),
    Planned(
        id="F68",
        fault="what must not start does not",
        tests=[
            "tests/unit/smarketing/sql/test_engine.py",
            f"{_SERVER}/test_listening.py",
            f"{_SERVER}/test_who_may_call.py",
        ],
        mutants=["M14"],
    ),
    Planned(
        id="F69",
        fault="large ids, money at its ends, the year 9999",
        tests=["tests/unit/smarketing/sql/test_types.py", "tests/unit/smarketing/cli/test_texts.py"],
        mutants=["M12"],
    ),
)
