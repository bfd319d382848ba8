"""Past traffic played through a routing: each handoff at its own instant, and nothing written."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.leads.domain.directory import Directory
from services.leads.domain.lead import Contact, History
from services.leads.domain.previews import Preview
from services.leads.domain.routing import Reason
from services.leads.domain.routing_rules import Needs
from services.leads.store.due import Absence, put_absences
from services.leads.store.sealing import Sealer
from services.leads.usecases import previewing
from services.leads.usecases.previewing import Previewer, Span
from services.leads.web.routing_metrics import RoutingMetrics
from tests.builders.leads import ANNA, BEN, CARA, NOON, QUEUE, House, a_directory, a_submission
from tests.unit.leads.test_routing_in_the_store import (
    CALENDAR,
    a_calendar,
    able,
    accept_offers,
    answer,
    everybody,
    routed,
)
from tests.unit.leads.test_sla_events import tell

HOUR = timedelta(hours=1)
A_DAY = Span(NOON - HOUR, NOON + 23 * HOUR)


async def preview(
    house: House, directory: Directory, look: Callable[[Previewer], Preview] = lambda it: it.span(A_DAY)
) -> Preview:
    return await house.rows(
        lambda connection: look(Previewer(connection, directory, sealer=Sealer(bytes(32)), now=house.now))
    )


def given(seen: Preview) -> dict[str, int]:
    return {each.person: each.handoffs for each in seen.people if each.handoffs}


def passed_over(seen: Preview) -> dict[str, dict[Reason, int]]:
    return {each.person: dict(each.passed_over) for each in seen.people if each.passed_over}


async def hourly(house: House, leads: int) -> None:
    for number in range(leads):
        await house.submit(a_submission(number))
        house.later(hours=1)


async def away(house: House, person: str, *, first: int, until: int) -> None:
    leave = Absence(
        tenant="default",
        leave=f"{person}/leave/1",
        person=person,
        start_time=NOON + first * HOUR,
        end_time=NOON + until * HOUR,
    )

    def unit(connection: Any, _requests: object, _now: object) -> list[None]:
        put_absences(connection, [leave])
        return [None]

    await house.writer.run(unit, [None])


async def test_who_is_away_in_the_span_is_away_for_the_handoffs_of_those_hours_alone() -> None:
    async with House() as house:
        await hourly(house, 6)
        await away(house, ANNA, first=2, until=4)

        seen = await preview(house, a_directory())

        assert seen.handoffs == 6
        assert passed_over(seen) == {ANNA: {Reason.ON_LEAVE: 2}}
        assert sum(given(seen).values()) == 6
        [rule] = seen.rules
        assert rule.pool.largest_deviation <= rule.pool.bound


async def test_hours_are_those_of_each_handoffs_own_instant() -> None:
    directory = routed(a_directory(), everybody(needs=Needs(calendar=CALENDAR)))
    async with House() as house:
        await hourly(house, 4)
        await tell(house, a_calendar(1, ("12:00", "14:00")))

        seen = await preview(house, directory)

        assert sum(given(seen).values()) == 2
        assert dict(seen.queues) == {(QUEUE, "NOBODY_ELIGIBLE"): 2}


async def test_open_work_of_today_and_of_the_span_fill_a_capacity() -> None:
    async with House() as house:
        await hourly(house, 6)

        # Two each are open already: Anna has room for one more, Ben for none.
        directory = able(able(a_directory(), ANNA, capacity=3), BEN, capacity=2)
        seen = await preview(house, directory)

        assert given(seen) == {ANNA: 1, CARA: 5}
        # Anna's turn is the first: then she is full for the other five.
        assert passed_over(seen) == {ANNA: {Reason.AT_CAPACITY: 5}, BEN: {Reason.AT_CAPACITY: 6}}
        assert {each.person: (each.open_handoffs, each.capacity) for each in seen.people} == {
            ANNA: (2, 3),
            BEN: (2, 2),
            CARA: (2, 0),
        }


async def test_history_is_no_traffic() -> None:
    async with House() as house:
        await house.submit(
            a_submission(1),
            a_submission(2, history=History()),
            a_submission(3, history=History(still_open=True)),
        )

        assert (await preview(house, a_directory())).handoffs == 1


async def test_a_long_span_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previewing, "MOST_HANDOFFS", 3)
    async with House() as house:
        await hourly(house, 4)

        whole = await preview(house, a_directory(), lambda it: it.span(Span(NOON, NOON + 3 * HOUR)))
        cut = await preview(house, a_directory())

        assert (whole.handoffs, whole.truncated) == (3, False)
        assert (cut.handoffs, cut.truncated) == (3, True)


async def test_a_lead_of_a_company_is_previewed_with_who_has_it() -> None:
    directory = routed(a_directory(), account_owner_first=True)
    async with House(directory) as house:
        [first] = await house.submit(a_submission(1, contact=Contact(email="kim@acme.com")))
        await answer(house, accept_offers, first.handoff, ANNA)
        wanted = a_submission(2, contact=Contact(email="lee@acme.com"))

        seen = await preview(house, directory, lambda it: it.submission(wanted))
        [then] = await house.submit(wanted)

        assert seen.one is not None
        assert then.handoff.offer is not None
        assert seen.one.assignee == then.handoff.offer.assignee == ANNA
        assert seen.one.decision == then.handoff.offer.decision


async def test_the_metrics_show_the_pool_that_is_nearest_to_its_bound() -> None:
    async with House() as house:
        registry = CollectorRegistry()
        metrics = RoutingMetrics(house.store, registry, tenants=["default"], interval=HOUR)
        await metrics.refresh()
        assert value(registry, "turns_total") == 0
        await house.submit(a_submission(1))
        await metrics.refresh()

        assert value(registry, "turns_total") == 1
        # One of three had the first turn: two thirds ahead, of at most (3 - 1) / 2.
        assert value(registry, "deviation_turns") == pytest.approx(2 / 3)
        assert value(registry, "deviation_bound_turns") == 1


def value(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(f"smarketing_leads_routing_{name}", {"tenant": "default"})
