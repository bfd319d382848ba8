"""Rows that a fold remembers are those of the database, whatever became of the transaction they came from."""

from typing import Any

import pytest
from sqlalchemy import select

from services.reports.consumers.lead_events import LeadEvents
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from tests.builders.long_log import batches_of, long_log
from tests.builders.reports import MONDAY, Ledger, a_ledger


def _apply(ledger: Ledger, fold: LeadEvents, events: list[eventlogpb.Event], *, fail: bool = False) -> None:
    with ledger.database.writer_engine.begin() as connection:
        fold.apply(connection, events, MONDAY)
        if fail:
            raise OSError("the disk is full")


def _a_fold(ledger: Ledger) -> LeadEvents:
    return LeadEvents(ledger.model, lambda _connection, _events: None)


def _content(batches: list[list[Any]], *, failing: bool) -> dict[str, list[tuple[Any, ...]]]:
    with a_ledger() as ledger:
        fold = _a_fold(ledger)
        for batch in batches:
            if failing:
                with pytest.raises(OSError, match="full"):
                    _apply(ledger, fold, batch, fail=True)
            _apply(ledger, fold, batch)
        return ledger.content()


def test_a_transaction_that_was_rolled_back_leaves_nothing_behind() -> None:
    batches = list(batches_of(long_log(600), 60))

    assert _content(batches, failing=True) == _content(batches, failing=False)


def test_what_another_process_folded_in_the_meantime_is_read_anew() -> None:
    batches = list(batches_of(long_log(600), 60))
    with a_ledger() as ledger:
        two = (_a_fold(ledger), _a_fold(ledger))
        for turn, batch in enumerate(batches):
            _apply(ledger, two[turn % 2], batch)
        by_turns = ledger.content()

    assert by_turns == _content(batches, failing=False)


def test_a_handoff_touched_again_is_not_read_again() -> None:
    with a_ledger() as ledger:
        fold, fact = _a_fold(ledger), ledger.tables.handoff_fact
        first, second = list(batches_of(long_log(200), 100))
        _apply(ledger, fold, first)
        with ledger.database.writer_engine.begin() as connection:
            connection.execute(fact.delete())
        _apply(ledger, fold, second)
        with ledger.database.reading() as connection:
            written = len(connection.execute(select(fact.c.handoff)).all())

    assert written > 0
