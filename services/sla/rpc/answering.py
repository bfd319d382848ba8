"""What all parts of SlaService do alike: run one command, return one page, know what the caller may see."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from services.sla.domain.sight import Sight
from services.sla.rpc.policy import party_seen, sees_all, sees_groups
from services.sla.store.sights import groups_of_manager
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.sql import Connection, Writer

__all__ = ["Answering"]

M = TypeVar("M", bound=Message)
T = TypeVar("T")
_ONE_MORE: Final = 1


class Answering:
    """Holds the database and the page tokens."""

    def __init__(self, writer: Writer, pages: PageTokens, *, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._pages = pages
        self._now = now

    async def _run(self, unit: Any, request: Message, wanted: Any, message_type: type[M]) -> M:
        """Run one command, and return its answer or raise its refusal."""
        (outcome,) = await self._writer.run(unit, [Command(wanted, call_for(request))])
        return answer(outcome, message_type)

    async def _page(
        self,
        request: Message,
        find: Callable[[Connection, int, Any], list[T]],
        key: Callable[[T], Sequence[str | int]],
    ) -> tuple[list[T], str]:
        """Return one page of a list, and the token of the next; empty on the last."""
        size = page_size_of(request)
        after = self._pages.read(request)
        found = await self._writer.read(lambda connection: find(connection, size + _ONE_MORE, after))
        page = found[:size]
        return page, self._pages.issue(request, key(page[-1])) if len(found) > size else ""

    async def _sight(self, tenant: str) -> Sight | None:
        """Return what the caller may see of a tenant's clocks and alerts; None for all of them."""
        caller = current_call().caller
        if sees_all(caller):
            return None
        groups: frozenset[str] = frozenset()
        if sees_groups(caller):
            managed = await self._writer.read(
                lambda connection: groups_of_manager(connection, tenant, caller.actor)
            )
            groups = managed | caller.teams
        return Sight(person=caller.actor, groups=groups, party=party_seen(caller))
