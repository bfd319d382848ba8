"""Who is told what, and how often."""

from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select

from services.sla.domain.agreement import CommitmentKind, Role
from services.sla.domain.alert import ResolveReason
from services.sla.domain.refused import StateForbids
from services.sla.domain.terms import Step
from services.sla.store import schema
from services.sla.store.tx import ClockMoved, SlaTx
from services.sla.usecases.alerts import OnAlert, acknowledge, resolve
from services.sla.usecases.settle import settle
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.delivery import NewEndpoint, Sealer, create_endpoint
from tests.builders.sla_engine import (
    AN_HOUR_AFTER,
    AT_DUE,
    HANDOFF,
    LEADER,
    MARKETING_MANAGER,
    MONDAY_NINE,
    REP,
    SALES,
    SALES_MANAGER,
    TENANT,
    WARN_AT_HALF,
    Engine,
    a_promise,
    some_terms,
)

DUE = MONDAY_NINE + timedelta(hours=4)


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise(steps=(WARN_AT_HALF, AT_DUE, AN_HOUR_AFTER))))
    engine.submit()
    engine.assign()
    return engine


def listen(engine: Engine) -> None:
    endpoint = NewEndpoint(
        tenant="default", endpoint_id="pager", url="https://x.test", display_name="", secret="s"
    )
    with engine.database.writer_engine.begin() as connection:
        create_endpoint(
            connection, schema.delivery_tables, endpoint, sealer=Sealer(bytes(32)), now=engine.now
        )


def messages(engine: Engine) -> list[tuple[str, dict[str, object]]]:
    table = schema.delivery_tables.message
    query = select(table.c.message_id, table.c.payload).order_by(table.c.create_time, table.c.message_id)
    with engine.database.reading() as connection:
        return [(message_id, orjson.loads(payload)) for message_id, payload in connection.execute(query)]


def test_a_miss_is_told_in_words_with_the_due_instant_in_the_zone_of_the_calendar(engine: Engine) -> None:
    listen(engine)
    engine.now = DUE + timedelta(minutes=42)
    engine.sweep()
    engine.sweep()

    ((message_id, body),) = messages(engine)
    assert message_id.startswith("alert-")
    assert body["text"] == (
        "First follow up was missed: it was due 2026-09-21 13:00 Asia/Seoul, 42 min of its own time ago."
    )
    assert (body["late_seconds"], body["link"], body["owner"]) == (42 * 60, f"/{HANDOFF}", REP)
    assert body["recipients"] == [REP, SALES_MANAGER]


def test_what_is_dealt_with_is_told_once_more(engine: Engine) -> None:
    listen(engine)
    engine.now = DUE + timedelta(minutes=42)
    engine.sweep()
    engine.follow_up()

    (_, opened), (_, resolved) = messages(engine)
    assert (opened["type"], resolved["type"]) == ("alert.opened", "alert.resolved")
    assert resolved["resolve_reason"] == "STOPPED"


def test_when_a_miss_was_found_out_does_not_change_later(engine: Engine) -> None:
    engine.now = found = DUE + timedelta(seconds=1)
    engine.sweep()
    engine.advance(hours=3)
    engine.sweep()
    engine.follow_up()

    assert engine.clock().detect_time == found


def test_a_step_for_the_other_party_reaches_its_managers_and_leadership(engine: Engine) -> None:
    engine = Engine()
    step = Step(id="both", percent=100, recipients=(Role.OTHER_PARTY, Role.LEADERSHIP))
    engine.agree(some_terms(a_promise(steps=(step,))))
    engine.submit()
    engine.assign()
    engine.now = DUE + timedelta(seconds=1)
    engine.sweep()

    (alert,) = engine.alerts()
    assert set(alert.recipients) == {MARKETING_MANAGER, LEADER}


def test_an_offer_to_a_queue_is_its_managers_problem() -> None:
    engine = Engine()
    queue = f"{TENANT}/queues/inbound"
    engine.tell(queue, leadeventspb.QueueChanged(queue=queue, team=SALES, manager=LEADER))
    engine.agree(some_terms(a_promise(CommitmentKind.ACCEPT, steps=(AT_DUE,))))
    engine.submit()
    engine.offer(to=queue)
    engine.now = DUE + timedelta(seconds=1)
    engine.sweep()

    (alert,) = engine.alerts()
    assert (alert.owner, alert.recipients) == (queue, (LEADER,))


def test_an_alert_is_acknowledged_once_and_resolved_once(engine: Engine) -> None:
    engine.now = DUE + timedelta(seconds=1)
    engine.sweep()
    (alert,) = engine.alerts()
    seen = OnAlert(name=alert.name, actor=REP, only_for=REP)
    with engine.database.writer_engine.begin() as connection:
        tx = SlaTx(connection, engine.archive, now=engine.now)
        first, second = acknowledge(tx, [seen, seen], now=engine.now)
        (resolved,) = resolve(tx, [seen], now=engine.now)
        (again,) = resolve(tx, [seen], now=engine.now)
        tx.flush()

    assert first == second
    assert isinstance(again, StateForbids)
    (kept,) = engine.alerts()
    assert kept == resolved
    assert (kept.acknowledged_by, kept.resolved_by, kept.resolve_reason) == (REP, REP, ResolveReason.BY_HAND)
    engine.follow_up()
    assert engine.alerts() == [kept]


def test_who_decides_from_an_older_state_of_a_clock_writes_nothing(engine: Engine) -> None:
    engine.now = DUE + timedelta(seconds=1)
    with engine.database.writer_engine.begin() as connection:
        late = SlaTx(connection, engine.archive, now=engine.now)
        settle(late, [HANDOFF])
        quick = SlaTx(connection, engine.archive, now=engine.now)
        settle(quick, [HANDOFF])
        quick.flush()
        with pytest.raises(ClockMoved):
            late.flush()
