"""A command takes effect at most once, is on the record, and the record shows when it was touched."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, func, insert, select, update

from smarketing.server.audit import AuditEntry, AuditOutcome, append_entries, verify_chain
from smarketing.server.commands import Call, Command, Done, define_commands, run_commands
from smarketing.server.denials import DenialRecorder
from smarketing.server.idempotency import RETENTION, RequestIdReused, purge_records
from smarketing.sql.errors import StorageUnavailable
from smarketing.sql.writer import Writer
from tests.builders.stores import a_database
from tests.contract.server.echo import EchoRequest, EchoResponse

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class WordTaken(Exception):
    pass


@pytest.fixture
async def store(each_store):  # noqa: ARG001 -- tells the builder which database to make
    metadata = MetaData()
    tables = define_commands(metadata)
    words = Table("word", metadata, Column("id", Integer, primary_key=True), Column("word", Text))
    clock = SimpleNamespace(now=NOW)
    runs = []

    def unit(connection, commands, now):
        def use_case(requests):
            runs.append(list(requests))
            answers = []
            for request in requests:
                if request.word == "taken":
                    answers.append(WordTaken())
                    continue
                if request.word == "bug":
                    raise ZeroDivisionError
                connection.execute(insert(words).values(word=request.word))
                count = connection.execute(select(func.count()).select_from(words)).scalar_one()
                answers.append(f"{request.word} is number {count}")
            return answers

        return run_commands(
            tables,
            connection,
            commands,
            now=now,
            use_case=use_case,
            render=lambda answer: EchoResponse(word=answer),
        )

    with a_database("commands_and_words", metadata.create_all) as database:
        writer = Writer(database, now=lambda: clock.now)

        async def run(*commands):
            return await writer.run(unit, commands)

        async def one(statement):
            return await writer.read(lambda connection: connection.execute(statement).all())

        yield SimpleNamespace(
            run=run, query=one, writer=writer, tables=tables, words=words, runs=runs, clock=clock
        )
        await writer.close()


def a_command(
    word="hello", *, request_id="r1", tenant="default", principal="mina", method="/S/Say", content=None
):
    return Command(
        EchoRequest(word=word),
        Call(
            tenant=tenant,
            principal=principal,
            on_behalf_of="",
            method=method,
            request_id=request_id,
            fingerprint=(content or word).encode().ljust(32),
            resource=f"tenants/{tenant}/leads/l1",
            traceparent="",
        ),
    )


def words_of(outcomes):
    return [
        (EchoResponse.FromString(outcome.response).word, outcome.replayed)
        if isinstance(outcome, Done)
        else outcome
        for outcome in outcomes
    ]


async def how_many(store):
    return len(await store.query(select(store.words)))


async def trail(store, tenant="default"):
    entry = store.tables.audit.entry
    rows = await store.query(select(entry).where(entry.c.tenant == tenant).order_by(entry.c.sequence))
    return [(row.sequence, AuditOutcome(row.outcome).name, row.reason) for row in rows]


async def test_the_same_request_again_gets_the_first_answer_and_changes_nothing(store):
    first = await store.run(a_command())
    again = await store.run(a_command())

    assert words_of(first) == [("hello is number 1", False)]
    assert words_of(again) == [("hello is number 1", True)]
    assert await how_many(store) == 1
    assert await trail(store) == [(1, "APPLIED", ""), (2, "REPLAYED", "")]


async def test_the_same_id_with_other_content_is_refused_without_effect(store):
    await store.run(a_command("hello"))
    (outcome,) = await store.run(a_command("goodbye"))

    assert isinstance(outcome, RequestIdReused)
    assert outcome.reason == "IDEMPOTENCY_KEY_REUSED"
    assert await how_many(store) == 1
    assert await trail(store) == [(1, "APPLIED", ""), (2, "REFUSED", "IDEMPOTENCY_KEY_REUSED")]


async def test_the_same_id_of_another_tenant_principal_or_method_is_another_request(store):
    outcomes = await store.run(
        a_command(),
        a_command(tenant="other"),
        a_command(principal="otto"),
        a_command(method="/S/Tell"),
    )

    assert [replayed for _, replayed in words_of(outcomes)] == [False] * 4
    assert await how_many(store) == 4


async def test_many_at_once_with_one_id_have_one_effect_and_equal_answers(store):
    outcomes = await asyncio.gather(*[store.run(a_command()) for _ in range(50)])

    answers = [words_of(each)[0] for each in outcomes]
    assert {word for word, _ in answers} == {"hello is number 1"}
    assert sorted(replayed for _, replayed in answers) == [False] + [True] * 49
    assert await how_many(store) == 1


async def test_within_one_batch_an_id_runs_once_and_other_content_under_it_is_refused(store):
    outcomes = await store.run(
        a_command(), a_command("other"), a_command(), a_command("last", request_id="r2")
    )

    assert [type(outcome) for outcome in outcomes] == [Done, RequestIdReused, Done, Done]
    assert [outcome.replayed for outcome in outcomes if isinstance(outcome, Done)] == [False, True, False]
    assert [[request.word for request in run] for run in store.runs] == [["hello", "last"]]


async def test_a_refused_request_may_be_tried_again_under_its_id(store):
    (refused,) = await store.run(a_command("taken", content="same"))
    (accepted,) = await store.run(a_command("free", content="same"))

    assert isinstance(refused, WordTaken)
    assert words_of([accepted]) == [("free is number 1", False)]
    assert await trail(store) == [(1, "REFUSED", "WORD_TAKEN"), (2, "APPLIED", "")]


async def test_a_use_case_that_fails_leaves_neither_effect_nor_answer_nor_record(store):
    with pytest.raises(ZeroDivisionError):
        await store.run(a_command("first", request_id="r1"), a_command("bug", request_id="r2"))

    assert await how_many(store) == 0
    assert await trail(store) == []
    assert words_of(await store.run(a_command("first", request_id="r1"))) == [("first is number 1", False)]


def test_a_call_without_a_request_id_is_not_made():
    with pytest.raises(ValueError, match="request_id"):
        a_command(request_id="")


async def test_answers_are_kept_for_at_least_seven_days_and_purged_a_few_at_a_time(store):
    await store.run(*[a_command(request_id=f"r{n}") for n in range(5)])
    idempotency = store.tables.idempotency

    async def purge(now):
        store.clock.now = now
        unit = lambda connection, requests, at: [  # noqa: E731 -- a unit of one line
            purge_records(idempotency, connection, now=at, limit=2) for _ in requests
        ]
        return (await store.writer.run(unit, [None]))[0]

    assert RETENTION.days >= 7
    assert await purge(NOW + RETENTION) == 0
    late = NOW + RETENTION * 1.001
    assert [await purge(late) for _ in range(4)] == [2, 2, 1, 0]
    assert await store.query(select(idempotency)) == []


async def verdict(store, tenant="default"):
    return await store.writer.read(lambda connection: verify_chain(store.tables.audit, connection, tenant))


async def tamper(store, *statements):
    await store.writer.run(
        lambda connection, changes, _now: [connection.execute(change) and None for change in changes],
        statements,
    )


async def test_each_tenant_has_a_chain_of_its_own_and_an_untouched_one_is_intact(store):
    await store.run(*[a_command(request_id=f"r{n}", tenant=("default", "other")[n % 2]) for n in range(7)])

    checked = [await verdict(store), await verdict(store, "other"), await verdict(store, "nobody")]
    assert [(each.entries_checked, each.first_broken_sequence) for each in checked] == [
        (4, None),
        (3, None),
        (0, None),
    ]


@pytest.mark.parametrize(
    "column",
    ["record_time", "principal", "on_behalf_of", "method", "resource", "outcome", "reason", "request_id"],
)
async def test_a_changed_field_breaks_the_chain_where_it_was_changed(store, column):
    await store.run(*[a_command(request_id=f"r{n}") for n in range(5)])
    entry = store.tables.audit.entry
    changed = {"record_time": datetime(2026, 1, 1, tzinfo=UTC), "outcome": 4}.get(column, "changed")
    await tamper(store, update(entry).where(entry.c.sequence == 3).values({column: changed}))

    assert (await verdict(store)).first_broken_sequence == 3


async def test_a_deleted_entry_breaks_the_chain_also_when_it_was_the_last(store):
    await store.run(*[a_command(request_id=f"r{n}") for n in range(5)])
    entry = store.tables.audit.entry
    await tamper(store, delete(entry).where(entry.c.sequence == 5))
    assert (await verdict(store)).first_broken_sequence == 5

    await tamper(store, delete(entry).where(entry.c.sequence == 2))
    assert (await verdict(store)).first_broken_sequence == 2


async def test_a_chain_longer_than_one_read_is_checked_to_its_end(store):
    def unit(connection, requests, now):
        entries = [_denial(f"/S/M{n}") for n in range(2500)]
        append_entries(store.tables.audit, connection, entries, now=now)
        return [None for _ in requests]

    await store.writer.run(unit, [None])
    entry = store.tables.audit.entry
    assert (await verdict(store)).entries_checked == 2500
    await tamper(store, update(entry).where(entry.c.sequence == 2400).values(reason="changed"))
    assert (await verdict(store)).first_broken_sequence == 2400


def _denial(method="/S/Say", principal=""):
    return AuditEntry(
        tenant="default",
        principal=principal,
        on_behalf_of="",
        method=method,
        resource="",
        outcome=AuditOutcome.DENIED,
        reason="CREDENTIALS_INVALID",
    )


async def test_a_flood_of_denials_is_a_few_entries_and_the_overflow_is_counted(store):
    recorder = DenialRecorder(store.tables.audit, store.writer, capacity=3)
    for _ in range(1000):
        recorder.note(_denial())
    for n in range(4):
        recorder.note(_denial(principal=f"p{n}"))
    await recorder.flush()
    await recorder.flush()

    assert await trail(store) == [(n, "DENIED", "CREDENTIALS_INVALID") for n in (1, 2, 3)]
    assert recorder.overflowed == 2


async def test_one_tenants_flood_of_denials_leaves_room_for_anothers(store):
    recorder = DenialRecorder(store.tables.audit, store.writer, tenant_capacity=3)
    for n in range(1000):
        recorder.note(replace(_denial(principal=f"p{n}"), tenant="loud"))
    recorder.note(_denial())
    await recorder.flush()

    assert await trail(store) == [(1, "DENIED", "CREDENTIALS_INVALID")]
    assert recorder.overflowed == 997


async def test_denials_that_could_not_be_written_are_written_the_next_time(store):
    recorder = DenialRecorder(store.tables.audit, store.writer)
    recorder.note(_denial())
    recorder._append, append = _fail, recorder._append
    with pytest.raises(StorageUnavailable):
        await recorder.flush()
    recorder._append = append
    await recorder.flush()

    assert await trail(store) == [(1, "DENIED", "CREDENTIALS_INVALID")]


def _fail(_connection, _requests, _now):
    from smarketing.sql.errors import StorageFault

    raise StorageUnavailable(StorageFault.LOCKED)
