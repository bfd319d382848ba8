"""What is kept of agreements and calendars is what is in the database, whatever was rolled back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from services.sla.domain.agreement import Party
from services.sla.domain.terms import Terms
from services.sla.store.tx import SlaTx
from services.sla.usecases.agreements import Propose, propose
from services.sla.usecases.calendars import MakeCalendar, make_calendars
from smarketing.businesstime import Calendar
from tests.builders.sla_engine import MONDAY_NINE, SALES_MANAGER, TENANT, Engine, a_promise, hours, some_terms

VERSION = f"{TENANT}/agreements/main/versions/1"


@contextmanager
def giving_up(engine: Engine) -> Iterator[SlaTx]:
    """Give a transaction that is rolled back in the end."""
    with engine.database.writer_engine.connect() as connection, connection.begin() as transaction:
        yield SlaTx(connection, engine.archive, now=engine.now)
        transaction.rollback()


@pytest.fixture
def engine() -> Engine:
    return Engine()


def propose_and_give_up(engine: Engine, terms: Terms) -> None:
    """Look at a version within the transaction that makes it, and roll that back."""
    wanted = Propose(
        tenant="default", agreement="main", terms=terms, principal=SALES_MANAGER, parties=(Party.SALES,)
    )
    with giving_up(engine) as tx:
        propose(tx, [wanted], now=engine.now)
        assert tx.measure(VERSION).terms.promises[0].targets[0].amount == hours(1)


def test_terms_of_a_transaction_that_was_rolled_back_decide_no_clock(engine: Engine) -> None:
    propose_and_give_up(engine, some_terms(a_promise(target=1)))
    # At the same instant another version gets the same name.
    assert engine.agree(some_terms(a_promise(target=4))) == VERSION
    engine.submit()
    engine.assign()

    assert engine.clock().due_time == MONDAY_NINE + timedelta(hours=4)


def test_terms_that_were_rolled_back_and_not_made_again_are_not_there(engine: Engine) -> None:
    propose_and_give_up(engine, some_terms(a_promise(target=1)))

    with engine.database.reading() as connection, pytest.raises(Exception, match="No row was found"):
        engine.archive.measure(connection, VERSION)


def test_a_calendar_of_a_transaction_that_was_rolled_back_opens_nothing(engine: Engine) -> None:
    name = f"{TENANT}/calendars/office/versions/2"
    afternoons = Calendar.of("Asia/Seoul", {"mon": [["13:00", "18:00"]]})
    wanted = MakeCalendar(
        tenant="default", id="office", title="Office", calendar=afternoons, actor=SALES_MANAGER
    )
    with giving_up(engine) as tx:
        make_calendars(tx, [wanted], now=engine.now)
        assert tx.calendar("default", name) is not None
    assert engine.make_calendar(Calendar.of("Asia/Seoul", {"mon": [["09:00", "18:00"]]})) == name
    engine.agree(some_terms(a_promise(target=1), calendar_version=name))
    engine.submit()
    engine.assign()

    assert engine.clock().due_time == MONDAY_NINE + timedelta(hours=1)


def test_what_did_not_change_is_compiled_once(engine: Engine) -> None:
    version = engine.agree()
    with engine.database.reading() as connection:
        first = engine.archive.measure(connection, version)
    with engine.database.reading() as connection:
        assert engine.archive.measure(connection, version) is first
