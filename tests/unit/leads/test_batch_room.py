"""Batches of streams at the writer: three at once, tenants in turn, each within its quota."""

import asyncio
from collections.abc import Callable

import pytest

from services.leads.rpc.batch_room import BatchRoom


class Visits:
    """Batches that stay inside until they are let go; who came in, in order."""

    def __init__(self, spend: Callable[[str, int], float] = lambda _tenant, _items: 0.0) -> None:
        self.room = BatchRoom(spend)
        self.inside: list[str] = []
        self.came: list[str] = []
        self._go: dict[str, asyncio.Event] = {}

    def begin(self, tenant: str, name: str, items: int = 1) -> asyncio.Task[None]:
        self._go[name] = asyncio.Event()
        return asyncio.ensure_future(self._visit(tenant, name, items))

    async def let_go(self, name: str) -> None:
        self._go[name].set()
        await settled()

    async def _visit(self, tenant: str, name: str, items: int) -> None:
        async with self.room.place(tenant, items):
            self.came.append(name)
            self.inside.append(name)
            await self._go[name].wait()
        self.inside.remove(name)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_another_tenants_batch_waits_for_one_place_and_not_behind_a_whole_import() -> None:
    visits = Visits()
    running = [visits.begin("busy", f"busy-{number}") for number in range(40)]
    await settled()
    running.append(visits.begin("quiet", "quiet"))
    await settled()
    assert visits.inside == ["busy-0", "busy-1", "busy-2"]
    for each in ("busy-0", "busy-1"):
        await visits.let_go(each)

    assert visits.inside == ["busy-2", "busy-3", "quiet"]
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_tenants_own_batches_go_in_their_order_and_all_of_them_go() -> None:
    visits = Visits()
    running = [visits.begin("busy", str(number)) for number in range(10)]
    for number in range(10):
        await visits.let_go(str(number))

    await asyncio.wait_for(asyncio.gather(*running), 5)
    assert visits.came == [str(number) for number in range(10)]


@pytest.mark.parametrize("handed_over", [False, True])
async def test_who_gives_up_waiting_costs_nobody_a_place(handed_over: bool) -> None:
    visits = Visits()
    running = [visits.begin("busy", str(number)) for number in range(5)]
    await settled()
    if handed_over:
        # The place is handed to the fourth, who is cancelled before it could take it.
        visits._go["0"].set()
        while "0" in visits.inside:  # noqa: ASYNC110 - step by step, to stop between two
            await asyncio.sleep(0)
    running[3].cancel()
    for number in ("0", "1", "2", "4"):
        await visits.let_go(number)

    await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 5)
    assert visits.came == ["0", "1", "2", "4"]
    last = [visits.begin("busy", f"again-{number}") for number in range(3)]
    await settled()
    assert len(visits.inside) == 3
    for each in last:
        each.cancel()
    await asyncio.gather(*last, return_exceptions=True)


async def test_a_batch_whose_tenant_has_to_wait_keeps_no_place_from_others() -> None:
    waits = {"busy": 3600.0, "quiet": 0.0}
    visits = Visits(lambda tenant, _items: waits[tenant])
    running = [visits.begin("busy", f"busy-{number}") for number in range(10)]
    await settled()
    running.append(visits.begin("quiet", "quiet"))
    await settled()

    assert visits.inside == ["quiet"]
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
