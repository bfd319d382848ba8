"""The directory over gRPC: applied whole, read by all, known everywhere."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import select, text

from smarketing import wallclock
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.eventlog import reading
from smarketing.server.errors import Refusal
from tests.builders.stores import every_row
from tests.contract.directory.town import (
    Town,
    a_directory_message,
    a_follower,
    a_town,
    an_apply,
    metadata_of,
    until,
)

pytestmark = pytest.mark.usefixtures("each_engine_if_thorough")

KIM = "tenants/acme/people/kim"


def reason_of(error: grpc.aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    rpc_status.from_call(error).details[0].Unpack(info)
    return info.reason


async def issued(town: Town, parent: str = KIM, **fields) -> directorypb.IssueTokenResponse:
    request = directorypb.IssueTokenRequest(parent=parent, **{"request_id": wallclock.new_uuid(), **fields})
    return await town.stub.IssueToken(request, metadata=town.operator)


def events_in(town: Town, view: str = "tenants/-") -> list[str]:
    with town.database.reading() as connection:
        page = reading.read(connection, view, after=0, limit=1000)
        assert [event.position for event in page.events] == list(range(1, len(page.events) + 1))
        return [event.payload.TypeName().rpartition(".")[2] for event in page.events]


async def test_an_operator_makes_a_tenant_by_applying_its_directory(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        applied = await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        read = await town.stub.GetDirectory(
            directorypb.GetDirectoryRequest(name="tenants/acme/directory"), metadata=town.operator
        )

        assert read == applied.directory
        assert read.people[0].display_name == "Kim Minji"
        assert read.routing.version == 1
        assert read.routing.offer_duration == Duration(seconds=3600)
        assert {change.kind for change in applied.changes} == {directorypb.DirectoryChange.KIND_ADDED}


async def test_what_was_read_is_applied_without_a_change_or_an_event(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        first = await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        before = events_in(town)

        again = await town.stub.ApplyDirectory(an_apply(first.directory), metadata=town.operator)

        assert not again.changes
        assert again.directory == first.directory
        assert events_in(town) == before


async def test_only_what_changed_is_told_and_no_name_of_staff(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        before = events_in(town, "tenants/acme")
        wanted = a_directory_message()
        wanted.people[0].display_name = "Kim M."
        wanted.people[1].roles.append(directorypb.ROLE_LEADERSHIP)

        applied = await town.stub.ApplyDirectory(an_apply(wanted), metadata=town.operator)

        assert [(change.resource, list(change.fields)) for change in applied.changes] == [
            (KIM, ["display_name"]),
            ("tenants/acme/people/moon", ["roles"]),
        ]
        assert events_in(town, "tenants/acme") == [*before, "PersonChanged"]
        with town.database.reading() as connection:
            payloads = connection.execute(text("SELECT payload FROM event_log")).scalars().all()
        assert not any(b"Kim" in payload or b"Moon" in payload for payload in payloads)


async def test_validating_writes_nothing_and_says_what_would_be(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        before = events_in(town)

        would = await town.stub.ApplyDirectory(an_apply(validate_only=True), metadata=town.operator)
        applied = await town.stub.ApplyDirectory(an_apply(validate_only=True), metadata=town.operator)

        assert would == applied
        assert len(would.changes) == 1 + 2 + 2 + 1 + 1 + 1
        assert events_in(town) == before
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await town.stub.GetDirectory(
                directorypb.GetDirectoryRequest(name="tenants/acme/directory"), metadata=town.operator
            )
        assert reason_of(refused.value) == "TENANT_UNKNOWN"


async def test_a_stale_etag_is_refused(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        first = await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        second = a_directory_message(time_zone="UTC")
        await town.stub.ApplyDirectory(an_apply(second), metadata=town.operator)

        late = a_directory_message(etag=first.directory.etag, region_code="")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await town.stub.ApplyDirectory(an_apply(late), metadata=town.operator)
        assert refused.value.code() is grpc.StatusCode.ABORTED
        assert reason_of(refused.value) == "ETAG_STALE"


async def test_a_wrong_directory_is_refused_with_one_violation_for_each_fault(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        wrong = a_directory_message(time_zone="Nowhere")
        wrong.people[0].team = "tenants/other/teams/sales"
        wrong.teams[1].party = 0

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await town.stub.ApplyDirectory(an_apply(wrong), metadata=town.operator)
        bad = error_details_pb2.BadRequest()
        rpc_status.from_call(refused.value).details[1].Unpack(bad)
        assert [violation.field for violation in bad.field_violations] == [
            "directory.time_zone",
            "directory.teams[1].party",
            "directory.people[0].team",
            "directory.routing.rules[0].members[0].person",
        ]


async def test_the_same_request_id_gets_the_first_answer(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        request = an_apply()
        first = await town.stub.ApplyDirectory(request, metadata=town.operator)
        await town.stub.ApplyDirectory(an_apply(a_directory_message(time_zone="UTC")), metadata=town.operator)

        assert await town.stub.ApplyDirectory(request, metadata=town.operator) == first


async def test_ten_thousand_people_fit(tmp_path: Path) -> None:
    # Short names: a request has a size, too.
    many = [
        directorypb.Person(name=f"tenants/acme/people/p{number}", roles=[directorypb.ROLE_SALES_REP])
        for number in range(9_998)
    ]
    wanted = a_directory_message()
    wanted.people.extend(many)
    async with a_town(tmp_path) as town:
        applied = await town.stub.ApplyDirectory(an_apply(wanted), metadata=town.operator)

        assert len(applied.directory.people) == 10_000


async def test_a_token_works_at_once_and_is_shown_once(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        request_id = wallclock.new_uuid()

        made = await issued(town, request_id=request_id, display_name="laptop")
        again = await issued(town, request_id=request_id, display_name="laptop")
        own = await town.stub.GetDirectory(
            directorypb.GetDirectoryRequest(name="tenants/acme/directory"), metadata=metadata_of(made.bearer)
        )

        assert own.name == "tenants/acme/directory"
        assert again.token == made.token
        assert again.bearer == ""


async def test_no_table_and_no_event_holds_the_text_of_a_token(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        made = await issued(town)
        secret = made.bearer.rpartition("_")[2]

        with town.database.reading() as connection:
            rows = every_row(connection)
        everything = "\n".join(str(value) for row in rows for value in row)
        assert len(rows) > 20
        assert secret not in everything
        assert town.token("sla").rpartition("_")[2] not in everything


async def test_a_revoked_token_is_refused_at_once_by_the_directory_itself(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        made = await issued(town)
        revoke = directorypb.RevokeTokenRequest(name=made.token.name, request_id=wallclock.new_uuid())

        ended = await town.stub.RevokeToken(revoke, metadata=town.operator)
        revoke.request_id = wallclock.new_uuid()
        again = await town.stub.RevokeToken(revoke, metadata=town.operator)

        assert ended.HasField("revoke_time")
        assert again == ended
        assert events_in(town).count("TokenRevoked") == 1
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await town.stub.GetDirectory(
                directorypb.GetDirectoryRequest(name="tenants/acme/directory"),
                metadata=metadata_of(made.bearer),
            )
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_revoked_token_is_refused_within_five_seconds_by_a_server_that_follows_the_log(
    tmp_path: Path,
) -> None:
    async with a_town(tmp_path) as town, a_follower(town) as follower:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        made = await issued(town)

        await until(lambda: _judged(follower, made.bearer))
        caller = follower.judge(made.bearer)
        revoke = directorypb.RevokeTokenRequest(name=made.token.name, request_id=wallclock.new_uuid())
        await town.stub.RevokeToken(revoke, metadata=town.operator)

        await until(lambda: not _judged(follower, made.bearer), seconds=5)
        assert (caller.party, caller.tenant) == ("SALES", "acme")
        assert caller.teams == {"tenants/acme/teams/sales"}


async def test_whoever_is_ready_knows_every_token_made_before_it_began(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        made = [await issued(town) for _ in range(20)]
        # One event a transaction: in between the directory is loaded, and not whole.
        async with a_follower(town, batch_events=1) as follower:
            async with asyncio.timeout(10):
                while not await follower.ready():  # noqa: ASYNC110 -- readiness is asked, it tells nobody
                    await asyncio.sleep(0)

            assert all(_judged(follower, each.bearer) for each in made)


@pytest.mark.parametrize("leaver", ["tenants/acme/systems/form", "tenants/acme/people/moon"])
async def test_who_is_left_out_of_the_directory_is_refused_everywhere(tmp_path: Path, leaver: str) -> None:
    async with a_town(tmp_path) as town, a_follower(town) as follower:
        whole = a_directory_message()
        await town.stub.ApplyDirectory(an_apply(whole), metadata=town.operator)
        made = await issued(town, leaver)
        await until(lambda: _judged(follower, made.bearer))
        rest = a_directory_message(
            systems=[system for system in whole.systems if system.name != leaver],
            people=[person for person in whole.people if person.name != leaver],
        )

        await town.stub.ApplyDirectory(an_apply(rest), metadata=town.operator)

        await until(lambda: not _judged(follower, made.bearer))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await town.stub.GetDirectory(
                directorypb.GetDirectoryRequest(name="tenants/acme/directory"),
                metadata=metadata_of(made.bearer),
            )
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await issued(town, leaver)
        assert reason_of(unknown.value) == "PRINCIPAL_UNKNOWN"


async def test_both_services_mirror_the_same_directory(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town, a_follower(town) as follower:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        tokens = [await issued(town, parent) for parent in (KIM, "tenants/acme/systems/form")]
        with town.database.reading() as connection:
            _, head = reading.head(connection, "tenants/-")
        await follower.consumer.wait_until(head)
        await until(lambda: follower.authenticator.ready)

        own = town.keeper._authenticator
        for bearer in [*(made.bearer for made in tokens), town.token("operator"), town.token("reports")]:
            await until(lambda bearer=bearer: _judged(follower, bearer))
            assert follower.judge(bearer) == own.caller_of_header(f"Bearer {bearer}")


def _judged(follower, bearer: str) -> bool:
    try:
        return follower.judge(bearer) is not None
    except Refusal:
        return False


async def test_a_token_ends_by_itself(tmp_path: Path) -> None:
    clock = [datetime(2026, 3, 2, 9, tzinfo=UTC)]
    async with a_town(tmp_path, now=lambda: clock[0]) as town:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        made = await issued(town, lifetime_duration=Duration(seconds=60))
        get = directorypb.GetDirectoryRequest(name="tenants/acme/directory")

        clock[0] += timedelta(seconds=59)
        await town.stub.GetDirectory(get, metadata=metadata_of(made.bearer))
        clock[0] += timedelta(seconds=1)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await town.stub.GetDirectory(get, metadata=metadata_of(made.bearer))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_tokens_are_listed_newest_first_in_pages(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        await town.stub.ApplyDirectory(an_apply(), metadata=town.operator)
        made = [(await issued(town, display_name=str(number))).token.name for number in range(5)]
        request = directorypb.ListTokensRequest(parent=KIM, page_size=2)

        pages = []
        while True:
            page = await town.stub.ListTokens(request, metadata=town.operator)
            pages.append([token.name for token in page.tokens])
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break

        assert [name for page in pages for name in page] == sorted(made, reverse=True)
        assert [len(page) for page in pages] == [2, 2, 1]


async def test_a_rolled_back_change_does_not_stay_in_memory(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        before = await town.store.find("tenants/default")

        def spoil(tx, _now):
            directory = tx.directory("tenants/default")
            settings = replace(directory.settings, time_zone="Asia/Seoul")
            tx.save(directory, replace(directory, settings=settings), actor="x")
            assert tx.directory("tenants/default").settings.time_zone == "Asia/Seoul"
            raise RuntimeError("spoiled")

        with pytest.raises(RuntimeError, match="spoiled"):
            await town.store.run(spoil)
        assert await town.store.find("tenants/default") == before
        with town.database.reading() as connection:
            assert connection.execute(select(town.tables.directory.tenant.c.etag)).scalars().all()
