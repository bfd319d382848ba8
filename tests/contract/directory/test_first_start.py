"""What a fresh install makes for itself, and what a start finds after a crash in the middle of it."""

import logging
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from services.leads.domain.directory import Directory
from services.leads.store.directory import DirectoryStore
from services.leads.usecases.bootstrap import bootstrap, token_file
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.eventlog import reading
from smarketing.server.auth import ANY_TENANT, PrincipalKind, Role
from smarketing.server.directory import load_directory
from smarketing.sql import open_database
from tests.contract.directory.town import a_town, metadata_of, open_store

SYSTEMS = ("operator", "leads", "sla", "reports")


@asynccontextmanager
async def an_install(data_dir: Path) -> AsyncIterator[DirectoryStore]:
    with open_database(f"sqlite:///{data_dir}/leads.db") as database:
        writer, _, store = open_store(database)
        async with writer:
            yield store


async def callers(store: DirectoryStore, data_dir: Path) -> dict[str, object]:
    """Return whom each token file proves, by the mirror."""
    tables, writer = store._tables, store._writer
    directory = await writer.read(lambda connection: load_directory(tables.mirror, connection))
    now = await store.run(lambda _tx, instant: instant)
    proved = {}
    for system in SYSTEMS:
        _, token_id, secret = token_file(data_dir, system).read_text().strip().split("_")
        proved[system] = directory.find(token_id, secret, now=now)
    return proved


async def head(store: DirectoryStore) -> int:
    return await store._writer.read(lambda connection: reading.head(connection, "tenants/-")[1])


class CrashBetween(DirectoryStore):
    """Dies after the token files were written and before the transaction."""

    async def run(self, change):
        if change.__code__.co_names[:1] == ("_carry_out",):
            raise KeyboardInterrupt
        return await super().run(change)


async def test_the_first_start_makes_working_tokens_for_the_operator_and_the_three_services(
    tmp_path: Path,
) -> None:
    async with an_install(tmp_path) as store:
        await bootstrap(store, tmp_path)
        proved = await callers(store, tmp_path)

        assert {system: (each.tenant, each.kind, each.roles) for system, each in proved.items()} == {
            "operator": (ANY_TENANT, PrincipalKind.SYSTEM, {Role.OPERATOR}),
            "leads": (ANY_TENANT, PrincipalKind.SERVICE, {Role.SERVICE}),
            "sla": (ANY_TENANT, PrincipalKind.SERVICE, {Role.SERVICE}),
            "reports": (ANY_TENANT, PrincipalKind.SERVICE, {Role.SERVICE}),
        }


async def test_the_tenant_default_starts_with_two_teams_one_queue_and_nobody(tmp_path: Path) -> None:
    async with an_install(tmp_path) as store:
        await bootstrap(store, tmp_path)
        directory = await store.find("tenants/default")

    assert isinstance(directory, Directory)
    assert directory.settings.time_zone == "UTC"
    assert [team.party.name for team in directory.teams] == ["MARKETING", "SALES"]
    assert directory.people == ()
    assert directory.routing.fallback_queue == directory.queues[0].name


async def test_the_offered_file_says_what_the_first_start_made(tmp_path: Path) -> None:
    file = Path(__file__).parents[3] / "deploy" / "default" / "directory.yaml"
    said = yaml.safe_load(file.read_text())
    async with an_install(tmp_path) as store:
        await bootstrap(store, tmp_path)
        directory = await store.find("tenants/default")

    prefix = "tenants/default"
    assert directory is not None
    assert [
        {
            "id": team.name.removeprefix(f"{prefix}/teams/"),
            "display_name": team.display_name,
            "party": team.party.lower(),
        }
        for team in directory.teams
    ] == said["teams"]
    assert [
        {
            "id": each.name.removeprefix(f"{prefix}/queues/"),
            "display_name": each.display_name,
            "team": "sales",
        }
        for each in directory.queues
    ] == said["queues"]
    assert (directory.settings.time_zone, directory.settings.currency_code) == (
        said["time_zone"],
        said["currency_code"],
    )
    assert directory.routing.offer_duration == timedelta(hours=1)
    assert said["routing"] == {
        "fallback_queue": "inbound",
        "offer_duration": "1h",
        "max_offers": 3,
        "rules": [],
    }


async def test_token_files_are_their_owners_alone_and_their_text_is_said_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with an_install(tmp_path) as store:
        await bootstrap(store, tmp_path)

    said = caplog.text + "".join(capsys.readouterr())
    for system in SYSTEMS:
        file = token_file(tmp_path, system)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().strip().rpartition("_")[2] not in said
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [each.suffix for each in file.parent.iterdir()] == [".token"] * 4


async def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    async with an_install(tmp_path) as store:
        await bootstrap(store, tmp_path)
        before = {system: token_file(tmp_path, system).read_text() for system in SYSTEMS}, await head(store)

        await bootstrap(store, tmp_path)

        assert before == (
            {system: token_file(tmp_path, system).read_text() for system in SYSTEMS},
            await head(store),
        )


async def test_after_a_crash_between_files_and_transaction_the_files_tokens_work(tmp_path: Path) -> None:
    async with an_install(tmp_path) as store:
        crashing = CrashBetween(store._writer, store._tables, store._directories)
        with pytest.raises(KeyboardInterrupt):
            await bootstrap(crashing, tmp_path)
        written = {system: token_file(tmp_path, system).read_text() for system in SYSTEMS}
        assert await store.find("tenants/default") is None

        await bootstrap(store, tmp_path)

        assert all((await callers(store, tmp_path)).values())
        assert written == {system: token_file(tmp_path, system).read_text() for system in SYSTEMS}


async def test_a_token_whose_file_is_lost_is_ended_and_replaced(tmp_path: Path) -> None:
    async with an_install(tmp_path) as store:
        await bootstrap(store, tmp_path)
        lost = token_file(tmp_path, "sla")
        before = lost.read_text()
        lost.unlink()

        await bootstrap(store, tmp_path)

        tokens = await store.tokens("tenants/-/systems/sla")
        assert [token.revoke_time is None for token in tokens] == [True, False]
        assert lost.read_text() != before
        assert all((await callers(store, tmp_path)).values())


async def test_a_peers_token_that_was_revoked_is_replaced_at_the_next_start(tmp_path: Path) -> None:
    async with an_install(tmp_path) as store:
        await bootstrap(store, tmp_path)
        [token] = await store.tokens("tenants/-/systems/reports")
        await store.run(
            lambda tx, now: tx.end_token(token.revoke(now=now), actor="tenants/-/systems/operator")
        )

        await bootstrap(store, tmp_path)

        assert all((await callers(store, tmp_path)).values())


async def test_a_spoiled_token_file_is_replaced(tmp_path: Path) -> None:
    async with an_install(tmp_path) as store:
        await bootstrap(store, tmp_path)
        token_file(tmp_path, "leads").write_bytes(b"\xff half a tok")

        await bootstrap(store, tmp_path)

        assert all((await callers(store, tmp_path)).values())


async def test_the_operators_own_tokens_outlive_the_loss_of_the_first_one(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        made = await town.stub.IssueToken(
            directorypb.IssueTokenRequest(
                parent="tenants/-/systems/operator",
                request_id="7d1f8a52-6f0e-4a56-9f5b-1b8f4a1d2c3e",
                display_name="vault",
            ),
            metadata=town.operator,
        )
        token_file(tmp_path, "operator").unlink()

        await bootstrap(town.store, tmp_path)
        await town.keeper.load()

        get = directorypb.GetDirectoryRequest(name="tenants/-/directory")
        for bearer in (made.bearer, town.token()):
            directory = await town.stub.GetDirectory(get, metadata=metadata_of(bearer))
            assert [system.name.rpartition("/")[2] for system in directory.systems] == sorted(SYSTEMS)
