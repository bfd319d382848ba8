"""Promise P18: however the logs are cut and whichever is ahead, the tables are those of a rebuild from zero."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.domain.agreements import TenantSet
from services.reports.domain.clocks import ClockChange
from services.reports.domain.handoffs import (
    Accepted,
    Closed,
    Converted,
    Disqualified,
    FollowedUp,
    Offered,
    OfferEnded,
    OfferOutcome,
    Origin,
    Qualified,
    Recycled,
    Rejected,
    Revised,
    Voided,
)
from tests.builders.reports import TENANT, a_ledger, at, clock_event, cut, handoff, submitted

_times = st.integers(-20 * 24 * 60, 40 * 24 * 60).map(lambda minutes: at(minutes=minutes))
_words = st.sampled_from([None, "", "unknown", "webform", "expo"])
_teams = st.sampled_from(["", f"{TENANT}/teams/north", f"{TENANT}/teams/south"])
_offers = st.sampled_from(["", "o1", "o2"])
_reasons = st.sampled_from(["", "bad_data", "no_budget"])
_parties = st.sampled_from(["marketing", "sales", ""])


@st.composite
def _lead_word(draw: st.DrawFn, name: str) -> Any:
    head = (TENANT, name, draw(_times))
    kind = draw(st.integers(0, 11))
    if kind == 0:
        return Revised(
            *head, Origin(draw(_words), "paid_search", draw(_words) or None, inquire_time=draw(_times))
        )
    if kind == 1:
        return Offered(*head, draw(_offers), "somebody", draw(_teams))
    if kind == 2:
        return OfferEnded(*head, draw(_offers), draw(st.sampled_from(OfferOutcome)))
    if kind == 3:
        return Accepted(*head, draw(_offers), "owner", draw(_teams), draw(st.sampled_from(["", "before"])))
    if kind == 4:
        return Rejected(*head, draw(_offers), draw(_reasons), draw(_parties))
    if kind == 5:
        return FollowedUp(*head, draw(st.booleans()), draw(st.booleans()))
    if kind == 6:
        return Qualified(*head)
    if kind == 7:
        return Disqualified(*head, draw(_reasons), draw(_parties))
    if kind == 8:
        return Recycled(*head, draw(_reasons), draw(_parties))
    if kind == 9:
        return Converted(*head, "owner")
    if kind == 10:
        currency = draw(st.sampled_from(["EUR", "KRW", ""]))
        amount = draw(st.integers(-5, 10**12)) if currency else 0
        return Closed(
            *head, draw(st.booleans()), currency, amount, "price", draw(st.sampled_from(["", "smb"]))
        )
    return Voided(*head, "test")


@st.composite
def _leads_log(draw: st.DrawFn) -> list[Any]:
    log: list[Any] = []
    begun: set[int] = set()
    for number in draw(st.lists(st.integers(0, 4), max_size=30)):
        if number == 0:
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


@st.composite
def _sla_log(draw: st.DrawFn) -> list[Any]:
    log: list[Any] = []
    begun: set[int] = set()
    for number in draw(st.lists(st.integers(1, 4), max_size=20)):
        change = draw(st.sampled_from(ClockChange)) if number in begun else ClockChange.STARTED
        begun.add(number)
        log.append(
            clock_event(
                change,
                draw(_times),
                number,
                due_time=draw(_times),
                team=draw(_teams) or None,
                parties=draw(st.sampled_from([",sales,", ",marketing,sales,"]))
                if len(begun) == 0
                else ",sales,",
            )
        )
    return log


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
