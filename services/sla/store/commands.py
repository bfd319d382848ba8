"""Use cases as the writer runs them: at most once, audited, with their events, in one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection

from services.sla.store.archive import Archive
from services.sla.store.schema import command_tables
from services.sla.store.tx import SlaTx
from smarketing.server.commands import Command, Done, run_commands
from smarketing.sql import Unit

Q = TypeVar("Q")
A = TypeVar("A")


def unit_of(
    archive: Archive,
    use_case: Callable[..., Sequence[A | Exception]],
    render: Callable[[A], Message],
    reason_of: Callable[[Exception], str],
) -> Unit[Command[Q], Done | Exception]:
    """Return the unit that runs commands with a use case; make it once, so that waiting callers share it."""

    def unit(connection: Connection, commands: Sequence[Command[Q]], now: datetime) -> list[Done | Exception]:
        tx = SlaTx(connection, archive, now=now)
        outcomes = run_commands(
            command_tables,
            connection,
            commands,
            now=now,
            use_case=lambda requests: use_case(tx, requests, now=now),
            render=render,
            reason_of=reason_of,
        )
        tx.flush()
        return outcomes

    return unit
