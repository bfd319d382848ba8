"""Lists show what was asked for, in its order, on pages that neither miss nor repeat, at a bounded cost."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event, text

from services.leads.domain.follow_up import FollowUp
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.states import HandoffState
from services.leads.store.lists import FollowUpPage, HandoffList, HandoffOrder, HandoffPage, OfferPage
from services.leads.store.schema import SCHEMA
from services.leads.store.walks import MOST_VISITED
from services.leads.wire.filters import FOLLOW_UP_FIELDS, HANDOFF_FIELDS, parse_filter
from smarketing.sql import Database
from tests.builders.many_handoffs import (
    QUEUES,
    REPS,
    many_follow_ups,
    many_handoffs,
    put_copies,
    put_follow_ups,
    put_handoffs,
)
from tests.builders.stores import a_database, skip_unless_sqlite

# In one worker, so that the shelves are filled once.

SOME: Final = 2_000
FEW: Final = 10_000
MANY: Final = 100_000
HANDOFF: Final = HandoffId("default", "lead-00000001", 1)
NEWEST, OLDEST, DUE = HandoffOrder.NEWEST_FIRST, HandoffOrder.OLDEST_FIRST, HandoffOrder.DUE_FIRST

Query = Callable[[Any], Any]
"""Given where the page begins, the query for it."""


@contextmanager
def a_shelf(count: int) -> Iterator[Database]:
    with a_database("leads_shelf", SCHEMA.metadata.create_all) as database:
        with database.writer_engine.begin() as connection:
            put_handoffs(connection, many_handoffs(SOME))
            put_copies(connection, count // SOME - 1)
            put_follow_ups(connection, many_follow_ups(HANDOFF, count // 20))
        yield database


@pytest.fixture(scope="module")
def some() -> Iterator[Database]:
    with a_shelf(SOME) as database:
        yield database


@pytest.fixture(scope="module")
def few() -> Iterator[Database]:
    with a_shelf(FEW) as database:
        yield database


@pytest.fixture(scope="module")
def many() -> Iterator[Database]:
    with a_shelf(MANY) as database:
        yield database


def handoffs(filter_: str = "", order: HandoffOrder = NEWEST, limit: int = 50, **fields: Any) -> Query:
    restrictions = parse_filter(filter_, HANDOFF_FIELDS)
    wanted = HandoffList(tenant="default", restrictions=restrictions, order=order, **fields)
    return lambda after: HandoffPage(wanted, after=after, limit=limit)


def follow_ups(filter_: str = "", *, newest_first: bool = False, limit: int = 50) -> Query:
    wanted = parse_filter(filter_, FOLLOW_UP_FIELDS)
    return lambda after: FollowUpPage(HANDOFF, wanted, newest_first=newest_first, after=after, limit=limit)


def offers(assignees: Sequence[str] | None = None, limit: int = 50) -> Query:
    return lambda after: OfferPage("default", assignees, after=after, limit=limit)


LISTS: Final[dict[str, Query]] = {
    "all": handoffs(),
    "all, oldest first": handoffs(order=OLDEST),
    "all, due first": handoffs(order=DUE),
    "since": handoffs('submit_time >= "2026-03-02T20:00:00Z"', OLDEST),
    "between": handoffs("submit_time >= 2026-03-02T20:00:00Z AND submit_time < 2026-03-02T21:00:00Z"),
    "one state": handoffs("state = WORKING"),
    "two states": handoffs(states=(HandoffState.WORKING, HandoffState.QUALIFIED)),
    "not a state": handoffs("state != WON"),
    "archived": handoffs("archived = true"),
    "not archived": handoffs("archived = false"),
    "an owner's": handoffs(f"owner = {REPS[3]}"),
    "an owner's in a state": handoffs(f"owner = {REPS[3]} AND state = WORKING", OLDEST),
    "an owner's, due first": handoffs(f"owner = {REPS[3]}", DUE),
    "overdue": handoffs("next_due_time < 2026-03-02T21:00:00Z", DUE),
    "a queue's": handoffs(f"queue = {QUEUES[0]}"),
    "one lead's": handoffs(lead="lead-00000001"),
    "a submission's": handoffs(external=("website", b"a digest")),
    "a segment": handoffs("qualification.segment = smb"),
    "one in a thousand": handoffs('qualification.campaign = "once in a while"'),
    "none at all": handoffs("qualification.region = nowhere AND qualification.score > 50"),
    "none in a state": handoffs("state = WORKING AND qualification.region = nowhere"),
    "an owner's by another field": handoffs(f"owner = {REPS[3]} AND follow_up_count >= 2"),
    "none of those due": handoffs("qualification.region = nowhere", DUE),
    "open offers": offers(),
    "a rep's offers": offers([REPS[3]]),
    "a team's offers": offers([*REPS[:19], QUEUES[1]]),
    "a large team's offers": offers(REPS[:120]),
    "follow-ups": follow_ups(),
    "follow-ups, newest first": follow_ups(newest_first=True),
    "follow-ups of a person": follow_ups(f"person = {REPS[0]} AND contact = true"),
    "follow-ups since": follow_ups("occur_time > 2026-03-02T14:00:00Z AND channel != CALL"),
}


@pytest.mark.parametrize("name", LISTS)
def test_no_list_reads_a_table_through_or_sorts_more_than_a_page(few: Database, name: str) -> None:
    for after in (None, _second_page(few, LISTS[name])):
        for plan in _plans(few, LISTS[name](after)):
            assert not [line for line in plan if re.match(r"SCAN (?!k$|\d+ CONSTANT ROWS?$)", line)], plan
            # What one submission began is put in order, and is never more than a few.
            assert name == "a submission's" or not [line for line in plan if "TEMP B-TREE" in line], plan


@pytest.mark.parametrize("name", LISTS)
def test_a_page_costs_the_same_however_much_is_stored(few: Database, many: Database, name: str) -> None:
    cost_of_few, cost_of_many = _steps(few, LISTS[name]), _steps(many, LISTS[name])

    # A page that tests rows one by one looks at so many at most; in the smaller store there may be fewer.
    assert cost_of_many <= max(1.5 * cost_of_few, 60 * MOST_VISITED)
    assert cost_of_many <= 100 * MOST_VISITED


@pytest.mark.parametrize("name", ["all", "one state", "an owner's in a state", "overdue", "open offers"])
def test_a_page_far_behind_costs_as_much_as_the_first(many: Database, name: str) -> None:
    first = _steps(many, LISTS[name])
    after = None
    for _ in range(15):
        after = _next(many, LISTS[name](after))

    assert _steps(many, LISTS[name], after) <= 1.5 * first


def test_whatever_is_asked_the_pages_together_are_the_whole_answer(some: Database) -> None:
    everything = list(many_handoffs(SOME))
    chance = Random(3)
    for _ in range(60):
        asked = " AND ".join(chance.sample(sorted(TRUE_OF), chance.randrange(4)))
        order, limit = chance.choice(list(HandoffOrder)), chance.choice([173, 1000])
        tests = [TRUE_OF[part] for part in asked.split(" AND ") if part]
        expected = [each for each in everything if all(test(each) for test in tests)]

        found = _all_pages(some, handoffs(asked, order, limit))

        assert [each.id for each in found] == [each.id for each in _sorted(expected, order)], (asked, order)


def test_open_offers_end_with_those_that_never_expire(some: Database) -> None:
    expected = [each for each in many_handoffs(SOME) if each.open_offer is not None]

    for wanted in (None, [*REPS[:9], QUEUES[0]], [*REPS[:99], QUEUES[2]]):
        found = _all_pages(some, offers(wanted, limit=37))
        meant = [each for each in expected if wanted is None or _offer_of(each).assignee in wanted]
        assert [each.id for each in found] == [each.id for each in sorted(meant, key=_expiry)]


def test_follow_ups_are_filtered_and_paged_in_both_directions(some: Database) -> None:
    everything = list(many_follow_ups(HANDOFF, SOME // 20))
    of_one = [each for each in everything if each.person == REPS[1] and not each.contact]
    asked = f"person = {REPS[1]} AND contact != true"

    forward = _all_pages(some, follow_ups(asked, limit=9))
    backward = _all_pages(some, follow_ups(asked, newest_first=True, limit=9))

    by_time = sorted(of_one, key=lambda each: (each.occur_time, each.follow_up_id))
    assert (forward, backward) == (by_time, by_time[::-1])


def test_a_page_of_rare_rows_ends_early_and_goes_on_behind_what_it_looked_at(many: Database) -> None:
    page = handoffs("qualification.region = nowhere", limit=10)(None)
    with many.reading() as connection:
        found = page(connection)

        newest_first = connection.execute(text("SELECT lead FROM handoff ORDER BY submit_time DESC")).all()

    assert not found
    assert page.after is not None
    assert page.after[1] == newest_first[MOST_VISITED - 1].lead


def test_pages_that_end_early_miss_nothing_together(few: Database) -> None:
    found = _all_pages(few, handoffs('qualification.campaign = "once in a while"', limit=3))
    with few.reading() as connection:
        rare = text(
            "SELECT lead, number FROM handoff WHERE campaign = 'once in a while'"
            " ORDER BY submit_time DESC, lead DESC, number DESC"
        )
        expected = [tuple(row) for row in connection.execute(rare)]

    assert [each.id[1:] for each in found] == expected


TRUE_OF: Final[dict[str, Callable[[Handoff], bool]]] = {
    "state = WORKING": lambda each: each.state is HandoffState.WORKING,
    "state != SUBMITTED": lambda each: each.state is not HandoffState.SUBMITTED,
    "state:*": lambda _: True,
    f"owner = {REPS[3]}": lambda each: each.owner == REPS[3],
    'owner = ""': lambda each: each.owner == "",
    f"owner != {REPS[4]}": lambda each: each.owner != REPS[4],
    "owner:*": lambda each: each.owner != "",
    f"queue: {QUEUES[1]}": lambda each: each.queue == QUEUES[1],
    "archived = true": lambda each: each.archived,
    "archived != true": lambda each: not each.archived,
    "historical = false": lambda each: not each.historical,
    "qualification.segment = smb": lambda each: each.qualification.segment == "smb",
    "qualification.source != seo": lambda each: each.qualification.source != "seo",
    "qualification.source:*": lambda each: each.qualification.source is not None,
    "qualification.score >= 50": lambda each: (each.qualification.score or -1) >= 50,
    "qualification.score < 30": lambda each: (
        each.qualification.score is not None and each.qualification.score < 30
    ),
    "qualification.source_channel = WEBSITE_FORM": lambda each: (
        each.qualification.source_channel.name == "WEBSITE_FORM"
    ),
    "submit_time > 2026-03-02T13:00:00Z": lambda each: (
        each.submit_time.isoformat() > "2026-03-02T13:00:00+00:00"
    ),
    "submit_time <= 2026-03-02T20:00:01Z": lambda each: (
        each.submit_time.isoformat() <= "2026-03-02T20:00:01+00:00"
    ),
    "submit_time = 2026-03-02T12:00:07Z": lambda each: (
        each.submit_time.isoformat() == "2026-03-02T12:00:07+00:00"
    ),
    "submit_time != 2026-03-02T12:00:07Z": lambda each: (
        each.submit_time.isoformat() != "2026-03-02T12:00:07+00:00"
    ),
    "accept_time:*": lambda each: each.accept_time is not None,
    "next_due_time:*": lambda each: each.next_due_time is not None,
    "next_due_time < 2026-03-03T00:00:00Z": lambda each: (
        each.next_due_time is not None and each.next_due_time.isoformat() < "2026-03-03"
    ),
    "offer.state = OPEN": lambda each: each.open_offer is not None,
    "reason_code = NO_BUDGET": lambda each: each.reason_code == "NO_BUDGET",
}


def _sorted(found: list[Handoff], order: HandoffOrder) -> list[Handoff]:
    if order is DUE:
        due = [each for each in found if each.next_due_time is not None]
        return sorted(due, key=lambda each: (each.next_due_time, each.id))
    return sorted(found, key=lambda each: (each.submit_time, each.id), reverse=order is NEWEST)


def _offer_of(handoff: Handoff) -> Any:
    assert handoff.offer is not None
    return handoff.offer


def _expiry(handoff: Handoff) -> tuple[bool, Any, HandoffId]:
    expires = _offer_of(handoff).expire_time
    return expires is None, expires or 0, handoff.id


def _all_pages(database: Database, query: Query) -> list[Any]:
    found: list[Handoff | FollowUp] = []
    after: Any = None
    with database.reading() as connection:
        while True:
            page = query(after)
            found += page(connection)
            after = page.after
            if after is None:
                return found


def _next(database: Database, page: Any) -> Any:
    with database.reading() as connection:
        page(connection)
    return page.after


def _second_page(database: Database, query: Query) -> Any:
    return _next(database, query(None))


def _plans(database: Database, page: Any) -> list[list[str]]:
    """Return how the database answers each statement of a page."""
    skip_unless_sqlite("it is asked for its plans")
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    with database.reading() as connection:
        event.listen(connection, "before_cursor_execute", note)
        page(connection)
        event.remove(connection, "before_cursor_execute", note)
        driver = _driver(connection)
        return [
            [line for *_, line in driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in asked
        ]


def _steps(database: Database, query: Query, after: Any = None) -> int:
    """Return how many steps of the database's machine a page takes."""
    skip_unless_sqlite("it counts steps of its machine")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 10
        return 0

    with database.reading() as connection:
        query(after)(connection)  # once before, so that schema and statements are known
        driver = _driver(connection)
        driver.set_progress_handler(count, 10)
        query(after)(connection)
        driver.set_progress_handler(None, 0)
    return steps


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
