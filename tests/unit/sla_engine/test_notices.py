"""Reaching people: in their hours, in their language, all at once, and never twice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from services.sla.domain.agreement import Delivery, Role
from services.sla.domain.almanac import Leave
from services.sla.domain.notice import Channel, ChannelWay, Language
from services.sla.domain.terms import Step
from services.sla.store import schema
from services.sla.store.notices import put_channel
from services.sla.store.tx import SlaTx
from services.sla.usecases.alerts import OnAlert, Snooze, resolve, snooze
from services.sla.usecases.calendars import MakeCalendar, RecordLeave, make_calendars, record_leave
from services.sla.usecases.notices import Telling, tell_batch
from services.sla.wire.notices import span_text
from smarketing.businesstime import BusinessTime, Calendar
from smarketing.delivery import Sealer
from tests.builders.sla_engine import (
    AT_DUE,
    HANDOFF,
    LEADER,
    MARKETING_MANAGER,
    MONDAY_NINE,
    OTHER_REP,
    REP,
    SALES_MANAGER,
    TENANT,
    WARN_AT_HALF,
    Engine,
    a_promise,
    some_terms,
)

DUE = MONDAY_NINE + timedelta(hours=4)
WINDOW = timedelta(minutes=1)
SEALER = Sealer(bytes(32))
MINJI = "minji.kim@example.com"


def an_engine(*steps: Step) -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise(steps=steps or (AT_DUE,))))
    return engine


def reach(engine: Engine, person: str, way: ChannelWay = ChannelWay.EMAIL, **changed: Any) -> Channel:
    channel = Channel(
        tenant="default",
        person=person,
        way=way,
        endpoint_id=f"{person.rsplit('/', 1)[1]}-{way.value}",
        update_time=engine.now,
        **changed,
    )
    with engine.database.writer_engine.begin() as connection:
        return put_channel(connection, channel, MINJI, sealer=SEALER, now=engine.now)


def work_in(engine: Engine, name: str, zone: str, opens: str, closes: str) -> str:
    days = {day: [[opens, closes]] for day in ("mon", "tue", "wed", "thu", "fri")}
    request = MakeCalendar(
        tenant="default", id=name, title=name, calendar=Calendar.of(zone, days), actor=SALES_MANAGER
    )
    act(engine, lambda tx: make_calendars(tx, [request], now=engine.now))
    return f"{TENANT}/calendars/{name}"


def act(engine: Engine, use: Callable[[SlaTx], Any]) -> Any:
    with engine.database.writer_engine.begin() as connection:
        tx = SlaTx(connection, engine.archive, now=engine.now)
        answer = use(tx)
        tx.flush()
    return answer


def tell(engine: Engine) -> int:
    telling = Telling(window=WINDOW, link_base="https://smarketing.example/")
    with engine.database.writer_engine.begin() as connection:
        return tell_batch(connection, engine.archive, telling, now=engine.now)


def told(engine: Engine) -> list[tuple[str, dict[str, Any]]]:
    """Return what is in the queue: endpoint and content, the first one at the head."""
    table = schema.delivery_tables.message
    query = select(table.c.endpoint_id, table.c.payload).order_by(table.c.create_time, table.c.endpoint_id)
    with engine.database.reading() as connection:
        return [(endpoint, orjson.loads(payload)) for endpoint, payload in connection.execute(query)]


def miss(engine: Engine, count: int = 1) -> None:
    for number in range(count):
        handoff = f"{TENANT}/leads/l{number}/handoffs/h{number}"
        engine.submit(handoff)
        engine.assign(handoff)
    engine.now = max(engine.now, DUE + timedelta(minutes=42))
    engine.sweep()


def test_a_miss_is_told_in_english_with_everything_its_reader_needs() -> None:
    engine = an_engine()
    reach(engine, REP)
    engine.submit()
    engine.assign()
    engine.now = DUE + timedelta(seconds=41)
    engine.sweep()
    assert tell(engine) == 0
    engine.now = DUE + timedelta(seconds=41) + WINDOW
    assert (tell(engine), tell(engine)) == (1, 0)

    ((endpoint, mail),) = told(engine)
    assert endpoint == "rep-email"
    assert mail["subject"] == "Missed: First follow up — 2026-09-21 13:00 Asia/Seoul"
    assert mail["text"].splitlines() == [
        "Missed: First follow up",
        f"  Handoff: {HANDOFF}",
        "  Commitment: first-follow-up",
        "  Owner: rep",
        "  Due: 2026-09-21 13:00 Asia/Seoul (1 min ago, open hours only)",
        (
            "  What to do: Contact the lead and log the follow-up. "
            "If you cannot do it now, ask your manager to reassign it."
        ),
        f"  https://smarketing.example/{HANDOFF}",
    ]


def test_a_warning_is_told_in_korean_in_the_zone_of_its_reader() -> None:
    engine = an_engine(WARN_AT_HALF)
    reach(
        engine,
        REP,
        language=Language.KOREAN,
        calendar=work_in(engine, "auckland", "Pacific/Auckland", "00:00", "24:00"),
    )
    engine.submit()
    engine.assign()
    engine.now = MONDAY_NINE + timedelta(hours=2)
    engine.sweep()
    engine.now += WINDOW
    tell(engine)

    ((_, mail),) = told(engine)
    assert mail["language"] == "ko"
    # Standard time is UTC+12 there until the last Sunday of September.
    assert mail["subject"] == "기한 임박: First follow up — 2026-09-21 16:00 Pacific/Auckland"
    assert "  기한: 2026-09-21 16:00 Pacific/Auckland (업무 시간 기준 1시간 59분 남음)" in mail["text"]
    assert "  할 일: 리드에게 연락하고 후속 연락을 기록하세요." in mail["text"]
    assert f"  https://smarketing.example/{HANDOFF}" in mail["text"]


@pytest.mark.parametrize(
    ("seconds", "english", "korean"),
    [(0, "0 s", "0초"), (42, "42 s", "42초"), (60, "1 min", "1분"), (7500, "2 h 05 min", "2시간 5분")],
)
def test_short_spans_are_told_in_seconds(seconds: int, english: str, korean: str) -> None:
    span = BusinessTime(seconds * 1_000_000)
    assert (span_text(span, Language.ENGLISH), span_text(span, Language.KOREAN)) == (english, korean)


def test_fifty_misses_of_one_morning_are_one_message_that_names_them_all() -> None:
    engine = an_engine()
    reach(engine, REP)
    reach(engine, SALES_MANAGER, language=Language.KOREAN)
    miss(engine, 50)
    engine.now += WINDOW
    assert tell(engine) == 2

    by_endpoint = dict(told(engine))
    assert by_endpoint.keys() == {"rep-email", "sales-manager-email"}
    for mail in by_endpoint.values():
        named = [number for number in range(50) if f"/leads/l{number}/handoffs/h{number}\n" in mail["text"]]
        assert named == list(range(50))
    assert by_endpoint["rep-email"]["subject"] == "50 alerts: 50 missed, 0 due soon"
    assert by_endpoint["sales-manager-email"]["subject"] == "알림 50건: 기한 초과 50건, 기한 임박 0건"
    assert "지금 처리되게 하거나 핸드오프를 재배정하세요." in by_endpoint["sales-manager-email"]["text"]


def test_outside_their_hours_people_are_told_at_their_next_opening() -> None:
    engine = an_engine()
    # Nine to five in Madrid is 16:00 to 24:00 in Seoul; due is 13:00 there, six in the morning in Madrid.
    reach(engine, REP, calendar=work_in(engine, "madrid", "Europe/Madrid", "09:00", "17:00"))
    miss(engine, 2)
    engine.now = datetime(2026, 9, 21, 6, 59, tzinfo=UTC) + WINDOW
    assert tell(engine) == 0
    engine.now = datetime(2026, 9, 21, 7, 0, tzinfo=UTC) + WINDOW
    assert tell(engine) == 1


def test_leave_keeps_alerts_until_its_end() -> None:
    engine = an_engine()
    back = DUE + timedelta(days=3)
    leave = Leave(tenant="default", person=REP, id="trip", start_time=MONDAY_NINE, end_time=back)
    request = RecordLeave(leave=leave, actor=REP, only_for=REP)
    act(engine, lambda tx: record_leave(tx, [request], now=engine.now))
    reach(engine, REP)
    miss(engine)
    engine.now = back - timedelta(microseconds=1) + WINDOW
    assert tell(engine) == 0
    engine.now = back + WINDOW
    assert tell(engine) == 1


def test_a_rung_may_say_that_whoever_covers_is_told_instead() -> None:
    engine = an_engine(Step(id="due", percent=100, recipients=(Role.OWNER,), delivery=Delivery.COVER))
    night = work_in(engine, "madrid", "Europe/Madrid", "09:00", "17:00")
    reach(engine, REP, calendar=night, cover=OTHER_REP)
    reach(engine, OTHER_REP)
    miss(engine)
    engine.now += WINDOW
    assert tell(engine) == 1

    ((endpoint, mail),) = told(engine)
    assert endpoint == "other-rep-email"
    assert "  You are told because you cover for rep." in mail["text"]
    engine.now += timedelta(days=2)
    assert tell(engine) == 0


def test_where_the_cover_sleeps_too_the_recipient_is_told_at_their_opening() -> None:
    engine = an_engine(Step(id="due", percent=100, recipients=(Role.OWNER,), delivery=Delivery.COVER))
    madrid = work_in(engine, "madrid", "Europe/Madrid", "09:00", "17:00")
    reach(engine, REP, calendar=madrid, cover=OTHER_REP)
    reach(engine, OTHER_REP, calendar=madrid)
    miss(engine)
    engine.now = datetime(2026, 9, 21, 7, 0, tzinfo=UTC) + WINDOW
    tell(engine)
    assert [endpoint for endpoint, _ in told(engine)] == ["rep-email"]


def test_a_rung_may_say_at_once_and_then_waits_neither_for_hours_nor_for_others() -> None:
    engine = an_engine(Step(id="due", percent=100, recipients=(Role.OWNER,), delivery=Delivery.AT_ONCE))
    reach(engine, REP, calendar=work_in(engine, "madrid", "Europe/Madrid", "09:00", "17:00"))
    miss(engine)
    assert tell(engine) == 1


def test_what_was_dealt_with_while_it_waited_is_told_to_nobody() -> None:
    engine = an_engine()
    reach(engine, REP)
    miss(engine, 2)
    engine.follow_up(f"{TENANT}/leads/l0/handoffs/h0")
    engine.now += WINDOW
    assert tell(engine) == 1
    ((_, mail),) = told(engine)
    assert "/leads/l1/" in mail["text"]
    assert "/leads/l0/" not in mail["text"]


def test_an_alert_that_is_put_off_is_told_when_that_is_over_and_once() -> None:
    engine = an_engine()
    reach(engine, REP)
    miss(engine)
    engine.now += WINDOW
    assert tell(engine) == 1
    (alert,) = engine.alerts()
    until = engine.now + timedelta(hours=1)
    request = Snooze(name=alert.name, actor=REP, only_for=REP, until=until)
    act(engine, lambda tx: snooze(tx, [request], now=engine.now))
    (put_off,) = engine.alerts()
    assert (put_off.snooze_until_time, put_off.snoozed_by, put_off.state) == (until, REP, alert.state)
    engine.now = until - timedelta(microseconds=1)
    assert tell(engine) == 0
    engine.now = until + WINDOW
    assert (tell(engine), tell(engine)) == (1, 0)
    table = schema.delivery_tables.message
    with engine.database.reading() as connection:
        ids = list(connection.execute(select(table.c.message_id)).scalars())
    assert len(set(ids)) == 2


def test_an_alert_that_is_put_off_and_dealt_with_comes_never_again() -> None:
    engine = an_engine()
    reach(engine, REP)
    miss(engine)
    (alert,) = engine.alerts()
    until = engine.now + timedelta(hours=1)
    act(
        engine,
        lambda tx: snooze(
            tx, [Snooze(name=alert.name, actor=REP, only_for=REP, until=until)], now=engine.now
        ),
    )
    act(engine, lambda tx: resolve(tx, [OnAlert(name=alert.name, actor=REP, only_for=REP)], now=engine.now))
    engine.now = until + WINDOW
    assert tell(engine) == 0


def test_whoever_has_the_role_when_the_rung_fires_is_told_and_not_whoever_had_it() -> None:
    engine = an_engine(
        Step(id="due", percent=100, recipients=(Role.OWNER, Role.OTHER_PARTY, Role.LEADERSHIP, Role.QUEUE))
    )
    for person in (REP, OTHER_REP, SALES_MANAGER, MARKETING_MANAGER, LEADER):
        reach(engine, person)
    engine.submit()
    engine.assign()
    engine.now += timedelta(hours=1)
    engine.assign(to=OTHER_REP)
    engine.now = DUE + timedelta(minutes=1)
    engine.sweep()
    engine.now += WINDOW
    tell(engine)
    texts = {endpoint: mail["text"] for endpoint, mail in told(engine)}
    assert texts.keys() == {
        "other-rep-email",
        "sales-manager-email",
        "marketing-manager-email",
        "leader-email",
    }
    assert len({text.split("What to do: ")[1].splitlines()[0] for text in texts.values()}) == 4


def test_no_address_stands_in_events_messages_or_tables_in_the_open() -> None:
    engine = an_engine()
    reach(engine, REP)
    miss(engine)
    engine.now += WINDOW
    tell(engine)
    with engine.database.reading() as connection:
        for table in schema.metadata.sorted_tables:
            for row in connection.execute(select(table)):
                assert MINJI not in str(tuple(row)), table.name


def test_a_changed_address_takes_over_what_waits_and_a_removed_way_is_forgotten() -> None:
    engine = an_engine()
    first = reach(engine, REP)
    second = reach(engine, REP, language=Language.KOREAN)
    assert first.endpoint_id == second.endpoint_id
    endpoint = schema.delivery_tables.endpoint
    with engine.database.reading() as connection:
        assert len(connection.execute(select(endpoint)).all()) == 1
