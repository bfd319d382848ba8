"""RoutingService on a real port: what routing would do, how fair it was, and that looking changes nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from smarketing import wallclock
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import routing_pb2 as routingpb
from smarketing.api.leads.v1.routing_pb2_grpc import RoutingServiceStub
from tests.contract.leads.office import (
    ANNA,
    BEN,
    FORM,
    MIA,
    QUEUE,
    TENANT,
    Office,
    a_submission,
    an_office,
    reason_of,
)

HOUR = timedelta(hours=1)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(tmp_path, principals=(FORM, ANNA, MIA)) as office:
        yield office


def a_routing(*people: str, **rule: Any) -> directorypb.Routing:
    members = [directorypb.RoutingMember(person=person) for person in people]
    return directorypb.Routing(
        rules=[directorypb.RoutingRule(rule_id="tried", members=members, **rule)], fallback_queue=QUEUE
    )


def a_span(start: datetime, end: datetime) -> routingpb.RoutingTraffic:
    span = routingpb.RoutingTraffic()
    span.start_time.FromDatetime(start)
    span.end_time.FromDatetime(end)
    return span


async def preview(office: Office, *, by: str = MIA, **fields: Any) -> routingpb.PreviewRoutingResponse:
    stub = RoutingServiceStub(office.channel)
    request = routingpb.PreviewRoutingRequest(parent=TENANT, **fields)
    return await stub.PreviewRouting(request, metadata=office.of(by))


async def head(office: Office) -> int:
    def read(connection: Any) -> int:
        found = connection.exec_driver_sql("SELECT max(position) FROM event_log").scalar()
        return int(found)

    return await office.leads.store.read(read)


async def pools(office: Office) -> list[Any]:
    statement = "SELECT * FROM routing_pool"
    return await office.leads.store.read(lambda c: list(c.exec_driver_sql(statement)))


async def test_a_preview_of_a_lead_is_what_happens_when_it_is_submitted_and_writes_nothing(
    office: Office,
) -> None:
    await office.submit(1)
    before = await head(office), await pools(office)
    seen = await preview(office, submission=a_submission(2))
    after = await head(office), await pools(office)
    then = await office.submit(2)

    assert before == after
    assert seen.assignee == then.offer.assignee == BEN
    assert seen.decision == then.offer.decision
    assert seen.handoff_count == 1


async def test_a_preview_of_a_handoff_says_who_would_be_next(office: Office) -> None:
    handoff = await office.submit(1)

    seen = await preview(office, handoff=handoff.name)

    assert handoff.offer.assignee == ANNA
    assert seen.assignee == BEN
    assert [(each.person, each.reason) for each in seen.decision.passed_over] == [(ANNA, "ALREADY_OFFERED")]


async def test_a_day_of_traffic_is_played_through_a_routing_that_is_not_applied(office: Office) -> None:
    start = wallclock.utc_now()
    for number in range(5):
        segment = "retail" if number < 3 else "industry"
        await office.submit(number, qualification=leadspb.Qualification(segment=segment))
    before = await head(office)
    condition = directorypb.RoutingCondition(segments=["retail"])

    seen = await preview(
        office,
        routing=a_routing(BEN, condition=condition),
        span=a_span(start - HOUR, wallclock.utc_now() + HOUR),
    )

    assert await head(office) == before
    assert (seen.handoff_count, seen.truncated, seen.assignee) == (5, False, "")
    assert [(each.person, each.handoff_count) for each in seen.people] == [(BEN, 3)]
    assert [(each.queue, each.ground, each.handoff_count) for each in seen.queues] == [
        (QUEUE, "NO_RULE_MATCHED", 2)
    ]
    [rule] = seen.rules
    assert (rule.rule_id, rule.turn_count, rule.bound_turns) == ("tried", 3, 0)
    assert [(each.person, each.turn_count, each.due_turns) for each in rule.shares] == [(BEN, 3, 3)]


async def test_a_span_holds_what_was_recorded_in_it_alone(office: Office) -> None:
    await office.submit(1)
    now = wallclock.utc_now()

    assert (await preview(office, span=a_span(now - HOUR, now + HOUR))).handoff_count == 1
    assert (await preview(office, span=a_span(now - 2 * HOUR, now - HOUR))).handoff_count == 0
    assert (await preview(office, span=a_span(now + HOUR, now + 2 * HOUR))).handoff_count == 0


async def test_who_is_passed_over_in_a_span_is_counted_with_the_reason(office: Office) -> None:
    for number in range(3):
        await office.submit(number)
    now = wallclock.utc_now()
    # Anna alone can: nobody has a territory, and the leads of this day have one.
    rule = {"needs": directorypb.RoutingNeeds(territory=True)}
    told = leadspb.Qualification(region="kr")
    await office.submit(9, qualification=told)

    seen = await preview(office, routing=a_routing(ANNA, BEN, **rule), span=a_span(now - HOUR, now + HOUR))

    passed_over = {each.person: [(r.reason, r.count) for r in each.passed_over] for each in seen.people}
    assert passed_over == {ANNA: [("OTHER_TERRITORY", 1)], BEN: [("OTHER_TERRITORY", 1)]}
    assert [(each.ground, each.handoff_count) for each in seen.queues] == [("NOBODY_ELIGIBLE", 1)]


async def test_the_load_says_what_was_given_beside_what_was_due_and_the_bound(office: Office) -> None:
    for number in range(3):
        await office.submit(number)

    load = await RoutingServiceStub(office.channel).GetRoutingLoad(
        routingpb.GetRoutingLoadRequest(parent=TENANT), metadata=office.of(MIA)
    )

    [rule] = load.rules
    assert (rule.rule_id, rule.turn_count) == ("all", 3)
    assert {each.person: (each.turn_count, each.due_turns) for each in rule.shares} == {
        ANNA: (2, 1.5),
        BEN: (1, 1.5),
    }
    assert rule.largest_deviation_turns == rule.bound_turns == 0.5
    assert [(each.person, each.handoff_count, each.open_handoff_count) for each in load.people] == [
        (ANNA, 2, 2),
        (BEN, 1, 1),
    ]


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "submission"),
        (
            {"span": routingpb.RoutingTraffic()},
            grpc.StatusCode.INVALID_ARGUMENT,
            "FIELD_INVALID",
            "span.start_time",
        ),
        (
            {"span": a_span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))},
            grpc.StatusCode.INVALID_ARGUMENT,
            "FIELD_INVALID",
            "span.end_time",
        ),
        (
            {"handoff": f"{TENANT}/leads/none/handoffs/1"},
            grpc.StatusCode.NOT_FOUND,
            "HANDOFF_UNKNOWN",
            None,
        ),
        ({"submission": leadspb.Submission()}, grpc.StatusCode.INVALID_ARGUMENT, "SUBMISSION_INVALID", None),
    ],
)
async def test_what_cannot_be_tried_is_refused_with_its_place(
    office: Office, fields: dict[str, Any], code: grpc.StatusCode, reason: str, field: str | None
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(office, **fields)

    seen_code, seen_reason, metadata = reason_of(refused.value)
    assert (seen_code, seen_reason) == (code, reason)
    if field is not None:
        assert metadata["field"] == field


async def test_a_faulty_routing_is_refused_before_anything_is_tried(office: Office) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(office, routing=a_routing(), submission=a_submission(1))

    assert reason_of(refused.value)[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "DIRECTORY_INVALID")


async def test_a_rep_does_not_look_at_the_others(office: Office) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(office, by=ANNA, submission=a_submission(1))

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
