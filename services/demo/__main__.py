"""`python -m services.demo`: a month of a company, then the three services on it, with live traffic."""

import argparse
import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from services.demo import wire
from services.demo.company import TENANT
from services.demo.first_start import MONTH, FolderRefused, has_month, make_month, owned
from services.demo.live import LivePeople
from services.demo.running import (
    DidNotStart,
    Places,
    log_of,
    receiver,
    services_on,
    settings_of,
    wait_until_ready,
)
from services.demo.show import Screen
from services.demo.storing import Shape, Storage, StorageMissing, storage_in
from smarketing import wallclock
from smarketing.client import CallError, ClientSettings, LeadsClient, ReportsClient, SlaClient
from smarketing.logs import LogFormat, configure_logs

_SEED: Final = 20
_PORT_BASE: Final = 7001
_CATCH_UP_SECONDS: Final = 60.0
_FOLDERS: Final = {Shape.EMBEDDED: Path("data/demo"), Shape.POSTGRES: Path("data/demo-postgres")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo until Ctrl-C, or until all is printed; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.demo", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="stop after printing")
    parser.add_argument(
        "--data", type=Path, help="the demo's folder (default data/demo, or data/demo-postgres)"
    )
    parser.add_argument(
        "--shape",
        type=Shape,
        default=Shape.EMBEDDED,
        choices=list(Shape),
        help="what the services store in (default embedded: SQLite files)",
    )
    parser.add_argument("--port-base", type=int, default=_PORT_BASE, help="first of its ports (default 7001)")
    options = parser.parse_args(arguments)
    places = Places(options.port_base)
    data_dir = options.data or _FOLDERS[options.shape]
    screen = Screen()
    try:
        places.check_free()
        with owned(data_dir):
            _prepare(data_dir, options.shape, screen)
            with storage_in(data_dir, options.shape) as storage:
                asyncio.run(_Demo(data_dir, storage, places, screen).run(stays=not options.exit))
    except (FolderRefused, DidNotStart, StorageMissing) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    except CallError as failed:
        sys.stderr.write(f"A call failed ({failed}); {log_of(data_dir)} says why.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted before it was ready; the next start begins anew.\n")
        return 130
    return 0


def _prepare(data_dir: Path, shape: Shape, screen: Screen) -> None:
    configure_logs(LogFormat.CONSOLE, level="ERROR")
    if has_month(data_dir, shape):
        screen.say(f"Going on with what is in {data_dir}.")
        return
    began = wallclock.monotonic()
    with screen.progress("Playing thirty days of a small company through the services") as told:
        make_month(data_dir, seed=_SEED, end=wallclock.utc_now(), said=told, shape=shape)
    screen.say(f"Thirty days were played in {wallclock.monotonic() - began:.0f} s; they are in {data_dir}.")


class _Demo:
    """One run on a folder that has its month."""

    def __init__(self, data_dir: Path, storage: Storage, places: Places, screen: Screen) -> None:
        self._data_dir = data_dir
        self._storage = storage
        self._places = places
        self._screen = screen

    async def run(self, *, stays: bool) -> None:
        """Start everything, print, and stay until told to stop; whatever was started is ended."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        session = asyncio.create_task(self._session(stays=stays))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([session, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not session.done():
            self._screen.say("", "Stopping ...")
            session.cancel()
            await asyncio.wait([session])
        if not session.cancelled():
            session.result()
        self._screen.say(f"Stopped. Everything is kept in {self._data_dir}.")

    async def _session(self, *, stays: bool) -> None:
        async with AsyncExitStack() as stack:
            services = await stack.enter_async_context(
                services_on(self._data_dir, self._places, self._storage)
            )
            await wait_until_ready(self._as("operator"), services, log_of(self._data_dir))
            before = await self._count_handoffs()
            self._screen.say(f"The services run; {before:,} handoffs were there before this start.")
            await stack.enter_async_context(receiver(self._places, self._secret_file))
            await self._register_receiver()
            people = LivePeople(
                website=self._as("website"), dialler=self._as("dialler"), seed=_SEED, now=wallclock.utc_now
            )
            living = asyncio.create_task(people.run())
            stack.callback(living.cancel)
            await self._while_alive(self._show(people), living, services)
            if stays:
                self._screen.say("Leads keep coming; alerts appear below. Ctrl-C stops everything.", "")
                await self._while_alive(asyncio.Event().wait(), living, services)

    async def _while_alive(
        self, work: Coroutine[Any, Any, object], living: asyncio.Task[None], services: Process
    ) -> None:
        """Return when the work is done.

        Raises:
            DidNotStart: the services or the live people ended before.
        """
        working, ending = asyncio.create_task(work), asyncio.create_task(services.wait())
        try:
            await asyncio.wait([working, living, ending], return_when=asyncio.FIRST_COMPLETED)
            if services.returncode is not None or living.done():
                raise DidNotStart(f"{_what_ended(living)}; {log_of(self._data_dir)} says why.")
            working.result()
        finally:
            working.cancel()
            ending.cancel()

    async def _show(self, people: LivePeople) -> None:
        await people.first_leads()
        await self._reports_caught_up()
        today = wallclock.utc_now().date()
        request = wire.scorecard(TENANT, today - MONTH, today + timedelta(days=2))
        async with ReportsClient(self._as("ingrid")) as reports:
            card = await reports.get_scorecard(request)
        self._screen.head("How both parties kept what they promised, in the last thirty days")
        self._screen.scorecard(wire.scores_of(card))
        self._screen.places(self._places, self._data_dir, self._token("ingrid"))

    async def _reports_caught_up(self) -> None:
        """Return when reports has folded what the logs hold now.

        Raises:
            DidNotStart: it takes too long.
        """
        operator = self._as("operator")
        async with LeadsClient(operator) as leads, SlaClient(operator) as sla:
            wanted = {
                "leads": (await leads.events.read_events(wire.log_head(TENANT))).head_position,
                "sla": (await sla.events.read_events(wire.log_head(TENANT))).head_position,
            }
        today = wallclock.utc_now().date()
        request = wire.scorecard(TENANT, today, today + timedelta(days=1))
        with self._screen.progress("Reports reads both logs") as told:
            try:
                async with asyncio.timeout(_CATCH_UP_SECONDS), ReportsClient(self._as("ingrid")) as reports:
                    while True:
                        folded = wire.positions_of(await reports.get_scorecard(request))
                        told(min(folded.get(name, 0) / max(1, wanted[name]) for name in wanted))
                        if all(folded.get(name, 0) >= wanted[name] for name in wanted):
                            return
                        await asyncio.sleep(0.3)
            except TimeoutError:
                raise DidNotStart(f"Reports did not catch up; {log_of(self._data_dir)} says why.") from None

    async def _count_handoffs(self) -> int:
        async with LeadsClient(self._as("marcus")) as leads:
            return len([each async for each in leads.handoffs(wire.all_handoffs(TENANT))])

    async def _register_receiver(self) -> None:
        """Have alerts sent here; what the month's alerts would have been is not sent any more."""
        async with SlaClient(self._as("marcus")) as sla:
            standing = [each async for each in sla.webhook_endpoints(wire.endpoints(TENANT))]
            known = [each for each in standing if not each.HasField("delete_time")]
            if any(each.url == self._places.alerts for each in known) and self._secret_file.is_file():
                return
            for each in known:
                await sla.delete_webhook_endpoint(wire.removal(each.name))
            made = await sla.create_webhook_endpoint(wire.endpoint(TENANT, self._places.alerts))
        _write_secret(self._secret_file, made.secret)

    @property
    def _secret_file(self) -> Path:
        return self._data_dir / "receiver.secret"

    def _token(self, name: str) -> Path:
        return self._data_dir / "tokens" / f"{name}.token"

    def _as(self, name: str) -> ClientSettings:
        return settings_of(self._places, self._token(name))


def _what_ended(living: asyncio.Task[None]) -> str:
    failure = living.exception() if living.done() and not living.cancelled() else None
    return "The services ended" if failure is None else f"A call failed ({failure})"


def _write_secret(file: Path, secret: str) -> None:
    unfinished = file.with_suffix(".new")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(secret + "\n")
    unfinished.replace(file)


if __name__ == "__main__":
    sys.exit(main())
