"""What SQLite and PostgreSQL both know under different names."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from smarketing.sql.types import BigInt

__all__ = ["holds_bytes", "in_micros"]


class _HoldsBytes(GenericFunction[bool]):
    """Whether bytes occur within bytes."""

    name: Final = "holds_bytes"
    inherit_cache = True
    type = Boolean()


@compiles(_HoldsBytes)
def _on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **options)}) > 0)"


@compiles(_HoldsBytes, "postgresql")
def _on_postgres(element: Any, compiler: Any, **options: Any) -> str:
    # Spelt with its schema: the bare word is a keyword with a grammar of its own.
    return f"(pg_catalog.position({compiler.process(element.clauses, **options)}) > 0)"


def holds_bytes(whole: ColumnElement[bytes], part: bytes) -> ColumnElement[bool]:
    """Return the condition that `part` occurs within the value of the column."""
    return _HoldsBytes(whole, part)


class _InMicros(GenericFunction[int]):
    """An instant as the microseconds since 1970, exactly."""

    name: Final = "in_micros"
    inherit_cache = True
    type = BigInt


@compiles(_InMicros)
def _micros_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(_InMicros, "postgresql")
def _micros_on_postgres(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST(extract(epoch FROM {compiler.process(element.clauses, **options)}) * 1000000 AS BIGINT)"


def in_micros(instant: ColumnElement[datetime]) -> ColumnElement[int]:
    """Return the instant of a `UtcMicros` column as a number to calculate with."""
    return _InMicros(instant)
