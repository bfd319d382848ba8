"""Where a row is played: the services, the company that uses them, whom they tell, and the judge."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from smarketing import wallclock
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.client import SlaClient
from tests.builders.processes import SERVICES
from tests.builders.webhooks import Receiver
from tests.e2e.company import Company, settled_in
from tests.faults.harness.checker import lateness, violations
from tests.faults.harness.evidence import (
    Evidence,
    Log,
    Samples,
    Unsent,
    both_logs,
    files_of,
    heads_of_logs,
    scraped,
    total,
)
from tests.faults.harness.fleet import Fleet, Vitals, a_fleet
from tests.faults.harness.ledger import Ledger, operations
from tests.faults.harness.load import CANARY, Load
from tests.faults.harness.nemesis import Nemesis
from tests.faults.harness.rebuilt import place_of, stored_log, unlike_rebuilt, unsent
from tests.faults.harness.report import Row, commit
from tests.faults.harness.shapes import Shape

_CONSUMERS: Final = {"leads": ("sla",), "sla": ("leads",), "reports": ("leads", "sla")}
"""Whom each service follows."""
_QUIET_SECONDS: Final = 45.0
"""Without any progress; gauges are read anew within a quarter of a minute."""
_FIGURES_SECONDS: Final = 150.0
_ASKED_AGAIN: Final = 400
_ENVIRON: Final = {
    "SMARKETING_WEBHOOK_LOOPBACK": "true",
    "SMARKETING_METRICS_INTERVAL": "1s",
    "SMARKETING_ALERT_WINDOW": "0s",
}


@dataclass(kw_only=True)
class Stage:
    """Everything that a row needs, already running."""

    fleet: Fleet
    company: Company
    receiver: Receiver
    ledger: Ledger
    ledger_path: Path
    secret: str
    seed: int
    verified: int = 0
    read_before: list[tuple[str, str, int, str]] = field(default_factory=list)
    vitals: dict[int, tuple[str, Vitals]] = field(default_factory=dict)
    """By process: which service it is, and what it held."""
    loads: list[Load] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def load(
        self,
        name: str,
        *,
        share: float,
        peak_seconds: float = 2.0,
        company: Company | None = None,
        **settings: Any,
    ) -> AsyncIterator[Load]:
        """Measure the peak, then keep up a load of so much of it; when it ends every call has an answer."""
        async with Load(company or self.company, self.ledger, self.seed, name, **settings) as load:
            self.loads.append(load)
            peak = await load.peak(peak_seconds)
            load.rate, load.of_peak = max(2.0, share * peak), peak
            running = asyncio.create_task(load.run())
            try:
                yield load
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await load.settle()
            known = list(load.asked)
            chosen = random.Random(self.seed).sample(known, min(_ASKED_AGAIN, len(known)))
            await load.ask_again(chosen)

    def answer(self, _number: int) -> str:
        """Say yes to a message, after a look at its signature: that is good for a few minutes only."""
        self.verified += self.receiver.received[-1].verified_with(self.secret) is not None
        return "200 OK"

    def note_vitals(self) -> None:
        """Remember what each process holds now, to compare with later."""
        for service in SERVICES:
            process_id = self.fleet.process_id(service)
            assert process_id is not None, service
            self.vitals[process_id] = (service, Vitals.of(process_id))

    async def quiet(self) -> tuple[Log, Log]:
        """Return both logs once everybody has read them, told what is to be told, and shown all of it."""
        give_up = wallclock.monotonic() + _QUIET_SECONDS
        last: tuple[list[str], dict[str, int]] | None = None
        while True:
            heads = await heads_of_logs(self.company)
            owed = await self._owed(heads)
            found = (owed, heads)
            if found != last:
                # Slow machines are slow: whoever makes progress is waited for.
                give_up = wallclock.monotonic() + _QUIET_SECONDS
            elif not owed:
                return await both_logs(self.company)
            elif wallclock.monotonic() > give_up:
                # What was refused by its receiver waits for its next attempt; the judge looks at it.
                assert all("webhook_pending" in each for each in owed), f"not quiet: {found}"
                return await both_logs(self.company)
            last = found
            # Due instants pass and figures are refreshed by time alone.
            await asyncio.sleep(1.5)

    async def _owed(self, heads: Mapping[str, int]) -> list[str]:
        """Return what is still to be done; gauges may be a quarter of a minute old, the heads are not."""
        shown = await scraped(self.fleet)
        owed = []
        for service, followed in _CONSUMERS.items():
            for log in followed:
                place = total(shown[service], "smarketing_eventlog_consumer_position", log=log)
                if place < heads[log]:
                    owed.append(f"{service} is at {place:g} of {heads[log]} of {log}")
        waiting = ("smarketing_sla_timers_overdue", "smarketing_webhook_pending")
        return owed + [f"{name} {count:g}" for name in waiting if (count := total(shown["sla"], name))]

    async def _shown_since(self, time: datetime) -> dict[str, Samples]:
        """Return the metrics once the figures in them were read after an instant.

        A slow machine reads them seldom, as reading may take a hundredth of the time and no more; one that
        has not read them for minutes shows none, and none are judged.
        """
        read = "smarketing_server_task_last_success_timestamp_seconds"
        give_up = wallclock.monotonic() + _FIGURES_SECONDS
        while wallclock.monotonic() < give_up:
            shown = await scraped(self.fleet)
            if all(total(shown[name], read, task="metrics") > time.timestamp() for name in ("leads", "sla")):
                return shown
            await asyncio.sleep(0.5)
        return {}

    def remember(self, leads: Log, sla: Log) -> None:
        """Keep what the logs are now; later they must still begin like that."""
        logs = {"leads": leads, "sla": sla}
        self.read_before += [(name, log.log_id, log.head, log.digest(log.head)) for name, log in logs.items()]

    async def judge(self) -> tuple[Evidence, dict[str, list[str]]]:
        """Wait until nothing is owed, stop everything, and return what was found and what is wrong."""
        self.remember(*await self.quiet())
        quiet_time = wallclock.utc_now()
        metrics = await self._shown_since(quiet_time)
        vitals = {
            service: (before, Vitals.of(process_id))
            for process_id, (service, before) in self.vitals.items()
            if self.fleet.process_id(service) == process_id
        }
        statuses = await self.fleet.stop_all()
        assert set(statuses.values()) == {0}, f"exit statuses {statuses}"
        # Time goes on: a budget's window may have moved while they stopped, so the logs are read anew.
        leads, sla = stored_log(self._url("leads")), stored_log(self._url("sla"))
        consumers = self._places()
        evidence = Evidence(
            quiet_time=quiet_time,
            leads=leads,
            sla=sla,
            operations=operations(self.ledger_path),
            read_before=self.read_before,
            metrics=metrics,
            consumers=consumers,
            unlike_rebuilt=unlike_rebuilt(self._url("reports"), leads, sla),
            dead_letters=int(total(metrics.get("sla", {}), "smarketing_webhook_dead_letters")),
            unsent=unsent(self._url("sla")),
            received=self.receiver.received,
            secret=self.secret,
            verified=self.verified,
            texts={
                "what the services said": self.fleet.log.read_bytes(),
                "the metrics": repr(metrics).encode(),
                **files_of(self.fleet.data_dir, ("sla", "reports")),
            },
            canaries=[CANARY, *self.company.tokens.values()],
            vitals=vitals,
        )
        return evidence, violations(evidence)

    def _url(self, service: str) -> str:
        return self.fleet.shape.database_url(self.fleet.data_dir, service)

    def _places(self) -> dict[str, tuple[str, int]]:
        found = {}
        for service, followed in _CONSUMERS.items():
            for log in followed:
                place = place_of(self._url(service), service, log)
                if place is not None:
                    found[f"{service}.{log}"] = place
        return found

    def row(
        self, name: str, nemesis: Nemesis, evidence: Evidence, found: dict[str, list[str]], note: str = ""
    ) -> Row:
        """Return what is to be reported."""
        load = self.loads[-1] if self.loads else None
        told = f"{load.rate:.0f}/s, {load.rate / load.of_peak:.0%} of {load.of_peak:.0f}/s" if load else ""
        return Row(
            row=name,
            shape=self.fleet.shape.name,
            seed=self.seed,
            operations=sum(operation.invoked for operation in evidence.operations.values()),
            load=told,
            faults=dict(nemesis.counts),
            hits=sum(blow.hit for blow in nemesis.blows) + nemesis.others.total(),
            violations={invariant: len(broken) for invariant, broken in found.items()},
            recovery=nemesis.recoveries,
            lateness=lateness(evidence.sla),
            blows=[asdict(blow) for blow in nemesis.blows],
            note=note or _said_of(evidence.unsent),
            commit=commit(),
            date=wallclock.utc_now().date().isoformat(),
        )


def _said_of(waiting: Sequence[Unsent]) -> str:
    """Return what is to be told of messages that were not delivered yet, as nobody could receive them."""
    problems = Counter(message.problem for message in waiting)
    said = ", ".join(f"{count}× {problem}" for problem, count in problems.items())
    return f"passed; waiting for their next attempt: {said}" if said else ""


@contextlib.asynccontextmanager
async def a_stage(folder: Path, shape: Shape, seed: int) -> AsyncIterator[Stage]:
    """Start the services, settle a company in, and listen to what it is told."""
    ledger_path = folder / "ledger.jsonl"
    async with a_fleet(folder / "data", shape, _ENVIRON) as fleet, Receiver() as receiver:
        company = await settled_in(fleet, "default", folder)
        async with SlaClient(company.operator) as sla:
            endpoint = await sla.create_webhook_endpoint(
                slapb.CreateWebhookEndpointRequest(
                    parent=company.name, webhook_endpoint=slapb.WebhookEndpoint(url=receiver.url)
                )
            )
        with Ledger(ledger_path) as ledger:
            stage = Stage(
                fleet=fleet,
                company=company,
                receiver=receiver,
                ledger=ledger,
                ledger_path=ledger_path,
                secret=endpoint.secret,
                seed=seed,
            )
            receiver.answer = stage.answer
            yield stage
