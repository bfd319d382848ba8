"""Routing inside the one writer's transaction: turns, open work, hours and owners, as they are kept."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.leads.domain.desk import Case
from services.leads.domain.directory import Directory, RoutingMember, RoutingRule
from services.leads.domain.events import OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Contact, History, Qualification
from services.leads.domain.open_work import holder_of
from services.leads.domain.routing import Ground, Reason
from services.leads.domain.routing_rules import Condition, Needs, Traits
from services.leads.store.routing import find_pools
from services.leads.store.rows import handoff_of
from services.leads.store.schema import SCHEMA
from services.leads.store.transaction import By
from services.leads.usecases.offers import AnswerOffer, accept_offers, decline_offers
from services.leads.usecases.outcomes import VoidHandoff, void_handoffs
from services.leads.usecases.routing import expire_offers
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.eventlog.reading import read
from tests.builders.leads import (
    ANNA,
    BEN,
    CARA,
    MANAGER,
    NOON,
    OFFER_DURATION,
    QUEUE,
    REPS,
    TENANT,
    House,
    a_directory,
    a_submission,
    asked_by,
)
from tests.builders.routing_replay import Replay
from tests.builders.stores import skip_unless_sqlite
from tests.unit.leads.test_sla_events import tell

CALENDAR = f"{TENANT}/calendars/office"


def routed(directory: Directory, *rules: RoutingRule, **changes: Any) -> Directory:
    routing = replace(directory.routing, **({"rules": rules} if rules else {}), **changes)
    return replace(directory, routing=routing)


def able(directory: Directory, person: str, **abilities: Any) -> Directory:
    people = tuple(replace(p, **abilities) if p.name == person else p for p in directory.people)
    return replace(directory, people=people)


def everybody(**changes: Any) -> RoutingRule:
    return RoutingRule(
        rule_id="all", members=tuple(RoutingMember(person=person) for person in REPS), **changes
    )


def assignee(handoff: Handoff) -> str:
    assert handoff.offer is not None
    return handoff.offer.assignee


def reasons(handoff: Handoff) -> dict[str, Reason]:
    assert handoff.offer is not None
    return {other.person: other.reason for other in handoff.offer.decision.passed_over}


async def answer(house: House, use_case: Any, handoff: Handoff, person: str) -> Handoff:
    assert handoff.offer is not None
    number = handoff.offer.number
    request = AnswerOffer(handoff=handoff.id, offer=number, fencing_token=number, asker=asked_by(person))
    answered: Handoff = await house.one(use_case, request)
    return answered


async def kept_work(house: House) -> dict[str, int]:
    table = SCHEMA.routing.open_work
    found = select(table.c.person, table.c.handoffs).where(table.c.handoffs != 0)
    rows = await house.rows(lambda connection: connection.execute(found).all())
    return {row.person: row.handoffs for row in rows}


async def recounted_work(house: House) -> dict[str, int]:
    rows = await house.rows(lambda connection: connection.execute(SCHEMA.leads.handoff.select()).all())
    return dict(Counter(holder for row in rows if (holder := holder_of(handoff_of(row)))))


async def test_turns_go_on_where_the_last_transaction_left_them() -> None:
    async with House() as house:
        taken = [(await house.submit(a_submission(number)))[0].handoff for number in range(6)]

        assert [assignee(each) for each in taken] == [ANNA, BEN, CARA] * 2
        pools = await house.rows(lambda connection: find_pools(connection, "default"))
        assert {person: each.turns for person, each in pools["all"].balances().items()} == dict.fromkeys(
            REPS, 2
        )


async def test_capacity_is_what_is_open_now_in_this_very_batch_too() -> None:
    directory = a_directory()
    for person in REPS:
        directory = able(directory, person, capacity=1)
    async with House(directory) as house:
        batch = await house.submit(*(a_submission(number) for number in range(5)))

        assert [assignee(each.handoff) for each in batch] == [ANNA, BEN, CARA, QUEUE, QUEUE]
        assert reasons(batch[4].handoff) == dict.fromkeys(REPS, Reason.AT_CAPACITY)

        await answer(house, accept_offers, batch[1].handoff, BEN)
        await house.one(void_handoffs, VoidHandoff(batch[0].handoff.id, "TEST_RECORD", By(MANAGER)))
        [freed] = await house.submit(a_submission(6))
        assert assignee(freed.handoff) == ANNA


async def test_open_work_is_kept_as_a_recount_would_find_it() -> None:
    async with House() as house:
        batch = [each.handoff for each in await house.submit(*(a_submission(n) for n in range(4)))]
        await answer(house, accept_offers, batch[0], ANNA)
        await answer(house, decline_offers, batch[1], BEN)
        await house.one(void_handoffs, VoidHandoff(batch[2].id, "TEST_RECORD", By(MANAGER)))
        house.later(hours=1)
        await house.store.sweep(expire_offers)

        assert await kept_work(house) == await recounted_work(house)
        assert sum((await kept_work(house)).values()) > 0


async def test_who_lets_an_offer_expire_has_room_for_the_next_lead_of_the_same_sweep() -> None:
    directory = routed(able(a_directory(), ANNA, capacity=1), everybody())
    async with House(directory) as house:
        first = (await house.submit(a_submission(1)))[0].handoff
        assert assignee(first) == ANNA
        house.now = NOON + OFFER_DURATION
        await house.store.sweep(expire_offers)

        passed_on = await house.handoff(first.id)
        assert assignee(passed_on) == BEN
        assert reasons(passed_on) == {ANNA: Reason.ALREADY_OFFERED}
        [second] = await house.submit(a_submission(2))
        assert reasons(second.handoff) == {}


async def test_a_large_batch_asks_the_database_no_more_often_than_a_small_one() -> None:
    skip_unless_sqlite("statements are counted by SQLite's own trace")

    async def statements(leads: int) -> int:
        directory = routed(
            able(a_directory(), ANNA, capacity=1_000),
            everybody(condition=Condition(segments=("retail",)), needs=Needs(territory=True)),
        )
        async with House(directory) as house:
            await house.submit(a_submission(0))
            seen: list[str] = []

            def watch(connection: Any, _requests: object, _now: object) -> list[None]:
                connection.connection.driver_connection.set_trace_callback(seen.append)
                return [None]

            await house.writer.run(watch, [None])
            await house.submit(*(a_submission(1 + number) for number in range(leads)))
            assert seen
            return sum("routing" in each or "open_work" in each or '"leave"' in each for each in seen)

    # Three people are told of at the end, however many leads there were.
    assert await statements(3) == await statements(64)


async def test_hours_are_those_of_the_newest_calendar_that_sla_told_of() -> None:
    rule = everybody(needs=Needs(calendar=CALENDAR))
    async with House(routed(a_directory(), rule)) as house:
        [unknown] = await house.submit(a_submission(1))
        await tell(house, a_calendar(1, ("09:00", "18:00")))
        [noon] = await house.submit(a_submission(2))
        await tell(house, a_calendar(2, ("13:00", "18:00")))
        [lunch] = await house.submit(a_submission(3))

        assert not unknown.handoff.queue
        assert not noon.handoff.queue
        assert lunch.handoff.queue == QUEUE
        assert reasons(lunch.handoff) == dict.fromkeys(REPS, Reason.OUT_OF_HOURS)


def a_calendar(version: int, hours: tuple[str, str]) -> slaeventspb.CalendarVersionCreated:
    """Open on NOON's weekday, a Monday, at these hours."""
    window = slapb.WeeklyWindow(iso_weekday=1, open_time=hours[0], close_time=hours[1])
    calendar = slapb.CalendarVersion(
        name=f"{CALENDAR}/versions/{version}", time_zone="Etc/UTC", weekly_windows=[window]
    )
    return slaeventspb.CalendarVersionCreated(calendar_version=calendar)


async def test_a_lead_that_comes_back_is_not_offered_to_its_last_owner_until_they_cooled_off() -> None:
    directory = routed(a_directory(), previous_owner_cool_off=timedelta(days=1))
    async with House(directory) as house:
        again = {"contact": Contact(email="kim@example.com")}
        first = (await house.submit(a_submission(1, **again)))[0].handoff
        await answer(house, accept_offers, first, ANNA)
        await house.submit(a_submission(2), a_submission(3))
        await house.one(void_handoffs, VoidHandoff(first.id, "TEST_RECORD", By(MANAGER)))

        # Without the cool-off it would be Anna's turn.
        second = (await house.submit(a_submission(4, **again)))[0].handoff
        assert assignee(second) == BEN
        assert reasons(second) == {ANNA: Reason.COOLING_OFF}

        await house.one(void_handoffs, VoidHandoff(second.id, "TEST_RECORD", By(MANAGER)))
        house.later(days=1)
        third = (await house.submit(a_submission(5, **again)))[0].handoff
        assert reasons(third) == {}


async def test_a_company_is_told_by_what_was_said_or_by_the_address_and_stays_sealed() -> None:
    rules = (
        replace(everybody(condition=Condition(company_domains=("acme.com",))), rule_id="acme"),
        everybody(),
    )
    async with House(routed(a_directory(), *rules)) as house:
        told = Contact(email="kim1@example.com", company_domain="acme.com")
        batch = await house.submit(
            a_submission(1, contact=told),
            a_submission(2, contact=Contact(email="kim@eu.acme.com")),
            a_submission(3, contact=Contact(email="lee@example.com")),
        )

        decisions = [each.handoff.offer.decision for each in batch if each.handoff.offer]
        assert [each.rule_id for each in decisions] == ["acme", "acme", "all"]
        told_of_handoffs = [each for each in await log_of(house) if "/handoffs/" in each.subject]
        assert told_of_handoffs
        assert "acme.com" not in repr(told_of_handoffs)


async def log_of(house: House) -> list[Any]:
    page = await house.rows(lambda connection: read(connection, TENANT, after=0, limit=10_000))
    return page.events


async def test_the_log_decides_every_offer_a_second_time_and_comes_to_the_same() -> None:
    directory = a_directory(weights=(3, 2, 1), max_offers=3)
    rules = (
        everybody(condition=Condition(segments=("retail",)), needs=Needs(skills=("shops",))),
        replace(everybody(), rule_id="rest", queue=QUEUE),
    )
    version_1 = able(able(routed(directory, *rules), ANNA, skills=("shops",)), BEN, skills=("shops",))
    heavier = tuple(
        RoutingMember(person=person, weight=weight) for person, weight in zip(REPS, (1, 9, 4), strict=True)
    )
    version_2 = routed(version_1, *(replace(rule, members=heavier) for rule in rules), version=2)
    async with House(version_1) as house:
        for number in range(60):
            if number == 30:
                await house.apply(version_2)
            segment = "retail" if number % 3 else "industry"
            told = Qualification(source="web", segment=segment)
            handoff = (await house.submit(a_submission(number, qualification=told)))[0].handoff
            if number % 4 == 0 and not handoff.queue:
                await answer(house, decline_offers, handoff, assignee(handoff))
            if number % 10 == 0:
                house.later(minutes=31)
                await house.store.sweep(expire_offers)

        replay = Replay().fold(await log_of(house))

        assert replay.decisions > 100
        assert replay.turns > 60
        assert replay.differing == []
        kept = await house.rows(lambda connection: find_pools(connection, "default"))
        assert {rule: pool.balances() for rule, pool in kept.items()} == {
            rule: pool.balances() for rule, pool in replay.pools.items()
        }


async def test_a_replay_notices_a_decision_that_the_rules_would_not_have_made() -> None:
    async with House() as house:
        await house.submit(*(a_submission(number) for number in range(4)))
        events = await log_of(house)
        # The first offer told twice: the second time it would have been the next one's turn.
        [first, *_] = [each for each in events if each.payload.type_url.endswith("HandoffOffered")]

        assert Replay().fold([*events[: events.index(first) + 1], first]).differing != []


async def test_whoever_calls_at_once_shares_the_turns_as_one_after_the_other() -> None:
    async with House() as house:
        taken = await asyncio.gather(*(house.submit(a_submission(number)) for number in range(60)))

        assert Counter(assignee(each[0].handoff) for each in taken) == dict.fromkeys(REPS, 20)


async def test_a_decision_that_was_undone_takes_nobodys_turn() -> None:
    async with House() as house:

        def broken(connection: Any, _requests: object, now: datetime) -> list[None]:
            tx = house.store.begin(connection, now=now)
            tx.desk("default").decide(Case(traits=Traits()))
            tx.flush()
            raise ValueError("undone")

        with pytest.raises(ValueError, match="undone"):
            await house.writer.run(broken, [None])
        [submitted] = await house.submit(a_submission())

        assert assignee(submitted.handoff) == ANNA


async def test_old_business_that_is_still_open_says_that_it_is_history() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission(history=History(still_open=True)))

        assert submitted.handoff.offer is not None
        assert submitted.handoff.offer.state is OfferState.OPEN
        assert submitted.handoff.offer.decision.ground is Ground.HISTORY


async def test_a_second_lead_of_a_company_goes_to_who_has_the_first() -> None:
    directory = routed(a_directory(), account_owner_first=True)
    async with House(directory) as house:
        first = (await house.submit(a_submission(1, contact=Contact(email="kim@acme.com"))))[0].handoff
        await answer(house, accept_offers, first, ANNA)
        second = (await house.submit(a_submission(2, contact=Contact(email="lee@acme.com"))))[0].handoff
        [stranger] = await house.submit(a_submission(3, contact=Contact(email="lee@other.com")))

        assert second.offer is not None
        assert (second.offer.assignee, second.offer.decision.ground) == (ANNA, Ground.ACCOUNT_OWNER)
        assert second.offer.decision.account_owner == ANNA
        # The owner's lead cost nobody a turn: the next of the pool is the one after Anna.
        assert assignee(stranger.handoff) == BEN
        assert (await house.handoff(second.id)).offer == second.offer
