"""Whose rows a transaction may touch: on PostgreSQL the database itself refuses it all others.

The first wall are our statements, each of which names its tenant. This is the second: every table with
a tenant has a policy that compares it with a setting of the transaction. What answers a call is confined
to the caller's tenant; what answers nobody's call, such as sweeps and consumers, serves every tenant.
A session that says nothing sees nothing. SQLite knows no such wall.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeAlias

from sqlalchemy import Connection

Scope: TypeAlias = frozenset[str] | None
"""Ids of tenants; None is every tenant."""

INSTALLATION: Final = "-"
"""The tenant of those who stand above tenants."""

_SETTING: Final = "smarketing.tenants"
_EVERY: Final = "*"

_scope: ContextVar[Scope] = ContextVar("smarketing_tenants", default=None)

# Both ways of naming a tenant are in the setting: by id, and by the resource's name.
_OWN: Final = f"""
    CASE current_setting('{_SETTING}', true)
    WHEN '{_EVERY}' THEN true
    ELSE tenant = ANY (nullif(current_setting('{_SETTING}', true), '')::text[]) END
"""
_UNPROTECTED: Final = """
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant'
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND NOT a.attisdropped AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
    ORDER BY c.relname
"""


def current_scope() -> Scope:
    """Return whose rows this task may touch."""
    return _scope.get()


def confine_to(tenant: str) -> None:
    """Confine this task, and every task it starts, to the rows of one tenant; `-` stands above tenants."""
    _scope.set(None if tenant == INSTALLATION else frozenset({tenant}))


@contextmanager
def confined(scope: Scope) -> Iterator[None]:
    """Confine what happens meanwhile, on this thread, to the rows of these tenants."""
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def together(scopes: Iterable[Scope]) -> Scope:
    """Return the scope of work that is done in one statement for all of these."""
    tenants: set[str] = set()
    for scope in scopes:
        if scope is None:
            return None
        tenants |= scope
    return frozenset(tenants)


def confining_statement() -> str:
    """Return the statement that confines the transaction in hand to the scope of the moment."""
    scope = current_scope()
    if scope is None:
        told = _EVERY
    else:
        spelt = (name for tenant in sorted(scope) for name in (tenant, f"tenants/{tenant}"))
        told = "{" + ",".join(f'"{_escaped(name)}"' for name in spelt) + "}"
    return f"SELECT set_config('{_SETTING}', '{told.replace(chr(39), chr(39) * 2)}', true)"


def protect(connection: Connection) -> None:
    """Raise the wall around every table with a tenant that has none yet; the owner stands outside too."""
    for name in connection.exec_driver_sql(_UNPROTECTED).scalars().all():
        connection.exec_driver_sql(
            f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'
        )
        connection.exec_driver_sql(f'CREATE POLICY own_tenant ON "{name}" USING ({_OWN})')


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
