"""Use cases as the writer runs them: at most once, audited, in one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection

from services.reports.store.database import SCHEMA
from smarketing.server.commands import Command, Done, run_commands
from smarketing.sql import Unit

__all__ = ["unit_of"]

Q = TypeVar("Q")
A = TypeVar("A")


def unit_of(
    use_case: Callable[[Any, Q], A | Exception], render: Callable[[A], Message]
) -> Unit[Command[Q], Done | Exception]:
    """Return the unit that runs commands with a use case; make it once, so that waiting callers share it."""

    def unit(connection: Connection, commands: Sequence[Command[Q]], now: datetime) -> list[Done | Exception]:
        return run_commands(
            SCHEMA.commands,
            connection,
            commands,
            now=now,
            use_case=lambda requests: [use_case(connection, request) for request in requests],
            render=render,
        )

    return unit
