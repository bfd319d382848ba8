"""What is said of outgoing messages and of consumers, case by case."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, MetaData

from smarketing import wallclock
from smarketing.delivery import (
    DeliveryTables,
    DeliveryTelemetry,
    NewEndpoint,
    NewMessage,
    Sealer,
    create_endpoint,
    define_tables,
    delete_endpoint,
    enqueue,
    new_secret,
    read_queue,
)
from smarketing.delivery.queue import Attempted, due_messages, record_attempts
from smarketing.eventlog.telemetry import ConsumerTelemetry
from smarketing.sql import Database

NOW = wallclock.utc_now()
ENDPOINTS = ("gone", "removed", "well")


def _shown(connection: Connection, tables: DeliveryTables) -> dict[str, float]:
    samples = [sample for metric in read_queue(connection, tables) for sample in metric.samples]
    return {sample.name.removeprefix("smarketing_webhook_"): sample.value for sample in samples}


def _queued(connection: Connection, tables: DeliveryTables, ids: Sequence[str], *, now: datetime) -> None:
    messages = [
        NewMessage(tenant="t", message_id=each, event_type="alert.opened", payload_json=b"{}") for each in ids
    ]
    enqueue(connection, tables, messages, now=now)


def _attempted(connection: Connection, tables: DeliveryTables, endpoint_id: str, **came_of_it: Any) -> None:
    due = due_messages(connection, tables, tenant="t", endpoint_id=endpoint_id, now=NOW, limit=1)
    results = [Attempted(message=each, **came_of_it) for each in due]
    record_attempts(connection, tables, results, now=NOW)


def test_dead_letters_and_disabled_endpoints_leave_the_count_with_their_endpoint() -> None:
    metadata = MetaData()
    tables = define_tables(metadata)
    with Database.in_memory() as database, database.writer_engine.begin() as connection:
        metadata.create_all(connection)
        for each in ENDPOINTS:
            new = NewEndpoint(
                tenant="t",
                endpoint_id=each,
                url=f"https://{each}.example",
                display_name="",
                secret=new_secret(),
            )
            create_endpoint(connection, tables, new, sealer=Sealer(b"k" * 32), now=NOW)
        assert _shown(connection, tables) == {"pending": 0, "dead_letters": 0, "endpoints_disabled": 0}

        _queued(connection, tables, ["late"], now=NOW)
        _queued(connection, tables, ["early"], now=NOW - timedelta(hours=1))
        assert _shown(connection, tables) == {
            "pending": 6,
            "oldest_pending_timestamp_seconds": (NOW - timedelta(hours=1)).timestamp(),
            "dead_letters": 0,
            "endpoints_disabled": 0,
        }

        for each in ("gone", "removed"):
            _attempted(connection, tables, each, delivered=False, gone=True)
        _attempted(connection, tables, "well", delivered=True)
        shown = _shown(connection, tables)
        assert (shown["pending"], shown["dead_letters"], shown["endpoints_disabled"]) == (3, 2, 2)

        delete_endpoint(connection, tables, tenant="t", endpoint_id="removed", now=NOW)
        shown = _shown(connection, tables)
        assert (shown["pending"], shown["dead_letters"], shown["endpoints_disabled"]) == (2, 1, 1)


def test_an_attempt_is_counted_under_how_it_ended_with_its_duration() -> None:
    registry = CollectorRegistry()
    telemetry = DeliveryTelemetry(registry)
    for outcome, seconds in (("ok", 0.25), ("timeout", 15.0), ("ok", 0.25)):
        telemetry.attempt_ended(outcome, seconds)

    attempts = {
        outcome: registry.get_sample_value("smarketing_webhook_attempts_total", {"outcome": outcome})
        for outcome in ("ok", "http_error", "timeout", "refused")
    }
    assert attempts == {"ok": 2, "http_error": 0, "timeout": 1, "refused": 0}
    assert registry.get_sample_value("smarketing_webhook_delivery_seconds_sum") == 15.5


def test_each_consumer_is_counted_under_its_name_and_the_log_that_it_follows() -> None:
    registry = CollectorRegistry()
    telemetry = ConsumerTelemetry(registry, {"reports.leads": "leads", "reports.sla": "sla"})
    telemetry.events_handled("reports.sla", "applied", 7)
    telemetry.events_handled("reports.sla", "duplicate", 2)
    telemetry.gap_met("reports.leads")
    telemetry.log_regressed("reports.sla")
    telemetry.batch_applied("reports.sla", 2.0)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"smarketing_eventlog_{name}", labels)

    leads = {"consumer": "reports.leads", "log": "leads"}
    sla = {"consumer": "reports.sla", "log": "sla"}
    assert value("consumer_events_total", consumer="reports.sla", outcome="applied") == 7
    assert value("consumer_events_total", consumer="reports.sla", outcome="duplicate") == 2
    assert value("consumer_events_total", consumer="reports.leads", outcome="applied") == 0
    assert (value("consumer_gaps_total", **leads), value("consumer_gaps_total", **sla)) == (1, 0)
    assert (value("log_regressed_total", **leads), value("log_regressed_total", **sla)) == (0, 1)
    assert value("apply_delay_seconds_sum", consumer="reports.sla") == 2.0
