"""The key that wraps the keys of leads is replaced: all opens as before, and the former key opens nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import insert, select

from services.leads.__main__ import main
from services.leads.store.key_ring import load_keys
from services.leads.store.old_copies import copies_in_file
from services.leads.store.rotation import _TABLES, RotationUnfinished, rotate
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.sql import open_database
from smarketing.sql.engine import Database, sqlite_driver
from tests.contract.leads.office import FORM, TENANT, a_submit, an_office

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
LEADS = 10
ERASED = "lead-04"
PERSON, ASIDE = SCHEMA.leads.lead_person, SCHEMA.intake.set_aside


class Killed(Exception):
    """The process ends here."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give a database with ten leads, one of them erased, and two webhooks set aside."""
    sealer = Sealer(load_keys(tmp_path / "master.key"))
    with open_database(f"sqlite:///{tmp_path / 'leads.db'}") as opened:
        with opened.writer_engine.begin() as connection:
            SCHEMA.metadata.create_all(connection)
            for number in range(LEADS):
                lead = f"lead-{number:02}"
                wrapped, sealed = sealer.seal(lead.encode(), bound_to=f"acme/{lead}")
                row = {"tenant": "acme", "lead": lead, "version": 1, "create_time": NOW}
                if lead != ERASED:
                    row |= {"wrapped_key": wrapped, "sealed_contact": sealed}
                connection.execute(insert(PERSON).values(**row))
            for item in ("one", "two"):
                wrapped, sealed = sealer.seal(item.encode(), bound_to=f"acme/source/{item}")
                row = {"tenant": "acme", "source": "source", "item": item, "type": "", "reason": ""}
                row |= {"description": "", "create_time": NOW, "attempts": 0}
                connection.execute(insert(ASIDE).values(**row, wrapped_key=wrapped, sealed_body=sealed))
        yield opened


def opened_by(database: Database, sealer: Sealer) -> list[str]:
    """Return all that the keys open; raises when there is something that they do not."""
    with database.reading() as connection:
        person = PERSON.c
        people = connection.execute(select(person.lead, person.wrapped_key, person.sealed_contact)).all()
        asides = connection.execute(select(ASIDE.c.item, ASIDE.c.wrapped_key, ASIDE.c.sealed_body)).all()
    found = [(f"acme/{lead}", key, sealed) for lead, key, sealed in people if key is not None]
    found += [(f"acme/source/{item}", key, sealed) for item, key, sealed in asides]
    return [sealer.unseal(bytes(key), bytes(sealed), bound_to=bound).decode() for bound, key, sealed in found]


def test_everything_opens_with_the_new_key_and_nothing_with_the_former(
    database: Database, tmp_path: Path
) -> None:
    keys, file = tmp_path / "master.key", tmp_path / "leads.db"
    former = Sealer(load_keys(keys))
    before = opened_by(database, former)
    old_copies = _wrapped(database)
    digest = former.match_digest("acme", "email", "kim@example.com")

    assert rotate(database, keys, copies_in_file(file), at_once=3) == LEADS - 1 + 2
    present = Sealer(load_keys(keys))
    assert opened_by(database, present) == before
    assert present.match_digest("acme", "email", "kim@example.com") == digest
    assert len(load_keys(keys).wrapping) == 1
    with pytest.raises(InvalidTag):
        opened_by(database, former)
    # Nor does the file keep what the former key still could open.
    files = [each.read_bytes() for each in tmp_path.glob("leads.db*")]
    assert not any(copy in each for copy in old_copies for each in files)


def test_a_first_key_that_chance_began_with_a_brace_is_read_as_the_key_it_is(tmp_path: Path) -> None:
    keys = tmp_path / "master.key"
    keys.write_bytes(b"{" + bytes(range(0xE0, 0xFF)))
    sealer = Sealer(load_keys(keys))

    key = sealer.new_key("default/lead")
    again = Sealer(load_keys(keys)).open_key(key.wrapped, "default/lead")

    assert again.unseal(key.seal(b"Ada")) == b"Ada"


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_rotation_that_was_killed_is_gone_on_with(database: Database, tmp_path: Path, steps: int) -> None:
    keys, file = tmp_path / "master.key", tmp_path / "leads.db"
    before = opened_by(database, Sealer(load_keys(keys)))
    reports = iter(range(1, 100))

    def die(_: int) -> None:
        if next(reports) == steps:
            raise Killed

    with pytest.raises(Killed):
        rotate(database, keys, copies_in_file(file), at_once=3, progressed=die)
    half_way = load_keys(keys)
    # The service works with both keys, and what it takes in meanwhile is wrapped with the new one.
    assert opened_by(database, Sealer(half_way)) == before
    left = rotate(database, keys, copies_in_file(file), at_once=3)

    assert 0 <= left < LEADS + 1
    after = load_keys(keys)
    assert (after.number, len(after.wrapping)) == (half_way.number, 1)
    assert opened_by(database, Sealer(after)) == before


def test_the_former_key_is_kept_as_long_as_the_file_may_hold_what_it_opens(
    database: Database, tmp_path: Path
) -> None:
    keys, file = tmp_path / "master.key", tmp_path / "leads.db"
    with closing(sqlite_driver().connect(str(file), isolation_level=None)) as reader:
        reader.execute("BEGIN").close()
        reader.execute("SELECT count(*) FROM lead_person").fetchall()
        with pytest.raises(RotationUnfinished):
            rotate(database, keys, copies_in_file(file))
        assert load_keys(keys).is_rotating
        reader.execute("COMMIT").close()

    assert rotate(database, keys, copies_in_file(file)) == 0
    assert not load_keys(keys).is_rotating


def test_keys_are_for_their_owner_alone_and_half_a_file_is_none(database: Database, tmp_path: Path) -> None:
    keys = tmp_path / "master.key"
    for _ in range(3):
        rotate(database, keys, copies_in_file(tmp_path / "leads.db"))

    assert (keys.stat().st_mode & 0o777, load_keys(keys).number) == (0o600, 4)
    keys.write_bytes(keys.read_bytes()[:-20])
    with pytest.raises(ValueError, match="holds no keys"):
        load_keys(keys)


async def test_the_command_rotates_a_stopped_service_which_goes_on_with_its_people(tmp_path: Path) -> None:
    environ = {"SMARKETING_DATA_DIR": str(tmp_path)}
    async with an_office(tmp_path, database_url="") as office:
        handoff = await office.submit(1)
        assert await asyncio.to_thread(main, ["rotate-key"], environ) == 1  # it runs
        assert not load_keys(tmp_path / "master.key").is_rotating
    assert await asyncio.to_thread(main, ["rotate-key"], environ) == 0
    assert await asyncio.to_thread(main, ["rotate"], environ) == 2

    async with an_office(tmp_path, database_url="") as office:
        name = handoff.name.partition("/handoffs/")[0]
        who = office.of(handoff.offer.assignee)
        lead = await office.stub.GetLead(leadspb.GetLeadRequest(name=name), metadata=who)
        again = await office.stub.SubmitLead(a_submit(1), metadata=office.of(FORM))
        assert lead.contact.email == "kim1@example.com"
        assert again.outcome == leadspb.SubmitLeadResponse.OUTCOME_DUPLICATE
        assert again.handoff.name.startswith(TENANT)


def _wrapped(database: Database) -> list[bytes]:
    with database.reading() as connection:
        return [
            bytes(key)
            for table in (PERSON, ASIDE)
            for key in connection.execute(select(table.c.wrapped_key)).scalars()
            if key is not None
        ]


def test_every_table_with_a_wrapped_key_is_wrapped_anew() -> None:
    wrapped = {table.name for table in SCHEMA.metadata.sorted_tables if "wrapped_key" in table.c}

    assert wrapped == {each.table.name for each in _TABLES}
