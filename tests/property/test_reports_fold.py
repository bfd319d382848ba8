"""Promise P18: however the logs are cut and whichever is ahead, the tables are those of a rebuild."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.consumers.lead_events import LeadEvents
from services.reports.domain.agreements import TenantSet
from services.reports.domain.clocks import AlertTold, ClockChange, RungTold
from services.reports.domain.field_notes import FeedbackGiven, FeedbackMoved
from services.reports.domain.opportunities import OpportunityStep
from services.reports.domain.words import (
    Accepted,
    Behaved,
    Closed,
    Converted,
    DisputeAnswered,
    Disputed,
    Disqualified,
    FollowedUp,
    Follows,
    Joined,
    Merged,
    Offered,
    OfferEnded,
    OfferOutcome,
    Origin,
    Qualified,
    Recycled,
    Rejected,
    Reopened,
    Replied,
    Restored,
    Returned,
    Revalued,
    Revised,
    State,
    TakenOver,
    Unmerged,
    Voided,
)
from services.reports.store.rebuild import Rebuild
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from tests.builders.reports import MONDAY, TENANT, a_ledger, at, clock_event, cut, handoff, submitted

_times = st.integers(-20 * 24 * 60, 40 * 24 * 60).map(lambda minutes: at(minutes=minutes))
_words = st.sampled_from([None, "", "unknown", "webform", "expo"])
_teams = st.sampled_from(["", f"{TENANT}/teams/north", f"{TENANT}/teams/south"])
_offers = st.sampled_from(["", "o1", "o2"])
_reasons = st.sampled_from(["", "bad_data", "no_budget"])
_channels = st.sampled_from(["call", "email"])
_grades = st.sampled_from(["confirmed", "self_reported", "back_dated"])
_parties = st.sampled_from(["marketing", "sales", ""])


def _origins() -> st.SearchStrategy[Origin]:
    return st.builds(
        Origin,
        source=_words,
        source_channel=st.just("paid_search"),
        segment=_words.map(lambda word: word or None),
        inquire_time=_times,
    )


def _closed(name: str) -> st.SearchStrategy[Any]:
    amount = st.one_of(st.tuples(st.sampled_from(["EUR", "KRW"]), st.integers(-5, 10**12)), st.just(("", 0)))
    return st.builds(
        lambda time, won, sold, segment: Closed(TENANT, name, time, won, sold[0], sold[1], "price", segment),
        _times,
        st.booleans(),
        amount,
        st.sampled_from(["", "smb"]),
    )


def _lead_word(name: str) -> st.SearchStrategy[Any]:
    def of(kind: Any, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.builds(kind, st.just(TENANT), st.just(name), _times, *parts)

    somebody = st.just("somebody")
    return st.one_of(
        of(Revised, _origins()),
        of(Offered, _offers, somebody, _teams),
        of(OfferEnded, _offers, st.sampled_from(OfferOutcome)),
        of(Accepted, _offers, somebody, _teams, st.sampled_from(["", "before"])),
        of(Rejected, _offers, _reasons, _parties, st.booleans()),
        of(FollowedUp, st.booleans(), st.booleans(), _channels, _grades, st.booleans()),
        of(Qualified),
        of(Disqualified, _reasons, _parties, st.booleans()),
        of(Recycled, _reasons, _parties),
        of(Converted, somebody, st.sampled_from(["", "EUR"]), st.integers(0, 10**9)),
        of(Revalued, st.sampled_from(["EUR", "KRW"]), st.integers(0, 10**9)),
        _closed(name),
        of(Voided, st.just("test")),
        of(Joined, _origins(), st.booleans()),
        of(TakenOver, somebody),
        of(Disputed),
        of(DisputeAnswered, st.booleans()),
        of(Follows, st.sampled_from([handoff(1), handoff(2), handoff(9)]), st.booleans()),
        of(Returned),
        of(Replied, _channels, st.booleans()),
        of(Behaved),
        of(Reopened, somebody),
        _side_word(name),
    )


def _side_word(name: str) -> st.SearchStrategy[Any]:
    feedback = st.sampled_from(["f1", "f2"])
    step = st.builds(
        OpportunityStep,
        st.just(TENANT),
        st.just(name),
        _times,
        st.just(f"{name}/opportunity"),
        st.sampled_from(["opened", "changed", "proposed", "won", "lost", "reopened"]),
        stage=st.sampled_from(["", "proposal", "contract"]),
        currency=st.sampled_from(["", "EUR"]),
        minor_units=st.integers(0, 10**9),
        probability=st.none() | st.integers(0, 100),
        close_day=st.none() | st.integers(739_000, 740_000),
    )
    given = st.builds(
        FeedbackGiven, st.just(TENANT), st.just(name), _times, feedback, st.just("price"), _reasons
    )
    statuses = st.sampled_from(["acknowledged", "done", "declined"])
    moved = st.builds(FeedbackMoved, st.just(TENANT), st.just(name), _times, feedback, statuses)
    return st.one_of(step, given, moved)


@st.composite
def _merge_word(draw: st.DrawFn, begun: set[int], merged: dict[int, int]) -> Any:
    """Return a merge of two that stand for themselves, or the way back of one; None where neither can be."""
    free = sorted(begun - merged.keys())
    if len(free) > 1 and (not merged or draw(st.booleans())):
        kept, other = draw(st.permutations(free))[:2]
        merged[other] = kept
        return Merged(TENANT, handoff(kept), draw(_times), (handoff(other),))
    if not merged:
        return None
    other = draw(st.sampled_from(sorted(merged)))
    kept = merged.pop(other)
    restored = Restored(handoff(other), draw(st.sampled_from(State)), "somebody", "")
    return Unmerged(TENANT, handoff(kept), draw(_times), (restored,))


@st.composite
def _leads_log(draw: st.DrawFn) -> list[Any]:
    log: list[Any] = []
    begun: set[int] = set()
    merged: dict[int, int] = {}
    for number in draw(st.lists(st.integers(-1, 4), max_size=40)):
        if number == -1:
            word = draw(_merge_word(begun, merged))
            log += [word] if word is not None else []
        elif number == 0:
            zone = draw(st.sampled_from(["Asia/Seoul", "America/New_York", "Etc/UTC"]))
            log.append(TenantSet(TENANT, zone, "EUR"))
        elif number not in begun:
            begun.add(number)
            log.append(
                submitted(
                    number,
                    draw(_times),
                    source=draw(_words),
                    archived=draw(st.booleans()),
                    region=draw(_words),
                )
            )
        else:
            log.append(draw(_lead_word(handoff(number))))
    return log


def _ladder_word() -> st.SearchStrategy[Any]:
    clocks = st.sampled_from(["c1", "c2"])
    rung = st.builds(
        RungTold,
        st.just(TENANT),
        clocks,
        _times,
        st.integers(1, 2),
        st.sampled_from(["half", "due"]),
        st.booleans(),
    )
    alert = st.builds(
        AlertTold,
        st.sampled_from(["a1", "a2"]),
        st.just(TENANT),
        st.just(handoff(1)),
        st.just("first-follow-up"),
        st.just("due"),
        st.none(),
        st.sampled_from(["open", "acknowledged"]),
        _times,
        st.none() | _times,
        st.none(),
    )
    return st.one_of(rung, alert)


@st.composite
def _sla_log(draw: st.DrawFn) -> list[Any]:
    log: list[Any] = []
    begun: set[int] = set()
    for number in draw(st.lists(st.integers(-1, 4), max_size=20)):
        if number < 1:
            log.append(draw(_ladder_word()))
            continue
        change = draw(st.sampled_from(ClockChange)) if number in begun else ClockChange.STARTED
        begun.add(number)
        log.append(
            clock_event(
                change,
                draw(_times),
                number,
                due_time=draw(_times),
                elapsed=draw(st.none() | st.integers(0, 10**12)),
                agreement_version=draw(st.sampled_from(_VERSIONS)),
                team=draw(_teams) or None,
                parties=",marketing,sales," if number % 2 else ",sales,",
            )
        )
    return log


_VERSIONS = (f"{TENANT}/agreements/main/versions/1", f"{TENANT}/agreements/key/versions/4")
_sizes = st.lists(st.integers(1, 7), max_size=12)


@settings(max_examples=60, deadline=None)
@given(_leads_log(), _sla_log(), _sizes, _sizes, st.lists(st.booleans(), min_size=40, max_size=40))
def test_tables_do_not_depend_on_batches_or_on_which_log_is_ahead(
    leads: list[Any], sla: list[Any], lead_sizes: list[int], sla_sizes: list[int], turns: list[bool]
) -> None:
    with a_ledger() as rebuilt:
        rebuilt.leads(*leads)
        rebuilt.sla(*sla)
        expected = rebuilt.content()

    with a_ledger() as live:
        lead_batches, sla_batches = cut(leads, lead_sizes), cut(sla, sla_sizes)
        for lead_first in turns:
            if lead_batches and (lead_first or not sla_batches):
                live.leads(*lead_batches.pop(0))
            elif sla_batches:
                live.sla(*sla_batches.pop(0))

        assert expected == live.content()


@settings(max_examples=30, deadline=None)
@given(_leads_log(), _sla_log(), st.tuples(_sizes, _sizes), st.tuples(st.integers(1, 3), st.integers(1, 9)))
def test_a_rebuild_that_writes_late_gives_the_same_tables(
    leads: list[Any], sla: list[Any], sizes: tuple[list[int], list[int]], most: tuple[int, int]
) -> None:
    with a_ledger() as live:
        live.leads(*leads)
        live.sla(*sla)
        expected = live.content()

    with a_ledger() as made:
        made.leads(*leads[:1])
        rebuild = Rebuild(made.model, most_facts=most[0], most_sums=most[1])
        steps: list[tuple[Any, ...]] = [
            (rebuild.begin,),
            *((rebuild.take_sla, batch) for batch in cut(sla, sizes[0])),
            *((rebuild.take_leads, batch) for batch in cut(leads, sizes[1])),
            (rebuild.finish,),
        ]
        for step, *batch in steps:
            with made.database.writer_engine.begin() as connection:
                step(connection, *batch)

        assert expected == made.content()


@settings(max_examples=40, deadline=None)
@given(_leads_log(), _sla_log())
def test_every_handoff_and_clock_is_counted_once_and_no_row_counts_nothing(
    leads: list[Any], sla: list[Any]
) -> None:
    with a_ledger() as ledger:
        for word in leads:
            ledger.leads(word)
        ledger.sla(*sla)
        content = ledger.content()

        tables = ledger.tables
        day = [row for row in _rows(tables.handoff_rollup, content) if row["grain"] == 0]
        month = [row for row in _rows(tables.handoff_rollup, content) if row["grain"] == 1]
        facts = len(content["handoff_fact"])
        assert facts == sum(row["items"] for row in day if row["anchor"] == "submitted")
        assert facts == sum(row["items"] for row in month if row["anchor"] == "submitted")
        clocks = [row for row in _rows(tables.clock_rollup, content) if row["grain"] == 0]
        states = ("met", "breached", "excused", "void", "running", "paused")
        assert len(content["clock_fact"]) == sum(row["items"] for row in clocks)
        assert len(content["clock_fact"]) == sum(row[state] for row in clocks for state in states)
        assert all(row["items"] > 0 for table in tables.rollups for row in _rows(table, content))


def _rows(table: Any, content: dict[str, list[tuple[Any, ...]]]) -> list[dict[str, Any]]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in content[table.name]]


_TENANTS = ("tenants/-", TENANT, "tenants/other")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(_TENANTS), min_size=1, max_size=20), _sizes)
def test_how_far_a_tenant_is_folded_does_not_depend_on_batches_or_on_other_tenants(
    tenants: list[str], sizes: list[int]
) -> None:
    events = [_event(tenants, at_event) for at_event in range(len(tenants))]
    contents = []
    for batches in ([events], cut(events, sizes)):
        with a_ledger() as ledger:
            fold = LeadEvents(ledger.model, lambda _connection, _events: None)
            for batch in batches:
                with ledger.database.writer_engine.begin() as connection:
                    fold.apply(connection, batch, MONDAY)
            contents.append(ledger.content())

    whole, in_parts = contents
    assert in_parts == whole
    assert {row[1]: row[3] for row in whole["folded_tenant"]} == {
        tenant: tenants.count(tenant) for tenant in _TENANTS[1:] if tenant in tenants
    }


def _event(tenants: list[str], index: int) -> eventlogpb.Event:
    event = eventlogpb.Event(
        log_id="00000000-0000-4000-8000-000000000001",
        position=index + 1,
        tenant=tenants[index],
        tenant_position=tenants[: index + 1].count(tenants[index]),
    )
    event.record_time.FromDatetime(MONDAY + timedelta(seconds=index))
    event.payload.Pack(leadeventspb.QueueChanged())
    return event
