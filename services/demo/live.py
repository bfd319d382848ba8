"""A little live traffic: a website that hands leads over, and reps who answer most of them.

Everything goes through the public client, with the tokens of the website and of the dialler.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Final

from services.demo import wire
from services.demo.cast import REJECTIONS, URGENT
from services.demo.company import REPS, TENANT
from services.demo.month import story_of
from services.demo.wire import Offered
from services.leads.domain.lead import Submission
from smarketing.client import CallError, ClientSettings, LeadsClient, RefusedError, UnavailableError

__all__ = ["LivePeople"]

_FIRST_LEADS: Final = 3
_BETWEEN_LEADS_SECONDS: Final = (5.0, 14.0)
_LIVE: Final = "live-"


class LivePeople:
    """Submits and answers leads until cancelled; `run` is called once."""

    def __init__(
        self,
        *,
        website: ClientSettings,
        dialler: ClientSettings,
        seed: int,
        now: Callable[[], datetime],
    ) -> None:
        self._website = website
        self._dialler = dialler
        self._seed = seed
        self._now = now
        self._began = now()
        self._dice = Random(f"{seed}/{self._began.isoformat()}")  # noqa: S311 -- people to look at, not a secret
        self._submitted = asyncio.Event()

    async def run(self) -> None:
        """Let leads come and be answered.

        Raises:
            CallError: a call failed that no person would try again.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._submit_now_and_then())
                tasks.create_task(self._answer_offers(tasks))
        except* CallError as failures:
            failure = failures.exceptions[0]
        raise failure

    async def first_leads(self) -> None:
        """Return when the first ones are handed over."""
        await self._submitted.wait()

    async def _submit_now_and_then(self) -> None:
        async with LeadsClient(self._website) as leads:
            number = 0
            while True:
                number += 1
                await _try(leads.submit_lead(wire.submit(TENANT, self._lead(number))))
                if number < _FIRST_LEADS:
                    continue
                self._submitted.set()
                await asyncio.sleep(self._dice.uniform(*_BETWEEN_LEADS_SECONDS))

    def _lead(self, number: int) -> Submission:
        now = self._now()
        told = story_of(
            self._seed, 1_000_000 + self._dice.randrange(1_000_000), now, staffed=False
        ).submission
        submission = replace(told, external_id=f"{_LIVE}{self._began:%Y%m%d-%H%M%S}-{number}")
        asked = now - timedelta(minutes=self._dice.uniform(0.2, 40))
        qualification = replace(told.qualification, inquire_time=asked)
        if number == _FIRST_LEADS:
            # Somebody waits for a call in the app, and nobody calls: the first alert of this start.
            qualification = replace(
                qualification, source=URGENT.word, source_channel=URGENT.channel, score=88, inquire_time=now
            )
        return replace(submission, qualification=qualification)

    async def _answer_offers(self, tasks: asyncio.TaskGroup) -> None:
        async with LeadsClient(self._dialler) as leads:
            watch = leads.watch_offers(wire.watch(TENANT, list(REPS)))
            async with aclosing(watch) as responses:
                async for response in responses:
                    for offered in wire.offers_in(response):
                        # What was left open by the month is for whoever watches to try their hands on.
                        if offered.external_id.startswith(_LIVE):
                            tasks.create_task(self._answer(leads, offered))

    async def _answer(self, leads: LeadsClient, offered: Offered) -> None:
        await asyncio.sleep(self._dice.uniform(1.0, 5.0))
        is_waiting = offered.external_id.endswith(f"-{_FIRST_LEADS}")
        answer = 0.0 if is_waiting else self._dice.random()
        if answer < 0.78:
            await self._work(leads, offered, is_waiting=is_waiting)
        elif answer < 0.85:
            await _try(leads.decline_offer(wire.decline(offered)))
        elif answer < 0.93:
            code, evidence = self._dice.choice(REJECTIONS).told
            await _try(leads.reject_offer(wire.reject(offered, code, evidence)))

    async def _work(self, leads: LeadsClient, offered: Offered, *, is_waiting: bool) -> None:
        await _try(leads.accept_offer(wire.accept(offered)))
        if is_waiting:
            return
        if self._dice.random() < 0.85:
            await asyncio.sleep(self._dice.uniform(1.0, 8.0))
            await _try(leads.log_follow_up(wire.call_made(offered, contact=self._dice.random() < 0.5)))


async def _try(call: object) -> None:
    """Await a call of somebody who shrugs when it is refused: another was faster, or the service restarts."""
    try:
        await call  # type: ignore[misc] # any of the client's answers
    except RefusedError:
        return
    except UnavailableError:
        await asyncio.sleep(1.0)
