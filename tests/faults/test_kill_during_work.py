"""The service is killed while people take leads and pass them on: none is lost, nobody's, or taken twice.

A few kills in `make test`, many with FAULTS=full. Each run says its seed; FAULTS_SEED repeats one.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from smarketing import wallclock
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import CallError, LeadsClient
from tests.builders.processes import Installation, an_installation, until
from tests.e2e.company import Company, settled_in
from tests.faults.test_kill_during_import import Log, whole_log

FULL: Final = os.environ.get("FAULTS") == "full"
KILLS: Final = 40 if FULL else 4
WORKERS: Final = 8
SEED: Final = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)

pytestmark = [
    pytest.mark.timeout(1_700 if FULL else 170),
    pytest.mark.skipif(sys.platform != "linux", reason="finds the services' processes in /proc"),
]


@pytest.fixture(scope="module")
def own_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with an_installation(
        tmp_path_factory.mktemp("worked"), environ={"SMARKETING_METRICS_INTERVAL": "1s"}
    ) as installation:
        yield installation


class Worker:
    """Submits leads and works them, one after the other, whatever dies meanwhile."""

    def __init__(self, company: Company, number: int) -> None:
        self.company = company
        self.random = random.Random(f"{SEED}/{number}")
        self.number = number
        self.submitted = 0
        self.refused: Counter[str] = Counter()

    async def run(self) -> None:
        async with (
            LeadsClient(self.company.of("website")) as source,
            LeadsClient(self.company.of("rosa")) as rep,
            LeadsClient(self.company.of("sven")) as manager,
        ):
            while True:
                handoff = await self._submit(source)
                try:
                    await self._work(handoff, rep, manager)
                except CallError as refused:
                    # Another worker was faster, or the answer was lost with the process.
                    self.refused[type(refused).__name__] += 1

    async def _submit(self, source: LeadsClient) -> leadspb.Handoff:
        number = f"{self.number}-{self.submitted}"
        self.submitted += 1
        submission = leadspb.Submission(
            source_system="worker",
            external_id=number,
            contact=leadspb.Contact(email=f"w{number}@example.org"),
        )
        request = leadspb.SubmitLeadRequest(
            parent=self.company.name, request_id=wallclock.new_uuid(), submission=submission
        )
        while True:
            try:
                return (await source.submit_lead(request)).handoff
            except CallError:
                await asyncio.sleep(0.1)

    async def _work(self, handoff: leadspb.Handoff, rep: LeadsClient, manager: LeadsClient) -> None:
        name, offer = handoff.name, handoff.offer
        answer: dict[str, Any] = {"name": offer.name, "fencing_token": offer.fencing_token}
        queue = f"{self.company.name}/queues/inbound"
        match self.random.randrange(6):
            case 0:
                await rep.decline_offer(leadspb.DeclineOfferRequest(**answer))
            case 1:
                await rep.reject_offer(leadspb.RejectOfferRequest(**answer, reason_code="NO_CAPACITY"))
            case 2:
                await manager.reassign_handoff(leadspb.ReassignHandoffRequest(name=name, assignee=queue))
            case 3:
                await rep.claim_offer(leadspb.ClaimOfferRequest(queue=queue))
            case _:
                await rep.accept_offer(leadspb.AcceptOfferRequest(**answer))
                call = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL)
                await rep.log_follow_up(leadspb.LogFollowUpRequest(parent=name, follow_up=call))
                if self.random.random() < 0.5:
                    await rep.convert_handoff(leadspb.ConvertHandoffRequest(name=name))


async def test_killing_the_service_while_leads_are_worked_leaves_every_handoff_somebodys(
    own_installation: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    company = await settled_in(own_installation, "default", tmp_path)
    workers = [Worker(company, number) for number in range(WORKERS)]
    random_ = random.Random(SEED)
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        for _ in range(KILLS):
            await asyncio.sleep(random_.uniform(0.2, 1.5))
            while not own_installation.kill("leads"):  # noqa: ASYNC110 -- it is just being started again
                await asyncio.sleep(0.02)
            own_installation.wait_until_ready()
        await asyncio.sleep(1.0)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended

    log, shown = await until(
        lambda: told_and_shown(own_installation, company),
        lambda found: found[1]["submitted"] == len(list(found[0].payloads(leadeventspb.HandoffSubmitted))),
    )
    begun = [payload.handoff for _, payload in log.payloads(leadeventspb.HandoffSubmitted)]

    # Each submission that was answered began one handoff; the last one of each worker may have no answer.
    assert len(set(begun)) == len(begun)
    assert sum(worker.submitted - 1 for worker in workers) <= len(begun)
    assert shown["unconserved"] == 0
    assert shown["unowned"] == 0
    assert shown["standing"] == len(begun)
    owners = Counter(
        (payload.handoff, payload.offer)
        for _, payload in log.payloads(leadeventspb.HandoffAccepted)
        if payload.offer
    )
    assert set(owners.values()) <= {1}
    with capsys.disabled():
        refused = sum((worker.refused for worker in workers), Counter[str]())
        sys.stdout.write(
            f"\nseed {SEED}: {KILLS} kills among {WORKERS} workers, {len(begun)} handoffs begun and standing,"
            f" nobody's 0, accepted twice 0; came too late {sum(refused.values())}\n"
        )


async def told_and_shown(installation: Installation, company: Company) -> tuple[Log, dict[str, float]]:
    """Return the log and the figures; what was on its way when the workers went may still arrive."""
    async with LeadsClient(company.operator) as leads:
        log = await whole_log(leads)
    return log, await figures(installation)


async def figures(installation: Installation) -> dict[str, float]:
    """Return what /metrics says of conservation."""
    async with httpx.AsyncClient() as client:
        page = await client.get(f"http://{installation.addresses['leads']['http']}/metrics")
    families = {each.name: each.samples for each in text_string_to_metric_families(page.text)}
    standing = families.get("smarketing_leads_handoffs", [])
    return {
        "submitted": sum(sample.value for sample in families.get("smarketing_leads_submitted", [])),
        "standing": sum(sample.value for sample in standing),
        "unconserved": sum(s.value for s in families.get("smarketing_leads_unconserved_handoffs", [])),
        "unowned": sum(s.value for s in families.get("smarketing_leads_unowned_handoffs", [])),
    }
