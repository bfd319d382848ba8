"""The mirror of the directory decides who calls, and the audit service shows what they did."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import grpc
import pytest
from sqlalchemy import MetaData, update

from smarketing.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smarketing.server.admission import Admission
from smarketing.server.audit import AuditEntry, AuditOutcome, append_entries, define_audit
from smarketing.server.audit_servicer import AUDIT_POLICY, AuditServicer
from smarketing.server.auth import Authenticator, PrincipalKind, Role, issue_token
from smarketing.server.bootstrap import Servicer, start_server
from smarketing.server.directory import (
    Principal,
    PrincipalToken,
    Team,
    define_directory,
    load_directory,
    put_principals,
    put_teams,
    put_tokens,
    revoke_tokens,
)
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.paging import PageTokens
from smarketing.server.settings import ServerConfig
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Validator
from smarketing.sql.engine import Database
from smarketing.sql.writer import Writer
from tests.builders.engines import engine
from tests.contract.server.echo import told

pytestmark = pytest.mark.usefixtures("each_engine")

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ADA = Principal(
    tenant="default",
    principal="tenants/default/people/ada",
    kind=PrincipalKind.PERSON,
    roles=frozenset({Role.AUDITOR}),
    party="SALES",
    teams=frozenset({"tenants/default/teams/north", "tenants/default/teams/south"}),
)


@asynccontextmanager
async def auditing():
    database, metadata = Database.in_memory(), MetaData()
    audit, directory = define_audit(metadata), define_directory(metadata)
    metadata.create_all(database.writer_engine)
    authenticator, draining = Authenticator(now=lambda: NOW), Draining()
    async with Writer(database, now=lambda: NOW) as writer:

        async def write(*changes):
            await writer.run(
                lambda connection, requests, _now: [change(connection) for change in requests], changes
            )
            authenticator.replace_directory(
                await writer.read(lambda connection: load_directory(directory, connection))
            )

        edge = Edge(
            authenticator=authenticator,
            admission=Admission(),
            telemetry=Telemetry(),
            draining=draining,
            validator=Validator(),
        )
        running = await start_server(
            ServerConfig(grpc_engine=engine()),
            edge=edge,
            draining=draining,
            policy=AUDIT_POLICY,
            servicers=[
                Servicer(
                    audit_pb2_grpc.add_AuditServiceServicer_to_server,
                    AuditServicer(audit, writer, PageTokens(b"k" * 32)),
                )
            ],
        )
        async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
            stub = audit_pb2_grpc.AuditServiceStub(channel)
            yield SimpleNamespace(stub=stub, write=write, audit=audit, directory=directory)
        await running.drain()
    database.close()


def putting(rig, *principals, tokens=()):
    def change(connection):
        put_principals(rig.directory, connection, principals)
        put_tokens(rig.directory, connection, tokens)

    return change


def a_token_of(principal, issued, **fields):
    return PrincipalToken(
        tenant=principal.tenant,
        token_id=issued.token_id,
        principal=principal.principal,
        secret_hash=issued.secret_hash,
        **fields,
    )


async def verify(rig, issued, parent="tenants/default"):
    return await rig.stub.VerifyAudit(
        audit_pb2.VerifyAuditRequest(parent=parent),
        metadata=(("authorization", f"Bearer {issued.text}"),),
        timeout=5,
    )


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return told(caught.value).reason


async def test_a_token_lets_in_from_the_commit_that_brings_it_to_the_one_that_revokes_it():
    issued = issue_token()
    async with auditing() as rig:
        await rig.write(putting(rig, ADA))
        assert await refused(verify(rig, issued)) == "CREDENTIALS_INVALID"

        await rig.write(putting(rig, tokens=[a_token_of(ADA, issued)]))
        assert (await verify(rig, issued)).intact

        await rig.write(
            lambda connection: revoke_tokens(rig.directory, connection, [("default", issued.token_id)])
        )
        assert await refused(verify(rig, issued)) == "CREDENTIALS_INVALID"


async def test_a_token_ends_at_its_expiry_and_with_its_principal():
    expired, living = issue_token(), issue_token()
    tokens = [a_token_of(ADA, expired, expire_time=NOW)]
    tokens.append(a_token_of(ADA, living, expire_time=NOW + timedelta(microseconds=1)))
    async with auditing() as rig:
        await rig.write(putting(rig, ADA, tokens=tokens))
        assert await refused(verify(rig, expired)) == "CREDENTIALS_INVALID"
        assert (await verify(rig, living)).intact

        await rig.write(putting(rig, replace(ADA, active=False)))
        assert await refused(verify(rig, living)) == "CREDENTIALS_INVALID"


async def test_a_role_taken_away_is_gone_at_the_next_call():
    issued = issue_token()
    async with auditing() as rig:
        await rig.write(putting(rig, ADA, tokens=[a_token_of(ADA, issued)]))
        await verify(rig, issued)
        await rig.write(putting(rig, replace(ADA, roles=frozenset({Role.SALES_REP}))))

        assert await refused(verify(rig, issued)) == "PERMISSION_DENIED"


async def test_the_same_token_id_in_two_tenants_is_two_tokens():
    first, second = issue_token(), issue_token()
    eve = replace(ADA, tenant="other", principal="tenants/other/people/eve")
    twin = replace(a_token_of(eve, second), token_id=first.token_id)
    async with auditing() as rig:
        await rig.write(putting(rig, ADA, eve, tokens=[a_token_of(ADA, first), twin]))
        of_eve = replace(second, text=f"smk_{first.token_id}_{second.text.split('_')[2]}")

        assert (await verify(rig, first)).intact
        assert (await verify(rig, of_eve, "tenants/other")).intact
        assert await refused(verify(rig, first, "tenants/other")) == "PERMISSION_DENIED"


async def test_a_snapshot_carries_everything_a_decision_may_look_at():
    issued = issue_token()
    async with auditing() as rig:
        found = []

        def look(connection):
            put_principals(rig.directory, connection, [ADA])
            put_tokens(rig.directory, connection, [a_token_of(ADA, issued)])
            team = Team(tenant="default", team="tenants/default/teams/north", party="SALES")
            put_teams(rig.directory, connection, [team, replace(team, manager=ADA.principal)])
            secret = issued.text.split("_")[2]
            found.append(load_directory(rig.directory, connection).find(issued.token_id, secret, now=NOW))

        await rig.write(look)
        (caller,) = found

        assert (caller.principal, caller.tenant, caller.kind, caller.roles, caller.party, caller.teams) == (
            ADA.principal,
            "default",
            PrincipalKind.PERSON,
            ADA.roles,
            "SALES",
            ADA.teams,
        )
        assert caller.token_id == issued.token_id


def appending(rig, count, tenant="default"):
    entries = [
        AuditEntry(
            tenant=tenant,
            principal=f"tenants/{tenant}/people/p{n % 2}",
            on_behalf_of="",
            method="/S/Say",
            resource=f"tenants/{tenant}/leads/l{n}",
            outcome=AuditOutcome.DENIED if n % 3 == 0 else AuditOutcome.APPLIED,
            reason="",
            request_id="",
        )
        for n in range(1, count + 1)
    ]
    return lambda connection: append_entries(rig.audit, connection, entries, now=NOW)


async def list_all(rig, issued, **fields):
    sequences, token = [], ""
    while True:
        page = await rig.stub.ListAuditEntries(
            audit_pb2.ListAuditEntriesRequest(parent="tenants/default", page_token=token, **fields),
            metadata=(("authorization", f"Bearer {issued.text}"),),
            timeout=5,
        )
        assert len(page.audit_entries) <= (fields.get("page_size") or 50)
        sequences += [entry.sequence for entry in page.audit_entries]
        token = page.next_page_token
        if not token:
            return sequences


async def test_the_trail_is_listed_newest_first_in_pages_filtered_and_of_one_tenant_only():
    issued = issue_token()
    async with auditing() as rig:
        await rig.write(
            putting(rig, ADA, tokens=[a_token_of(ADA, issued)]),
            appending(rig, 10),
            appending(rig, 3, "other"),
        )

        assert await list_all(rig, issued, page_size=4) == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
        assert await list_all(rig, issued, page_size=5) == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
        assert await list_all(rig, issued, outcome=audit_pb2.AuditEntry.OUTCOME_DENIED) == [9, 6, 3]
        assert await list_all(rig, issued, page_size=1, principal="tenants/default/people/p0") == [
            10,
            8,
            6,
            4,
            2,
        ]


async def test_verification_says_where_the_trail_was_touched():
    issued = issue_token()
    async with auditing() as rig:
        await rig.write(putting(rig, ADA, tokens=[a_token_of(ADA, issued)]), appending(rig, 5))
        whole = await verify(rig, issued)
        entry = rig.audit.entry
        await rig.write(
            lambda connection: (
                connection.execute(update(entry).where(entry.c.sequence == 4).values(reason="x")) and None
            )
        )
        touched = await verify(rig, issued)

        assert (whole.intact, whole.entries_checked, whole.HasField("first_broken_sequence")) == (
            True,
            5,
            False,
        )
        assert (touched.intact, touched.entries_checked, touched.first_broken_sequence) == (False, 3, 4)
