"""The same calls on a store of ten thousand leads and on one of a million, by turns, one at a time.

The ten thousand are imported; the million are copies of them, with what an import leaves in each table that
grows with leads, under ids that lie between theirs. Most are closed, as they are after a while.
What is compared is the processor time that the service spends from a call's start to its answer.
BENCH_LEADS says how many there are at the end.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from smarketing.api.leads.v1 import directory_pb2, leads_pb2_grpc
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.sql.engine import sqlite_driver
from smarketing.wallclock import new_id, new_uuid
from tests.bench.accept import one_queue
from tests.bench.events import fill
from tests.bench.ours import Ours
from tests.bench.phases import percentile
from tests.bench.requests import CLAIMERS, submission
from tests.bench.sizes import sized
from tests.bench.watched import exact_cpu_seconds

FEW: Final = sized(10_000, 100)
MANY: Final = int(os.environ.get("BENCH_LEADS", str(sized(1_000_000, 1_000))))
CALLS: Final = sized(250, 4)
WARM_UP: Final = sized(30, 1)
GOAL: Final = 1.5
"""Times that the p99 of a call may grow."""
_TENANT: Final = "tenants/default"
_LEAD_ID: Final = "substr(lead, 1, 13) || printf('u%03d', n) || substr(lead, 18)"
"""The id of a lead's n-th copy: near it in every order, and nobody else's, for no id of ours has a u."""

Figures = dict[str, Any]
Spent = dict[str, list[tuple[float, float]]]
"""Of each call, processor seconds of the service and seconds that passed, one pair a call."""


def growth() -> Figures:
    """Get, list, submit, accept and follow-up at ten thousand leads and at a million, by turns."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        began = time.perf_counter()
        few, many = Path(folder) / "few", Path(folder) / "many"
        _import(few)
        shutil.copytree(few, many)
        multiply(next(many.glob("*.db")), MANY // FEW - 1)
        filled = time.perf_counter() - began
        # Only what was imported can be opened: the personal data of copies are sealed for another lead.
        imported = _leads(few)
        stores = {FEW: _Asked(few, imported), MANY: _Asked(many, imported)}
        for each in stores.values():
            stack.callback(each.stop)
        for each in stores.values():
            each.prepare()
        for _ in range(WARM_UP + CALLS):
            for each in stores.values():
                each.ask_all()
        seen = {count: summed(each.spent) for count, each in stores.items()}
    return {"filled_seconds": filled, "calls": seen, "lines": _lines(seen, filled), **judged(seen)}


def summed(spent: Spent) -> dict[str, dict[str, float]]:
    """Return percentiles of each call, without the first ones that warmed up."""
    found: dict[str, dict[str, float]] = {}
    for call, pairs in spent.items():
        cpu, wall = (sorted(each) for each in zip(*pairs[WARM_UP:], strict=True))
        found[call] = {
            **{f"cpu_p{share}_us": 1e6 * percentile(cpu, share / 100) for share in (50, 99)},
            **{f"p{share}_ms": 1e3 * percentile(wall, share / 100) for share in (50, 99)},
        }
    return found


def judged(seen: Mapping[int, Mapping[str, Mapping[str, float]]]) -> Figures:
    """Return how much each call's processor time grew, and what that leaves of what it may."""
    few, many = seen[min(seen)], seen[max(seen)]
    ratios = {}
    for call in few:
        ratios[f"{call}_p50_grew"] = many[call]["cpu_p50_us"] / few[call]["cpu_p50_us"]
        ratios[f"{call}_p99_grew"] = many[call]["cpu_p99_us"] / few[call]["cpu_p99_us"]
    worst = max(value for name, value in ratios.items() if name.endswith("p99_grew"))
    ratios["allowed_to_worst_p99"] = GOAL / worst
    return {"ratios": ratios, "goals": {"allowed_to_worst_p99": 1.0}}


def _lines(seen: Mapping[int, Mapping[str, Mapping[str, float]]], filled: float) -> list[str]:
    lines = [f"{MANY:,} leads made in {filled:.0f} s; {CALLS} calls of each kind on each store"]
    for count, calls in seen.items():
        lines += [
            f"{count:>9,} leads: {call:9} {of['cpu_p50_us']:>6.0f} µs CPU, p99 {of['cpu_p99_us']:>6.0f};"
            f" {of['p50_ms']:>6.2f} ms, p99 {of['p99_ms']:>6.2f}"
            for call, of in calls.items()
        ]
    return lines


def _import(folder: Path) -> None:
    ours = Ours(folder, directory=_directory())
    try:
        ours.prepare()
        fill(ours, FEW)
    finally:
        ours.stop()
    connection = _open(next(folder.glob("*.db")))
    # Everybody has work of their own, on both stores.
    connection.execute(
        "UPDATE handoff SET state = 3, owner = offer_assignee, accept_time = submit_time, offer_state = 2,"
        " offer_end_time = submit_time, offer_expire_time = NULL, next_due_time = NULL"
    )
    connection.close()


class _Asked:
    """A service on a store, and what its calls cost."""

    def __init__(self, folder: Path, leads: Sequence[str]) -> None:
        self._leads = leads
        self._ours = Ours(folder, directory=_directory())
        self._chance = Random(1)
        self._run = new_id()
        self._number = 0
        self.spent: Spent = {}

    def prepare(self) -> None:
        """Wait until it serves."""
        self._ours.prepare()
        self._channel = grpc.insecure_channel(self._ours.target)
        self._stub = leads_pb2_grpc.LeadServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {self._ours.token}"),)

    def stop(self) -> None:
        """End it."""
        if hasattr(self, "_channel"):
            self._channel.close()
        self._ours.stop()

    def ask_all(self) -> None:
        """Make each call once."""
        self._number += 1
        lead, rep = self._chance.choice(self._leads), self._chance.choice(CLAIMERS[:8])
        stub, parent = self._stub, f"{_TENANT}/leads/-"
        self._ask(
            "get", stub.GetHandoff, leadspb.GetHandoffRequest(name=f"{_TENANT}/leads/{lead}/handoffs/1")
        )
        self._ask("get lead", stub.GetLead, leadspb.GetLeadRequest(name=f"{_TENANT}/leads/{lead}"))
        self._ask("list", stub.ListHandoffs, leadspb.ListHandoffsRequest(parent=parent))
        self._ask("list own", stub.ListHandoffs, leadspb.ListHandoffsRequest(parent=parent, owner=rep))
        submit = leadspb.SubmitLeadRequest(
            parent=_TENANT, request_id=new_uuid(), submission=submission(self._run, self._number)
        )
        handoff = self._ask("submit", stub.SubmitLead, submit).handoff
        accept = leadspb.AcceptOfferRequest(
            name=handoff.offer.name,
            request_id=new_uuid(),
            fencing_token=handoff.offer.fencing_token,
            person=handoff.offer.assignee,
        )
        self._ask("accept", stub.AcceptOffer, accept)
        follow_up = leadspb.LogFollowUpRequest(
            parent=handoff.name,
            request_id=new_uuid(),
            follow_up=leadspb.FollowUp(person=accept.person, channel=termspb.FOLLOW_UP_CHANNEL_CALL),
        )
        self._ask("follow-up", stub.LogFollowUp, follow_up)

    def _ask(self, call: str, method: Callable[..., Any], request: Message) -> Any:
        spent, began = exact_cpu_seconds(self._ours.process_id), time.perf_counter()
        answer = method(request, metadata=self._metadata, timeout=30)
        passed, after = time.perf_counter() - began, exact_cpu_seconds(self._ours.process_id)
        self.spent.setdefault(call, []).append((after - spent, passed))
        return answer


def _directory() -> directory_pb2.Directory:
    """Return the directory of one queue, with a rule that offers to its first eight reps in turn."""
    directory = one_queue()
    members = [directory_pb2.RoutingMember(person=rep, weight=1) for rep in CLAIMERS[:8]]
    directory.routing.rules.append(directory_pb2.RoutingRule(rule_id="eight", members=members))
    return directory


def _leads(folder: Path) -> list[str]:
    connection = _open(next(folder.glob("*.db")))
    found = [lead for (lead,) in connection.execute("SELECT lead FROM lead_person")]
    connection.close()
    return found


# Copies.


def _open(path: Path) -> Any:
    connection = sqlite_driver().connect(str(path), isolation_level=None)
    connection.create_function("varied", 2, lambda digest, n: digest[:-2] + _xored(digest[-2:], n))
    return connection


def _xored(end: bytes, n: int) -> bytes:
    return (int.from_bytes(end) ^ n).to_bytes(2)


def multiply(path: Path, copies: int) -> None:
    """Add copies of all leads to a store of which nobody has the file open."""
    connection = _open(path)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        " AND tbl_name IN ('handoff', 'lead_match', 'submission')"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for table, changed in _changes(connection).items():
        _copy(connection, table, changed, copies)
    # Made at the end, they are made in order.
    for _, statement in indexes:
        connection.execute(statement)
    _end_log(connection)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _changes(connection: Any) -> dict[str, dict[str, str]]:
    """Return, of each table that grows with leads, which columns of a copy differ, and how."""
    lead = {"lead": _LEAD_ID}
    # Of ten copies one is still worked on; the others are lost.
    handoff = {
        "state": "CASE n % 10 WHEN 0 THEN 3 ELSE 8 END",
        "external_digest": "varied(external_digest, n)",
        "account": "varied(external_digest, n)",
        "owner": "offer_assignee",
        "accept_time": "submit_time",
        "close_time": "CASE n % 10 WHEN 0 THEN NULL ELSE submit_time END",
        "submit_time": "submit_time - n * 1000000",
        "offer_state": "2",
        "offer_expire_time": "NULL",
        "offer_end_time": "submit_time",
        "next_due_time": "NULL",
    }
    [(before, first)] = connection.execute(
        "SELECT min(position) - 1, min(tenant_position) - 1 FROM event_log"
        f" WHERE subject LIKE '{_TENANT}/leads/%'"
    )
    [(last,)] = connection.execute("SELECT max(position) FROM event_log")
    start = len(f"{_TENANT}/leads/")
    event = {
        "position": f"position + n * {last - before}",
        "tenant_position": f"tenant_position + n * {last - before}",
        "subject": f"substr(subject, 1, {start + 13}) || printf('u%03d', n) || substr(subject, {start + 18})",
    }
    return {
        "lead_person": lead,
        "lead_match": {**lead, "digest": "varied(digest, n)"},
        "submission": {
            **lead,
            "external_digest": "varied(external_digest, n)",
            "sealed_external_id": "NULL",
        },
        "handoff": {**lead, **handoff},
        "event_log": event if first >= 0 else {},
    }


def _copy(connection: Any, table: str, changed: Mapping[str, str], copies: int) -> None:
    described = connection.execute(f"PRAGMA table_info({table})").fetchall()
    columns = [name for _, name, *_ in described]
    key = [name for _, name, *_, place in sorted(described, key=lambda each: each[-1]) if place]
    values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    only = f"WHERE subject LIKE '{_TENANT}/leads/%'" if table == "event_log" else ""
    connection.execute(f"CREATE TEMP TABLE first AS SELECT * FROM {table} {only}")
    order = ", ".join(changed.get(name, f'"{name}"') for name in key)
    connection.execute(
        f"WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < {copies})"
        f" INSERT OR IGNORE INTO {table} SELECT {values} FROM k, first ORDER BY {order}"
    )
    connection.execute("DROP TABLE first")


def _end_log(connection: Any) -> None:
    for view, column in (("tenants/-", "position"), (_TENANT, "tenant_position")):
        newest = f"SELECT max({column}) FROM event_log WHERE tenant = ? OR ? = 'tenants/-'"
        connection.execute(f"UPDATE log_head SET position = ({newest}) WHERE view = ?", (view, view, view))
