"""Who may call is known to every replica, whoever changed it and within whose call."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime

import pytest
from sqlalchemy import Connection, insert, update

from services.leads.rpc.tenant_servicer import follow_limits
from services.leads.store.directory import Directories, DirectoryStore
from services.leads.store.schema import SCHEMA
from services.sla.store.schema import directory_tables
from smarketing.eventlog.directory import DirectoryKeeper
from smarketing.server.admission import TenantLimits
from smarketing.server.auth import Authenticator, IssuedToken, PrincipalKind, issue_token
from smarketing.server.directory import Principal, PrincipalToken, put_principals, put_tokens, revoke_tokens
from smarketing.server.errors import Refusal
from smarketing.sql import Writer, open_database
from smarketing.sql.others import Others
from smarketing.sql.tenancy import confined
from tests.builders.stores import STORE_VARIABLE, Store, a_url
from tests.contract.store.conftest import Clock

TENANTS = ("acme", "globex")


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(STORE_VARIABLE, Store.POSTGRESQL)
    with a_url("services.sla.store.migrations") as url:
        yield url


async def hire(writer: Writer) -> dict[str, IssuedToken]:
    """Make a person of each tenant known, and return their tokens."""
    tokens = {tenant: issue_token() for tenant in TENANTS}

    def unit(connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
        for tenant, token in tokens.items():
            person = f"tenants/{tenant}/people/kim"
            one = Principal(tenant=tenant, principal=person, kind=PrincipalKind.PERSON, roles=frozenset())
            put_principals(directory_tables, connection, [one])
            given = PrincipalToken(
                tenant=tenant, token_id=token.token_id, principal=person, secret_hash=token.secret_hash
            )
            put_tokens(directory_tables, connection, [given])
        return requests

    await writer.run(unit, [None])
    return tokens


def is_known(authenticator: Authenticator, token: IssuedToken) -> bool:
    try:
        authenticator.caller_of_header(f"Bearer {token.text}")
    except Refusal:
        return False
    return True


async def test_a_quota_that_one_replica_changes_is_in_force_on_the_other_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(STORE_VARIABLE, Store.POSTGRESQL)
    tables = SCHEMA.directory.directory
    with (
        a_url("services.leads.store.migrations") as url,
        open_database(url) as mine,
        open_database(url) as theirs,
    ):
        async with Writer(mine, now=Clock()) as one, Writer(theirs, now=Clock()) as two:

            def bound(connection: Connection, calls: Sequence[int], _now: datetime) -> Sequence[int]:
                for each in calls:
                    connection.execute(update(tables.tenant).values(calls_per_second=each))
                return calls

            def settle(connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
                columns = {column.name: "" for column in tables.tenant.columns if not column.nullable}
                numbers = dict.fromkeys(
                    ("routing_version", "calls_per_second", "leads_per_day", "streams", "scoring_version"), 0
                )
                row = {**columns, **numbers, "identity": b"", "tenant": "acme"}
                connection.execute(insert(tables.tenant).values(**row))
                return requests

            await one.run(settle, [None])
            limits: dict[str, TenantLimits] = {}
            store = DirectoryStore(two, SCHEMA.directory, Directories(tables))
            following = follow_limits(store, limits, two, every_seconds=0.01)
            running = [asyncio.create_task(each) for each in (following, Others(two).run())]
            for calls in (7, 8):
                await one.run(bound, [calls])
                async with asyncio.timeout(5):
                    while limits.get("acme") != TenantLimits(calls_per_second=calls):  # noqa: ASYNC110 -- a replica sets no event of ours
                        await asyncio.sleep(0.02)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def test_a_change_within_one_tenants_call_makes_nobody_of_another_unknown(url: str) -> None:
    with open_database(url) as database:
        async with Writer(database, now=Clock()) as writer:
            tokens = await hire(writer)
            authenticator = Authenticator()
            with confined(frozenset({"acme"})):
                await DirectoryKeeper(directory_tables, writer, authenticator).load()

            assert all(is_known(authenticator, token) for token in tokens.values())


async def test_a_token_that_one_replica_revokes_is_refused_by_the_other_soon(url: str) -> None:
    with open_database(url) as mine, open_database(url) as theirs:
        async with Writer(mine, now=Clock()) as one, Writer(theirs, now=Clock()) as two:
            tokens = await hire(one)
            authenticator = Authenticator()
            keeper = DirectoryKeeper(directory_tables, two, authenticator)
            await keeper.load()
            running = [asyncio.create_task(each) for each in (keeper.run(), Others(two).run())]
            assert is_known(authenticator, tokens["acme"])

            def revoke(connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
                revoke_tokens(directory_tables, connection, [("acme", tokens["acme"].token_id)])
                return requests

            await one.run(revoke, [None])
            async with asyncio.timeout(5):
                while is_known(authenticator, tokens["acme"]):  # noqa: ASYNC110 -- a replica sets no event of ours
                    await asyncio.sleep(0.02)

            assert is_known(authenticator, tokens["globex"])
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
