"""64 reps take from one queue at once, beside the submits that filled it, by turns in the same service."""

from dataclasses import replace
from statistics import median
from typing import Any, Final

from smarketing.api.leads.v1 import directory_pb2
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.bench.loading import Loaded, Run, closed_loop
from tests.bench.requests import CLAIMERS, QUEUE
from tests.bench.shapes import SQLITE, SQLITE_NATIVE, running
from tests.bench.sizes import is_small, lasting, sized

GOAL: Final = 0.6
"""Of the submits a second."""
ROUNDS: Final = 3
_MOST_A_SECOND: Final = 6_000
_TENANT: Final = "tenants/default"
_NAMES: Final = ("per_second", "p50_ms", "p99_ms", "server_cpu_us")

Figures = dict[str, Any]


def accept() -> Figures:
    """`ClaimOffer` of 64 reps on one queue, beside `SubmitLead` with as many in flight."""
    shapes = (SQLITE,) if is_small() else (SQLITE, SQLITE_NATIVE)
    with running(shapes, directory=one_queue()) as started:
        seen = {shape: measured(each.loaded) for shape, each in started.items()}
    ratios = {
        f"{shape.replace(' ', '_')}_to_submit": of["claim"]["per_second"] / of["submit"]["per_second"]
        for shape, of in seen.items()
    }
    lines = [
        f"{shape}: {call:6} {figures['per_second']:>7,.0f}/s   p50 {figures['p50_ms']:>6.1f} ms"
        f"   p99 {figures['p99_ms']:>6.1f} ms   {figures['server_cpu_us']:>6.0f} µs CPU of the server"
        for shape, of in seen.items()
        for call, figures in of.items()
    ]
    return {"shapes": seen, "lines": lines, "ratios": ratios, "goals": dict.fromkeys(ratios, GOAL)}


def measured(loaded: Loaded) -> Figures:
    """Fill the queue and empty it, by turns; return the medians of both."""
    rounds: dict[str, list[Figures]] = {"submit": [], "claim": []}
    for _ in range(sized(ROUNDS, 1)):
        filled = _closed(loaded, "submit", round(_MOST_A_SECOND * lasting(2.5, 0.2)))
        rounds["submit"].append(filled)
        # Some are left in the queue, so that nobody finds it empty.
        rounds["claim"].append(_closed(loaded, "claim", max(1, round(0.9 * filled["kept"]))))
    return {call: {name: median(each[name] for each in of) for name in _NAMES} for call, of in rounds.items()}


def _closed(loaded: Loaded, call: str, most: int) -> Figures:
    run = closed_loop(
        replace(loaded, call=call),
        in_flight=len(CLAIMERS),
        seconds=lasting(2.5, 0.2),
        most=most,
        loaders=1,
    )
    [figures] = run.figures
    if figures["failed"] or figures["refused_share"]:
        raise RuntimeError(f"{call} failed: {figures}")
    return {**figures, "kept": len(run.calls), "per_second": _per_second(run)}


def _per_second(run: Run) -> float:
    """Return calls a second until the last answer: the requests may be used up before the time is."""
    return len(run.calls) / max(call.ended for call in run.calls)


def one_queue() -> directory_pb2.Directory:
    """Return a directory in which all that is submitted waits in one queue, for one team."""
    sales, manager = f"{_TENANT}/teams/sales", f"{_TENANT}/people/manager"
    roles = [directory_pb2.ROLE_MARKETING_SPECIALIST, directory_pb2.ROLE_SALES_REP]
    return directory_pb2.Directory(
        name=f"{_TENANT}/directory",
        time_zone="UTC",
        region_code="DE",
        currency_code="EUR",
        teams=[directory_pb2.Team(name=sales, party=termspb.PARTY_SALES, manager=manager)],
        people=[
            directory_pb2.Person(name=manager, team=sales, roles=[directory_pb2.ROLE_SALES_MANAGER]),
            *(
                directory_pb2.Person(name=rep, team=sales, roles=[directory_pb2.ROLE_SALES_REP])
                for rep in CLAIMERS
            ),
        ],
        systems=[directory_pb2.System(name=f"{_TENANT}/systems/bench", roles=roles, teams=[sales])],
        queues=[directory_pb2.Queue(name=QUEUE, team=sales)],
        routing=directory_pb2.Routing(fallback_queue=QUEUE),
    )
