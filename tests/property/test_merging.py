"""A merge taken back leaves everything as it was, whatever the two leads had been through."""

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.leads.domain.claims import NOT_WAITING
from services.leads.domain.errors import LeadError
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact, History
from services.leads.domain.merging import KeepOtherLead
from services.leads.domain.states import HandoffState
from services.leads.domain.terms import FollowUpChannel, Money
from services.leads.store import rows
from services.leads.store.schema import SCHEMA
from services.leads.store.transaction import By
from services.leads.usecases.merging import MergeLeads, UnmergeLeads, merge_leads, unmerge_leads
from services.leads.usecases.offers import ReassignHandoff, reassign_handoffs
from services.leads.usecases.submit import SubmitLead, submit
from services.leads.usecases.work import (
    Decide,
    LogFollowUp,
    convert_handoffs,
    disqualify_handoffs,
    log_follow_ups,
    qualify_handoffs,
)
from tests.builders.leads import FORM, MANAGER, QUEUE, REPS, House, a_submission, asked_by

CASES = 500 if "PROVE" in os.environ else 20
ACTS = ("submit", "archive", "give", "queue", "call", "qualify", "convert", "disqualify", "wait")
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=14
)
WORKED = st.lists(
    st.sampled_from([("give", 0, 0), ("call", 0, 0), ("give", 1, 0), ("call", 1, 0)]), max_size=6
)
"""Both leads are often worked when somebody finds that they are one."""
GROWS = {"version", "update_time"}
"""What a handoff never takes back."""


async def act(house: House, what: str, person: int, choice: int) -> None:
    """Do something to one of a lead's handoffs; what is refused is nothing."""
    house.later(minutes=7)
    if what in {"submit", "archive"}:
        told = a_submission(
            choice + 100 * person,
            contact=Contact(email=f"kim{person}@example.com", phone=f"+4930123456{choice}"),
            history=History() if what == "archive" else None,
        )
        await house.all(submit, SubmitLead(told, By(FORM)))
        return
    lead = await lead_of(house, person)
    own = [each for each in await handoffs(house) if each.id.lead == lead]
    if what == "wait" or not own:
        house.later(minutes=choice)
        return
    handoff = own[choice % len(own)].id
    rep = REPS[choice % len(REPS)]
    decide = Decide(
        handoff=handoff, asker=asked_by(MANAGER), reason_code="NO_NEED", amount=Money("EUR", choice)
    )
    call = LogFollowUp(
        handoff=handoff,
        asker=asked_by(rep),
        channel=FollowUpChannel.CALL,
        occur_time=house.now - timedelta(minutes=choice),
    )
    give = ReassignHandoff(
        handoff=handoff, etag="", assignee=QUEUE if what == "queue" else rep, asker=asked_by(MANAGER)
    )
    asked: dict[str, tuple[Any, Any]] = {
        "give": (reassign_handoffs, give),
        "queue": (reassign_handoffs, give),
        "call": (log_follow_ups, call),
        "qualify": (qualify_handoffs, decide),
        "convert": (convert_handoffs, decide),
        "disqualify": (disqualify_handoffs, decide),
    }
    [answer] = await house.all(*asked[what])
    assert isinstance(answer, LeadError) or not isinstance(answer, Exception), answer


async def lead_of(house: House, person: int) -> str:
    def find(tx: Any) -> str:
        digest = tx.digest_of("default", "email", f"kim{person}@example.com")
        tx.load_matches([("default", digest)])
        return tx.match("default", digest) or ""

    found: str = await house.store.sweep(find)
    return found


async def handoffs(house: House) -> list[Handoff]:
    def read(connection: Any) -> list[Handoff]:
        return [rows.handoff_of(row) for row in connection.execute(SCHEMA.leads.handoff.select())]

    return await house.rows(read)


async def everything(house: House) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table but the log and the merges themselves, without what only grows."""
    told = {"lead_merge", "merged_handoff", "business_total", "event_log", "log_head"}

    def read(connection: Any) -> dict[str, list[dict[str, Any]]]:
        return {
            table.name: sorted(
                (
                    {name: value for name, value in row.items() if name not in GROWS}
                    for row in connection.execute(select(table)).mappings()
                ),
                key=repr,
            )
            for table in SCHEMA.metadata.sorted_tables
            if table.name not in told
        }

    return await house.rows(read)


async def merge(house: House, kept: str, merged: str) -> tuple[str, str] | None:
    """Merge in whichever direction is allowed; return (kept, merged), or None when people must decide."""
    for lead, other in ((kept, merged), (merged, kept)):
        wanted = MergeLeads(tenant="default", lead=lead, merged_lead=other, by=By(MANAGER))
        [answer] = await house.all(merge_leads, wanted)
        if not isinstance(answer, Exception):
            return lead, other
        if not isinstance(answer, KeepOtherLead):
            assert isinstance(answer, LeadError), answer
            return None
    raise AssertionError("each was told to keep the other")


async def prepared(house: House, steps: Sequence[tuple[str, int, int]]) -> tuple[str, str]:
    for person in (0, 1):
        await act(house, "submit", person, 0)
    for what, person, choice in steps:
        await act(house, what, person, choice)
    return await lead_of(house, 0), await lead_of(house, 1)


@settings(max_examples=CASES, deadline=None)
@given(worked=WORKED, steps=STEPS)
def test_a_merge_taken_back_leaves_everything_as_it_was(
    worked: list[tuple[str, int, int]], steps: list[tuple[str, int, int]]
) -> None:
    async def scenario() -> None:
        async with House() as house:
            first, second = await prepared(house, [*worked, *steps])
            before = await everything(house)
            merged = await merge(house, first, second)
            event("merged" if merged else "for people to decide")
            if merged is None:
                return
            live = [
                each for each in await handoffs(house) if each.is_live and each.id.lead in {first, second}
            ]
            assert len({each.id.lead for each in live}) <= 1
            house.later(minutes=5)
            await house.one(
                unmerge_leads, UnmergeLeads(tenant="default", merged_lead=merged[1], by=By(MANAGER))
            )

            assert await everything(house) == before

    asyncio.run(scenario())


@settings(max_examples=CASES, deadline=None)
@given(worked=WORKED, steps=STEPS, since=STEPS)
def test_what_is_done_in_between_stays_with_the_kept_lead_and_touches_nothing_of_the_other(
    worked: list[tuple[str, int, int]], steps: list[tuple[str, int, int]], since: list[tuple[str, int, int]]
) -> None:
    async def scenario() -> None:
        async with House() as house:
            first, second = await prepared(house, [*worked, *steps])
            stood = {each.id: each for each in await handoffs(house)}
            merged = await merge(house, first, second)
            if merged is None:
                return
            # Only live work goes on: what was archived of the merged lead may still be taken up as it is.
            for what, person, choice in since:
                if what in {"submit", "wait"}:
                    await act(house, what, person, choice)
            void = [each for each in await handoffs(house) if each.kept_number]
            for each in void:
                event("late call")
                await call(house, each.id)
            await house.one(
                unmerge_leads, UnmergeLeads(tenant="default", merged_lead=merged[1], by=By(MANAGER))
            )
            now = {each.id: each for each in await handoffs(house)}

            for handoff_id, handoff in stood.items():
                if handoff_id.lead == merged[1]:
                    assert shown(now[handoff_id]) == shown(handoff)
            own = await own_follow_ups(house)
            assert {each.id: each.follow_up_count for each in now.values()} == {
                handoff_id: own.get(handoff_id, 0) for handoff_id in now
            }

    asyncio.run(scenario())


async def call(house: House, handoff_id: HandoffId) -> None:
    told = LogFollowUp(handoff=handoff_id, asker=asked_by(REPS[0]), channel=FollowUpChannel.CALL)
    [answer] = await house.all(log_follow_ups, told)
    assert isinstance(answer, LeadError) or answer.handoff != handoff_id


def shown(handoff: Handoff) -> dict[str, Any]:
    names = [column.name for column in SCHEMA.leads.handoff.columns]
    values = dict(zip(names, rows.handoff_row(handoff, NOT_WAITING), strict=True))
    return {name: value for name, value in values.items() if name not in GROWS}


async def own_follow_ups(house: House) -> dict[HandoffId, int]:
    def read(connection: Any) -> dict[HandoffId, int]:
        counted: dict[HandoffId, int] = {}
        for row in connection.execute(SCHEMA.leads.follow_up.select()):
            handoff_id = HandoffId(*row[:3])
            counted[handoff_id] = counted.get(handoff_id, 0) + 1
        return counted

    return await house.rows(read)


def test_void_is_the_only_state_in_which_another_handoff_goes_on() -> None:
    async def scenario() -> None:
        async with House() as house:
            first, second = await prepared(house, [("give", 0, 0), ("call", 0, 0)])
            await merge(house, first, second)
            merged = [each for each in await handoffs(house) if each.kept_lead]

            assert [(each.id.lead, each.state, each.kept_lead) for each in merged] == [
                (second, HandoffState.VOID, first)
            ]

    asyncio.run(scenario())
