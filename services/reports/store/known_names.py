"""Says whether the teams and people that inputs name are in the directory."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from services.reports.domain.inputs import InputEntry
from smarketing.server.directory import DirectoryTables

__all__ = ["KnownNames"]


class KnownNames:
    """Reads inside the caller's transaction."""

    def __init__(self, directory: DirectoryTables) -> None:
        self._directory = directory

    def unknown(self, connection: Connection, entries: Sequence[InputEntry]) -> list[str]:
        """Return for each entry the field that names a stranger, `team` or `person`; empty where none does.

        What takes something back may name whoever is gone by now.
        """
        told = [entry for entry in entries if not entry.withdrawn]
        teams = self._teams(connection, {(entry.tenant, entry.team) for entry in told if entry.team})
        people = self._people(connection, {(entry.tenant, entry.person) for entry in told if entry.person})
        return [_stranger(entry, teams, people) for entry in entries]

    def _teams(self, connection: Connection, asked: set[tuple[str, str]]) -> set[tuple[str, str]]:
        team = self._directory.team
        query = select(team.c.tenant, team.c.team).where(
            team.c.tenant.in_(sorted({_own(tenant) for tenant, _ in asked})),
            team.c.team.in_(sorted({name for _, name in asked})),
        )
        return {(f"tenants/{tenant}", name) for tenant, name in connection.execute(query)} if asked else set()

    def _people(self, connection: Connection, asked: set[tuple[str, str]]) -> set[tuple[str, str]]:
        principal = self._directory.principal
        query = select(principal.c.tenant, principal.c.principal).where(
            principal.c.tenant.in_(sorted({_own(tenant) for tenant, _ in asked})),
            principal.c.principal.in_(sorted({name for _, name in asked})),
        )
        return {(f"tenants/{tenant}", name) for tenant, name in connection.execute(query)} if asked else set()


def _own(tenant: str) -> str:
    return tenant.removeprefix("tenants/")


def _stranger(entry: InputEntry, teams: set[tuple[str, str]], people: set[tuple[str, str]]) -> str:
    if entry.withdrawn:
        return ""
    if entry.team and (entry.tenant, entry.team) not in teams:
        return "team"
    if entry.person and ((entry.tenant, entry.person) not in people or "/people/" not in entry.person):
        return "person"
    return ""
