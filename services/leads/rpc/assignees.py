"""Whose offers are meant: people, queues, and teams with everybody and every queue in them."""

from collections.abc import Iterable

from services.leads.domain.directory import Directory
from services.leads.domain.errors import AssigneeUnknown, TenantUnknown
from services.leads.store.directory import DirectoryStore
from smarketing.server.auth import Caller


class Assignees:
    """Knows, from the directory, who is in a team."""

    def __init__(self, directories: DirectoryStore) -> None:
        self._directories = directories

    async def of(self, tenant: str, wanted: Iterable[str]) -> frozenset[str]:
        """Return the people and queues that these names mean.

        Raises:
            TenantUnknown, AssigneeUnknown: there is no such tenant, or nobody of that name.
        """
        directory = await self._directories.find(f"tenants/{tenant}")
        if directory is None:
            raise TenantUnknown(f"tenants/{tenant}")
        return frozenset(name for each in wanted for name in _meant(directory, each))

    async def around(self, caller: Caller) -> frozenset[str]:
        """Return the caller, the people of their teams, and the queues that these take from."""
        directory = await self._directories.find(f"tenants/{caller.tenant}")
        if directory is None:
            return frozenset()
        people = {person.name for team in caller.teams for person in directory.members_of(team)}
        queues = {
            queue.name
            for queue in directory.queues
            if not caller.teams.isdisjoint(directory.teams_below(queue.team))
        }
        return frozenset({caller.principal} | people | queues)


def _meant(directory: Directory, name: str) -> list[str]:
    if directory.person(name) is not None or directory.queue(name) is not None:
        return [name]
    if directory.team(name) is None:
        raise AssigneeUnknown("assignees", "people, queues or teams of the directory")
    teams = directory.teams_below(name)
    people = [person.name for team in teams for person in directory.members_of(team)]
    return people + [queue.name for queue in directory.queues if queue.team in teams]
