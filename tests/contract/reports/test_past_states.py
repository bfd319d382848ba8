"""Answers from past states are those that were given then, whatever was folded in since."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest
from google.protobuf import symbol_database
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import MetaData, update

from services.reports.consumers.lead_events import LeadEvents
from services.reports.consumers.replay import LogReplay
from services.reports.consumers.sla_events import SlaEvents
from services.reports.domain.as_of import AskedAsOf
from services.reports.domain.errors import AsOfInvalid, AsOfOutOfReach
from services.reports.domain.inputs import InputEntry, InputKind
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.kpis import KPIS
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period, micros_of
from services.reports.store.figures import Figures
from services.reports.store.fold import ReadModel
from services.reports.store.input_journal import InputJournal
from services.reports.store.inputs import InputStore
from services.reports.store.marketing_quotas import MarketingQuotas
from services.reports.store.queries import Queries, Question
from services.reports.store.schema import define_tables
from services.reports.store.snapshots import Snapshots
from services.reports.usecases.past_states import PastStates
from smarketing import wallclock
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.eventlog import reading
from smarketing.eventlog.feed import FeedBatch
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.eventlog.tables import define_tables as define_log
from smarketing.sql import Database, Writer, open_database
from tests.builders.long_log import life
from tests.builders.reports import MONDAY, TENANT

_TABLES = define_tables(MetaData())
_MODEL = ReadModel(_TABLES)
_QUOTAS = MarketingQuotas(_TABLES)
_FIGURES = Figures(Queries(_TABLES))
_JOURNAL = InputJournal(_TABLES.input_change)
_INPUTS = InputStore(_TABLES.input_entry, _JOURNAL)
_OTHER = "tenants/another"
_WHOLE = "tenants/-"
_MARCH = Period.month(2026, 3)


class Log:
    """A peer's log in memory, read as a feed reads it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.read_from: int | None = None
        metadata = MetaData()
        define_log(metadata)
        with database.writer_engine.begin() as connection:
            metadata.create_all(connection)
            reading.ensure_identity(connection, new_log_id=wallclock.new_uuid)

    def tell(self, told: Sequence[tuple[str, datetime, Message]], now: datetime, tenant: str) -> None:
        events = [
            NewEvent(tenant=tenant, subject=subject, occur_time=time, actor="services/peer", payload=payload)
            for subject, time, payload in told
        ]
        with self.database.writer_engine.begin() as connection:
            append(connection, events, now=now)

    def page(self, view: str, log_id: str, after: int, limit: int) -> FeedBatch:
        if self.read_from is None or after < self.read_from:
            self.read_from = after
        with self.database.reading() as connection:
            page = reading.read(connection, view, after=after, limit=limit, log_id=log_id)
        return FeedBatch(page.log_id, page.events, page.head_position)


@dataclass
class View:
    """One view of a log."""

    log: Log
    view: str

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        return self.log.page(self.view, log_id, after, limit)


@dataclass
class House:
    """A read model that follows two logs, with its copies and its past states."""

    leads: Log
    sla: Log
    live: Database
    snapshots: Snapshots
    past: PastStates
    passed: list[float]
    now: datetime = MONDAY
    positions: tuple[int, int] = (0, 0)

    def fold(self, most: int = 10_000) -> None:
        """Fold in so many events of each log at most."""
        leads, sla = LeadEvents(_MODEL, lambda *_: None), SlaEvents(_MODEL, _QUOTAS)
        done = []
        for log, apply, position in zip(
            (self.leads, self.sla), (leads.apply, sla.apply), self.positions, strict=True
        ):
            events = log.page(_WHOLE, "", position, most).events
            if events:
                with self.live.writer_engine.begin() as connection:
                    apply(connection, events, self.now)
            done.append(position + len(events))
        self.positions = (done[0], done[1])

    def record(self, *entries: InputEntry) -> None:
        with self.live.writer_engine.begin() as connection:
            _INPUTS.record(connection, entries, may_replace=lambda _: True, now=micros_of(self.now))

    def asked(self, tenant: str, *, above: bool = False) -> AskedAsOf:
        """Return what an answer of now would say it rests on."""
        queries = _FIGURES.queries
        with self.live.reading() as connection:
            folded = queries.folded(connection) if above else queries.folded_of(connection, tenant)
            positions = {log.service: (log.log_id, log.position) for log in folded}
            changes = _JOURNAL.count(connection, tenant)
        return AskedAsOf(micros_of(self.now), positions | ({"reports": ("", changes)} if changes else {}))

    def present(self, read: Callable[[Any], Any]) -> Any:
        with self.live.reading() as connection:
            return read(connection)

    async def then(
        self, asked: AskedAsOf, read: Callable[[Any], Any], tenant: str = TENANT, *, above: bool = False
    ) -> Any:
        return await self.past.read(tenant, asked, read, now=micros_of(self.now), above=above)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        leads, sla = (Log(stack.enter_context(Database.in_memory())) for _ in range(2))
        live = stack.enter_context(open_database(f"sqlite:///{tmp_path / 'live.db'}", check=False))
        with live.writer_engine.begin() as connection:
            _TABLES.metadata.create_all(connection)
        writer = await stack.enter_async_context(Writer(live, now=lambda: MONDAY))
        snapshots = Snapshots(tmp_path / "copies", schema="1", most_bytes=10**9)
        passed = [0.0]
        past = PastStates(
            writer,
            _TABLES,
            snapshots=snapshots,
            replay=LogReplay(
                _MODEL, {"leads": lambda view: View(leads, view), "sla": lambda view: View(sla, view)}
            ),
            folder=tmp_path / "past",
            monotonic=lambda: passed[0],
        )
        stack.push_async_callback(past.close)
        yield House(leads, sla, live, snapshots, past, passed)


def _everything(tenant: str, now: int) -> Callable[[Any], dict[str, Any]]:
    """Return what asks every report, and every figure, of a month and of all time."""

    def read(connection: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for period in (_MARCH, None):
            question = Question(tenant=tenant, period=period, now=now)
            by_source = replace(question, group_by=(Dimension.SOURCE,))
            for basis in Basis:
                found[f"funnel {basis} {period}"] = _FIGURES.funnel(connection, by_source, basis)
            found[f"scores {period}"] = _FIGURES.scores(connection, question)
            found[f"compliance {period}"] = _FIGURES.compliance(connection, question)
            found[f"responses {period}"] = _FIGURES.response_times(connection, by_source)
        whole = Question(tenant=tenant, period=_MARCH, now=now)
        return found | {kpi_id: _figure(connection, kpi_id, whole) for kpi_id in KPIS}

    return read


def _nothing(_connection: Any) -> None:
    """Ask nothing: that there is such a state is the answer."""


def _figure(connection: Any, kpi_id: str, question: Question) -> Any:
    bases: Sequence[Basis | None] = KPIS[kpi_id].bases or [None]
    return [_FIGURES.query(connection, kpi_id, question, basis) for basis in bases]


Told = tuple[str, datetime, Message]


def _told_of_leads(tenant: str) -> list[Told]:
    """Return what a tenant's log tells of fourteen handoffs, as it happened."""
    chance = Random(tenant)
    starts = (micros_of(MONDAY + timedelta(hours=7 * number)) for number in range(14))
    events = chain.from_iterable(life(chance, number, start) for number, start in enumerate(starts))
    told = [
        ("subject", event.occur_time.ToDatetime(UTC), _of_tenant(event.payload, tenant)) for event in events
    ]
    zone = leadeventspb.TenantChanged(time_zone="Asia/Seoul", currency_code="EUR")
    return [("subject", MONDAY, zone), *sorted(told, key=lambda each: each[1])]


def _of_tenant(packed: Any, tenant: str) -> Message:
    kind = symbol_database.Default().GetSymbol(packed.type_url.rpartition("/")[2])
    # Both tenants' names are equally long, so that lengths within the message stay true.
    message: Message = kind.FromString(packed.value.replace(TENANT.encode(), tenant.encode()))
    return message


def _told_of_sla(tenant: str) -> list[Told]:
    chance = Random(tenant)
    version, calendar = f"{tenant}/agreements/main/versions/1", f"{tenant}/calendars/office/versions/1"
    hours = [
        slapb.WeeklyWindow(iso_weekday=day, open_time="09:00", close_time="17:00") for day in range(1, 6)
    ]
    promise = slapb.Commitment(
        commitment_id="first-follow-up",
        parties=[termspb.PARTY_SALES],
        kind=slapb.COMMITMENT_KIND_FIRST_FOLLOW_UP,
        objective_basis_points=9000,
    )
    made = slapb.CalendarVersion(name=calendar, time_zone="Etc/UTC", weekly_windows=hours)
    agreed = slapb.AgreementVersion(
        name=version,
        state=slapb.AgreementVersion.STATE_ACTIVE,
        calendar_version=calendar,
        commitments=[promise],
    )
    told: list[Told] = [
        ("subject", MONDAY, slaeventspb.CalendarVersionCreated(calendar_version=made)),
        ("subject", MONDAY, slaeventspb.AgreementVersionChanged(agreement_version=agreed)),
    ]
    for number in range(14):
        start = MONDAY + timedelta(hours=7 * number)
        due, end = start + timedelta(hours=8), start + timedelta(hours=chance.randrange(1, 60))
        clock = _clock(tenant, number, start, due)
        took = Duration(seconds=int((end - start).total_seconds()))
        told.append(("subject", start, slaeventspb.ClockStarted(clock=clock)))
        if end <= due:
            told.append(("subject", end, slaeventspb.ClockMet(clock=clock, elapsed_duration=took)))
            continue
        told.append(("subject", due, slaeventspb.ClockBreached(clock=clock)))
        if number % 3:
            told.append(("subject", end, slaeventspb.ClockStoppedLate(clock=clock, elapsed_duration=took)))
    return sorted(told, key=lambda each: each[1])


def _clock(tenant: str, number: int, start: datetime, due: datetime) -> slaeventspb.ClockFacts:
    return slaeventspb.ClockFacts(
        clock=f"{tenant}/clocks/c{number}",
        handoff=f"{tenant}/leads/l{number:08}/handoffs/1",
        agreement_version=f"{tenant}/agreements/main/versions/1",
        commitment_id="first-follow-up",
        parties=[termspb.PARTY_SALES],
        kind=slapb.COMMITMENT_KIND_FIRST_FOLLOW_UP,
        basis=slapb.TIME_BASIS_BUSINESS,
        cycle=1,
        start_time=_instant(start),
        original_due_time=_instant(due),
        due_time=_instant(due),
        team=f"{tenant}/teams/north0",
    )


def _instant(time: datetime) -> Timestamp:
    instant = Timestamp()
    instant.FromDatetime(time)
    return instant


def _cost(tenant: str, number: int, revision: int) -> InputEntry:
    return InputEntry(
        tenant=tenant,
        source_system="books",
        external_id=f"c{number}",
        revision=revision,
        kind=InputKind.COST.value,
        word="media",
        first_day=_MARCH.first,
        last_day=_MARCH.last,
        number=1000 * (revision + 1),
        currency="EUR",
        party="marketing",
    )


def _live_through(house: House, chance: Random) -> Iterator[None]:
    """Let a month and more pass in steps: events are told late, folded in parts, and copied now and then."""
    told = [
        (log, tenant, each)
        for tenant in (TENANT, _OTHER)
        for log, all_told in ((house.leads, _told_of_leads(tenant)), (house.sla, _told_of_sla(tenant)))
        for each in all_told
    ]
    # Some are told days after they happened; each log's own order of telling is that of its positions.
    told.sort(key=lambda each: each[2][1])
    step = len(told) // 12 + 1
    for number in range(12):
        for log, tenant, each in told[number * step : (number + 1) * step]:
            house.now = max(house.now + timedelta(seconds=1), each[1])
            log.tell([each], house.now, tenant)
        house.record(_cost(TENANT, number % 5, number), _cost(_OTHER, 1, number))
        house.fold(chance.randrange(5, 60))
        if number in (4, 8):
            house.snapshots.make(house.live)
        house.now += timedelta(minutes=1)
        yield


async def test_every_answer_is_given_again_from_the_state_that_it_rested_on(house: House) -> None:
    given: list[tuple[str, bool, AskedAsOf, dict[str, Any]]] = []
    for number, _ in enumerate(_live_through(house, Random(1))):
        tenant, above = (TENANT, number == 1) if number % 2 else (_OTHER, False)
        if number in (1, 3, 6, 9):
            asked = house.asked(tenant, above=above)
            given.append((tenant, above, asked, house.present(_everything(tenant, asked.time))))
    house.fold()

    assert any(answers != given[-1][3] for *_, answers in given)
    for tenant, above, asked, answers in given:
        again = await house.then(asked, _everything(tenant, asked.time), tenant, above=above)
        assert again == answers


async def test_an_instant_alone_means_what_had_been_recorded_until_then(house: House) -> None:
    given = []
    for number, _ in enumerate(_live_through(house, Random(2))):
        house.fold()
        if number in (3, 7):
            time = micros_of(house.now)
            given.append((time, house.present(_everything(TENANT, time))))
    for time, answers in given:
        assert answers == await house.then(AskedAsOf(time), _everything(TENANT, time))


async def test_only_what_lies_behind_the_nearest_copy_is_read_again(house: House) -> None:
    for _ in _live_through(house, Random(3)):
        pass
    house.fold()
    copy = house.snapshots.make(house.live)
    assert copy is not None
    asked = [house.asked(TENANT), house.asked(TENANT, above=True)]
    for each, above in zip(asked, (False, True), strict=True):
        house.leads.read_from = house.sla.read_from = None
        await house.then(each, _nothing, above=above)
        places = copy.logs if above else copy.tenants[TENANT]
        # What is read is the event at the copy's own place, which tells that the log is still the same.
        assert house.leads.read_from == places["leads"].position - 1
        assert house.sla.read_from == places["sla"].position - 1


async def test_a_copy_of_a_divided_log_is_of_no_place_of_the_whole_and_serves_tenants_alone(
    house: House,
) -> None:
    for _ in _live_through(house, Random(3)):
        pass
    house.fold()
    _name_log(house.live, "leads", "leads.0of2")
    copy = house.snapshots.make(house.live)
    _name_log(house.live, "leads.0of2", "leads")
    assert copy is not None
    for older in house.snapshots.all()[:-1]:
        house.snapshots.discard(older)
    asked = [house.asked(TENANT), house.asked(TENANT, above=True)]
    found = []
    for each, above in zip(asked, (False, True), strict=True):
        house.leads.read_from = None
        await house.then(each, _nothing, above=above)
        found.append(house.leads.read_from)

    assert found == [copy.tenants[TENANT]["leads"].position - 1, 0]


def _name_log(database: Database, name: str, new: str) -> None:
    with database.writer_engine.begin() as connection:
        log = _TABLES.folded_log
        connection.execute(update(log).where(log.c.service == name).values(service=new))


async def test_a_copy_of_a_log_that_was_restored_since_is_not_used(house: House) -> None:
    live = _live_through(house, Random(4))
    next(live)
    house.fold()
    house.snapshots.make(house.live)
    with house.leads.database.writer_engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS event_log_no_update")
        connection.exec_driver_sql("UPDATE event_log SET record_time = record_time + 1, checksum = NULL")
    await house.then(house.asked(TENANT), _nothing)

    assert house.snapshots.all() == []


def _cut_off(packed: bytes) -> bytes:
    return packed[: len(packed) // 2]


def _scribbled(packed: bytes) -> bytes:
    return packed[:40] + b"\xff" * 40 + packed[80:]


@pytest.mark.parametrize("spoil", [_cut_off, _scribbled])
async def test_a_copy_that_cannot_be_read_is_passed_over(
    house: House, spoil: Callable[[bytes], bytes]
) -> None:
    live = _live_through(house, Random(7))
    next(live)
    house.fold()
    copy = house.snapshots.make(house.live)
    assert copy is not None
    asked = house.asked(TENANT)
    answers = house.present(_everything(TENANT, asked.time))
    copy.path.write_bytes(spoil(copy.path.read_bytes()))

    assert await house.then(asked, _everything(TENANT, asked.time)) == answers


async def test_inputs_told_in_the_instant_of_an_answer_that_named_none_are_not_in_it(house: House) -> None:
    house.leads.tell(_told_of_leads(TENANT)[:5], house.now, TENANT)
    house.fold()
    asked = house.asked(TENANT)
    house.record(_cost(TENANT, 1, 1))

    assert await house.then(asked, lambda connection: _JOURNAL.count(connection, TENANT)) == 0


async def test_of_past_states_asked_for_at_once_three_are_kept_and_ten_minutes_later_none(
    house: House, tmp_path: Path
) -> None:
    asked = []
    for number, _ in enumerate(_live_through(house, Random(8))):
        if number % 2:
            house.fold()
            asked.append(house.asked(TENANT))
    await asyncio.gather(*(house.then(each, _nothing) for each in asked * 3))

    assert len(asked) == 6
    assert len(list((tmp_path / "past").iterdir())) == 3
    house.passed[0] = 601.0
    await house.past.forget_idle()
    assert list((tmp_path / "past").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"time": micros_of(MONDAY) + 10**15}, AsOfInvalid),
        ({"time": micros_of(MONDAY) - 400 * 86_400_000_000}, AsOfOutOfReach),
        ({"positions": {"leads": ("another", 1)}}, AsOfInvalid),
        ({"positions": {"leads": ("", 10**9)}}, AsOfInvalid),
        ({"positions": {"nobody": ("", 1)}}, AsOfInvalid),
        ({"positions": {"reports": ("", 10**9)}}, AsOfInvalid),
    ],
)
async def test_a_state_that_never_was_or_lies_too_far_back_is_refused(
    house: House, changes: dict[str, Any], error: type[Exception]
) -> None:
    live = _live_through(house, Random(5))
    next(live)
    asked = house.asked(TENANT)
    known = asked.positions or {}
    if changes.get("positions", {}).get("leads", ("", 0))[1] == 10**9:
        changes = {"positions": {"leads": (known["leads"][0], 10**9)}}
    with pytest.raises(error):
        await house.then(replace(asked, **changes), _nothing)


async def test_a_log_that_no_longer_reaches_back_is_told(house: House) -> None:
    live = _live_through(house, Random(6))
    next(live)
    house.fold()
    asked = house.asked(TENANT)
    with house.leads.database.writer_engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM event_log WHERE tenant_position < 4")

    with pytest.raises(AsOfOutOfReach):
        await house.then(asked, _nothing)
