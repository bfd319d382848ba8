"""Rules of the event log in the database (promises P2 to P5)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.struct_pb2 import Value
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, MetaData, select, update
from sqlalchemy.exc import IntegrityError

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checksums import EventDamaged
from smarketing.eventlog.outbox import MAX_PAYLOAD_BYTES, Cause, EventTooLarge, NewEvent, append
from smarketing.eventlog.reading import (
    MAX_PAGE_BYTES,
    LogRegressed,
    Page,
    ensure_identity,
    head,
    read,
    view_log_id,
)
from smarketing.eventlog.tables import define_tables
from smarketing.sql import Database, Writer, open_database

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LOG_ID = "6f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c11"
WHOLE = "tenants/-"


def an_event(
    text: str = "x", *, tenant: str = "tenants/acme", subject: str = "leads/1", skippable: bool = False
) -> NewEvent:
    return NewEvent(
        tenant=tenant,
        subject=f"{tenant}/{subject}",
        occur_time=NOON - timedelta(hours=1),
        actor="people/kim",
        payload=StringValue(value=text),
        skippable=skippable,
    )


@pytest.fixture
def log(database: Database) -> Database:
    create_log(database)
    return database


def create_log(database: Database) -> None:
    metadata = MetaData()
    define_tables(metadata)
    with database.writer_engine.begin() as connection:
        metadata.create_all(connection)
        ensure_identity(connection, new_log_id=lambda: LOG_ID)


def record(database: Database, *events: NewEvent, now: datetime = NOON) -> None:
    with database.writer_engine.begin() as connection:
        append(connection, events, now=now)


def page(
    database: Database, view: str = WHOLE, *, after: int = 0, limit: int = 1000, log_id: str = ""
) -> Page:
    with database.reading() as connection:
        return read(connection, view, after=after, limit=limit, log_id=log_id)


def texts(events: Sequence[eventlogpb.Event]) -> list[str]:
    return [StringValue.FromString(event.payload.value).value for event in events]


def test_an_event_comes_back_as_it_was_recorded(log: Database) -> None:
    cause = Cause("0f0d0f55-0000-4000-8000-000000000000", 7)
    record(
        log,
        NewEvent(
            tenant="tenants/acme",
            subject="tenants/acme/leads/1",
            occur_time=datetime(2026, 5, 4, 11, 59, 59, 123_456, tzinfo=UTC),
            actor="services/sla",
            payload=StringValue(value="hello"),
            skippable=True,
            cause=cause,
            traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    )

    expected = eventlogpb.Event(
        log_id=LOG_ID,
        position=1,
        tenant="tenants/acme",
        subject="tenants/acme/leads/1",
        subject_version=1,
        actor="services/sla",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        cause=eventlogpb.EventReference(log_id=cause.log_id, position=7),
        skippable=True,
        tenant_position=1,
    )
    expected.occur_time.FromDatetime(datetime(2026, 5, 4, 11, 59, 59, 123_456, tzinfo=UTC))
    expected.record_time.FromDatetime(NOON)
    expected.payload.Pack(StringValue(value="hello"))
    assert page(log) == Page(LOG_ID, [expected], 1)


def test_a_tenant_is_told_of_a_cause_by_its_place_in_the_tenants_own_view(log: Database) -> None:
    other = "0f0d0f55-0000-4000-8000-000000000000"
    record(
        log,
        replace(an_event("a"), cause=Cause(other, 700, tenant_position=7)),
        replace(an_event("b"), cause=Cause(other, 701)),
    )

    told, untold = page(log, "tenants/acme").events
    assert told.cause == eventlogpb.EventReference(log_id=view_log_id(other, "tenants/acme"), position=7)
    assert not untold.HasField("cause")
    assert [event.cause.position for event in page(log).events] == [700, 701]


def test_every_event_says_its_place_in_its_tenants_view_whichever_view_is_read(log: Database) -> None:
    record(log, an_event("a"), an_event("x", tenant="tenants/blue"), an_event("b"))

    assert [event.tenant_position for event in page(log).events] == [1, 1, 2]
    assert [event.tenant_position for event in page(log, "tenants/acme").events] == [1, 2]


def test_a_reader_that_remembers_another_event_at_its_position_is_refused(log: Database) -> None:
    record(log, an_event("a"), an_event("x", tenant="tenants/blue"), now=NOON)
    record(log, an_event("b"), now=NOON + timedelta(seconds=1))
    noon = int(NOON.timestamp()) * 1_000_000

    def after(view: str, position: int, micros: int) -> list[str]:
        with log.reading() as connection:
            return texts(read(connection, view, after=position, limit=10, after_record_micros=micros).events)

    assert after(WHOLE, 2, noon) == ["b"]
    assert after("tenants/acme", 1, noon) == ["b"]
    for view, position in ((WHOLE, 2), ("tenants/acme", 1)):
        with pytest.raises(LogRegressed):
            after(view, position, noon + 1)


def test_an_event_without_cause_has_none(log: Database) -> None:
    record(log, an_event())

    assert not page(log).events[0].HasField("cause")


def test_events_of_one_transaction_are_adjacent_and_in_their_order(log: Database) -> None:
    record(log, an_event("a"), an_event("b"))
    record(log, an_event("c"))

    assert texts(page(log).events) == ["a", "b", "c"]
    assert [event.position for event in page(log).events] == [1, 2, 3]


def test_a_rolled_back_transaction_leaves_no_gap(log: Database) -> None:
    record(log, an_event("a"))
    with log.writer_engine.connect() as connection:
        transaction = connection.begin()
        append(connection, [an_event("never")], now=NOON)
        transaction.rollback()
    record(log, an_event("b"))

    assert [(event.position, event.subject_version) for event in page(log).events] == [(1, 1), (2, 2)]


def test_two_appends_in_one_transaction_continue_one_another(log: Database) -> None:
    with log.writer_engine.begin() as connection:
        append(connection, [an_event("a")], now=NOON)
        append(connection, [], now=NOON)
        append(connection, [an_event("b")], now=NOON)

    found = page(log)
    assert [(e.position, e.subject_version) for e in found.events] == [(1, 1), (2, 2)]
    assert found.head_position == 2


def test_the_recorded_time_never_decreases_though_the_clock_does(log: Database) -> None:
    record(log, an_event(), now=NOON)
    record(log, an_event(), now=NOON - timedelta(hours=2))
    record(log, an_event(), now=NOON + timedelta(seconds=1))

    recorded = [event.record_time.ToDatetime(tzinfo=UTC) for event in page(log).events]
    assert recorded == [NOON, NOON, NOON + timedelta(seconds=1)]


def test_each_tenants_view_is_a_log_of_its_own(log: Database) -> None:
    record(log, an_event("a"), an_event("b", tenant="tenants/other"), an_event("c"))

    mine = page(log, "tenants/acme")
    theirs = page(log, "tenants/other")

    assert (texts(mine.events), [event.position for event in mine.events]) == (["a", "c"], [1, 2])
    assert (texts(theirs.events), [event.position for event in theirs.events]) == (["b"], [1])
    assert len({page(log).log_id, mine.log_id, theirs.log_id}) == 3
    assert {event.log_id for event in mine.events} == {mine.log_id}


def test_the_id_of_a_tenants_view_tells_nothing_of_the_others_and_never_changes() -> None:
    ids = {view_log_id(LOG_ID, f"tenants/{tenant}") for tenant in ("a", "b")}

    assert len(ids | {LOG_ID}) == 3
    assert all(UUID(log_id).version == 5 for log_id in ids)
    assert view_log_id(LOG_ID, "tenants/a") in ids


def test_an_unknown_tenants_view_is_an_empty_log(log: Database) -> None:
    record(log, an_event())

    assert page(log, "tenants/nobody") == Page(view_log_id(LOG_ID, "tenants/nobody"), [], 0)


def test_the_identity_is_given_once(log: Database) -> None:
    with log.writer_engine.begin() as connection:
        again = ensure_identity(connection, new_log_id=lambda: "11111111-1111-4111-8111-111111111111")

    assert again == LOG_ID


def test_a_page_ends_at_its_limit_and_the_next_one_continues(log: Database) -> None:
    record(log, *(an_event(str(number)) for number in range(10)))

    first = page(log, limit=4)
    rest = page(log, after=first.events[-1].position, limit=100, log_id=first.log_id)

    assert texts([*first.events, *rest.events]) == [str(number) for number in range(10)]
    assert (len(first.events), first.head_position) == (4, 10)


def test_a_page_ends_at_about_two_mebibytes_however_many_are_asked_for(log: Database) -> None:
    large = [an_event("x" * 200_000) for _ in range(30)]
    record(log, *large)

    found = page(log, limit=5000)

    size = eventlogpb.ReadEventsResponse(events=found.events).ByteSize()
    assert MAX_PAGE_BYTES - 200_000 <= size <= MAX_PAGE_BYTES + 210_000


def test_an_event_too_large_to_be_followed_is_not_recorded(log: Database) -> None:
    with pytest.raises(EventTooLarge):
        record(log, an_event("small"), an_event("x" * MAX_PAYLOAD_BYTES))

    assert page(log).events == []


def test_a_read_at_the_head_finds_nothing_and_beyond_it_the_log_has_regressed(log: Database) -> None:
    record(log, an_event())

    assert page(log, after=1) == Page(LOG_ID, [], 1)
    with pytest.raises(LogRegressed) as regressed:
        page(log, after=2, log_id=LOG_ID)
    assert (regressed.value.head_position, regressed.value.wanted_position) == (1, 2)


def test_a_position_of_another_log_means_nothing_here(log: Database) -> None:
    record(log, an_event())

    with pytest.raises(LogRegressed):
        page(log, after=0, log_id=view_log_id(LOG_ID, "tenants/acme"))


def test_a_page_stays_the_same_whatever_is_recorded_later(log: Database) -> None:
    record(log, *(an_event(str(number)) for number in range(5)))
    before = page(log, limit=5).events
    record(log, *(an_event(str(number)) for number in range(5)))

    assert page(log, limit=5).events == before


def flipped(value: Any) -> Any:
    """Return a stored value as one bit less or more makes it."""
    match value:
        case bytes():
            return value[:-1] + bytes([value[-1] ^ 1])
        case bool():
            return not value
        case int():
            return value ^ 1 << 6
        case datetime():
            return value + timedelta(microseconds=1)
    return value[:-1] + chr(ord(value[-1]) ^ 1)


@pytest.mark.parametrize("view", [WHOLE, "tenants/acme"])
def test_a_flipped_bit_of_anything_kept_of_an_event_is_refused_with_its_place(
    log: Database, view: str
) -> None:
    table = define_tables(MetaData()).event_log
    third = replace(
        an_event("c"), cause=Cause(LOG_ID, 700, 7), skippable=True, traceparent="00-4bf92f-00f067-01"
    )
    record(log, an_event(tenant="tenants/other"), an_event("b"), third, an_event("d"))
    query = select(table).where(table.c.position == 3)
    with log.reading() as connection:
        stored = dict(connection.execute(query).mappings().one())

    for column in set(table.c.keys()) - {"position", "tenant", "tenant_position"}:
        spoil(log, {column: flipped(stored[column])}, at=3)
        with pytest.raises(EventDamaged) as damaged:
            page(log, view)
        assert damaged.value.position == (3 if view == WHOLE else 2), column
        spoil(log, {column: stored[column]}, at=3)
    assert texts(page(log, view).events)[-2:] == ["c", "d"]


def test_an_event_of_before_there_were_sums_is_read_as_it_stands(log: Database) -> None:
    record(log, an_event("a"), an_event("b"))
    spoil(log, {"checksum": None}, at=1)

    assert texts(page(log).events) == ["a", "b"]


def spoil(database: Database, values: Mapping[str, Any], *, at: int) -> None:
    table = define_tables(MetaData()).event_log
    with database.writer_engine.begin() as connection:
        connection.execute(update(table).where(table.c.position == at).values(**values))


def test_a_version_of_a_subject_exists_once(log: Database) -> None:
    record(log, an_event())
    copy = (
        "INSERT INTO event_log SELECT 99, tenant, 99, subject, subject_version, occur_time, record_time,"
        " actor, traceparent, NULL, NULL, NULL, skippable, payload_type, payload, checksum FROM event_log"
    )

    with pytest.raises(IntegrityError), log.writer_engine.begin() as connection:
        connection.exec_driver_sql(copy)


async def test_callers_that_append_together_get_contiguous_positions(log: Database, writer: Writer) -> None:
    def keep(connection: Connection, numbers: Sequence[int], now: datetime) -> Sequence[int]:
        append(connection, [an_event(str(n), subject=f"leads/{n % 3}") for n in numbers], now=now)
        return numbers

    await asyncio.gather(*(writer.run(keep, [n]) for n in range(100)))

    events = page(log).events
    assert [event.position for event in events] == list(range(1, 101))
    assert sorted(texts(events), key=int) == [str(n) for n in range(100)]


_batches = st.lists(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()), max_size=6), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(_batches)
def test_every_view_and_subject_counts_from_one_without_hole(
    batches: list[list[tuple[str, str, bool]]],
) -> None:
    with open_database("sqlite://") as database:
        create_log(database)
        kept: list[tuple[str, str]] = []
        for batch in batches:
            keep = all(commit for _, _, commit in batch)
            events = [an_event(tenant=f"tenants/{t}", subject=f"leads/{s}") for t, s, _ in batch]
            with database.writer_engine.connect() as connection:
                transaction = connection.begin()
                append(connection, events, now=NOON)
                transaction.commit() if keep else transaction.rollback()
            kept += [(t, s) for t, s, _ in batch] if keep else []

        whole = page(database).events
        assert [event.position for event in whole] == list(range(1, len(kept) + 1))
        assert [event.subject.split("/")[1::2] for event in whole] == [[t, s] for t, s in kept]
        for tenant in "ab":
            own = page(database, f"tenants/{tenant}").events
            assert [event.position for event in own] == list(range(1, sum(t == tenant for t, _ in kept) + 1))
            for subject in "xyz":
                versions = [e.subject_version for e in own if e.subject.endswith(f"/{subject}")]
                assert versions == list(range(1, len(versions) + 1))
        with database.reading() as connection:
            assert head(connection, WHOLE) == (LOG_ID, len(kept))


def test_a_payload_is_kept_byte_for_byte(log: Database) -> None:
    anything = bytes(range(256)) * 3
    record(
        log,
        NewEvent(
            tenant="tenants/acme",
            subject="s",
            occur_time=NOON,
            actor="a",
            payload=BytesValue(value=anything),
        ),
    )
    record(log, an_event(), NewEvent(tenant="t", subject="s", occur_time=NOON, actor="a", payload=Value()))

    events = page(log).events
    assert BytesValue.FromString(events[0].payload.value).value == anything
    assert events[2].payload.type_url == "type.googleapis.com/google.protobuf.Value"
