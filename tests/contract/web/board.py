"""The dashboard as it is served: the real application, guard and policy, over a read model in memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from services.reports.consumers.replay import LogReplay
from services.reports.domain.agreements import AgreementKnown, Commitment, TenantSet
from services.reports.domain.clocks import ClockChange
from services.reports.domain.words import Accepted, Closed, FollowedUp, Offered, Rejected
from services.reports.rpc.policy import POLICY, own_side_of
from services.reports.store.figures import Figures
from services.reports.store.listings import Listings
from services.reports.store.queries import Queries
from services.reports.store.snapshots import Snapshots
from services.reports.usecases.past_states import PastStates
from services.reports.web.dashboard import Access, dashboard
from services.reports.web.reading import Reader
from smarketing.server.auth import (
    Authenticator,
    Caller,
    Directory,
    DirectoryToken,
    PrincipalKind,
    Role,
    hash_secret,
)
from smarketing.server.http import Room, http_app, sessions_in
from smarketing.server.settings import ServerConfig
from smarketing.server.telemetry import Telemetry
from smarketing.sql import Writer
from tests.builders.reports import MONDAY, TENANT, Ledger, a_ledger, at, clock_event, handoff, submitted

NOW = MONDAY + timedelta(days=29)
OTHER = "tenants/other"
HOSTILE = "<script>alert('x')</script>"
TURNING = "shop\u202egnp.exe"
_SECRET = "s" * 64
_VERSION = f"{TENANT}/agreements/main/versions/1"


def token_of(name: str) -> str:
    """Return the API token of somebody in `PEOPLE`."""
    return f"smk_{name * 4}_{_SECRET}"


def _somebody(name: str, role: Role, tenant: str, party: str) -> DirectoryToken:
    kind = PrincipalKind.SYSTEM if tenant == "-" else PrincipalKind.PERSON
    caller = Caller(
        principal=f"tenants/{tenant}/people/{name}",
        tenant=tenant,
        kind=kind,
        roles=frozenset({role}),
        party=party,
    )
    return DirectoryToken(token_id=name * 4, secret_hash=hash_secret(_SECRET), caller=caller)


PEOPLE = Directory(
    [
        _somebody("lee", Role.LEADERSHIP, "default", ""),
        _somebody("kim", Role.SALES_REP, "default", "SALES"),
        _somebody("mia", Role.MARKETING_SPECIALIST, "default", "MARKETING"),
        _somebody("pat", Role.PRODUCT_READER, "default", ""),
        _somebody("eve", Role.LEADERSHIP, "other", ""),
        _somebody("ops", Role.OPERATOR, "-", ""),
    ]
)


def tell_the_story(ledger: Ledger) -> None:
    """Fill March: one won, one rejected, one overdue, three of strange sources, and another tenant's lead."""
    sources = {1: None, 2: "unknown", 3: HOSTILE, 4: TURNING, 5: "=1+1"}
    ledger.leads(
        TenantSet(TENANT, "Asia/Seoul", "EUR"),
        *(submitted(number, at(), source=source) for number, source in sources.items()),
        Offered(TENANT, handoff(1), at(minutes=1), "o1", f"{TENANT}/people/kim", f"{TENANT}/teams/north"),
        Accepted(TENANT, handoff(1), at(hours=1), "o1", f"{TENANT}/people/kim", f"{TENANT}/teams/north"),
        FollowedUp(TENANT, handoff(1), at(hours=2), contact=True, counts=True),
        Closed(TENANT, handoff(1), at(days=5), won=True, currency="EUR", minor_units=90_000),
        Offered(TENANT, handoff(2), at(minutes=1), "o2", f"{TENANT}/people/kim", f"{TENANT}/teams/north"),
        Rejected(TENANT, handoff(2), at(hours=3), "o2", "NOT_AS_DEFINED", "marketing"),
        submitted(77, at(), source="secret-of-the-other", tenant=OTHER),
    )
    marketing = {"parties": ",marketing,", "commitment_id": "hand-over", "kind": "handover", "basis": "wall"}
    soon = {"start_time": at(days=28), "due_time": at(days=29, hours=2)}
    ledger.sla(
        AgreementKnown(
            TENANT,
            _VERSION,
            "active",
            f"{TENANT}/calendars/c/versions/1",
            at(days=-9),
            (
                Commitment("first-follow-up", "First follow-up", ",sales,", "first_follow_up", 9000),
                Commitment("hand-over", "Hand over in time", ",marketing,", "handover", 8000),
                Commitment("unheard-of", "Feedback in a week", ",sales,", "feedback", 9500),
            ),
        ),
        clock_event(ClockChange.STARTED, at(), 1),
        clock_event(ClockChange.MET, at(hours=2), 1, elapsed=7_200_000_000),
        clock_event(ClockChange.STARTED, at(), 3),
        clock_event(ClockChange.BREACHED, at(hours=8), 3),
        clock_event(ClockChange.STARTED, at(days=28), 5, **soon),
        clock_event(ClockChange.STARTED, at(), 4, **marketing),
        clock_event(ClockChange.MET, at(hours=1), 4, **marketing, elapsed=3_600_000_000),
    )


@dataclass
class Board:
    """The application and a browser's worth of requests."""

    app: ASGIApp
    ledger: Ledger
    age: timedelta = field(default_factory=timedelta)

    @asynccontextmanager
    async def visitor(self, name: str = "") -> AsyncIterator[httpx.AsyncClient]:
        """Give a browser, signed in as somebody where one is named."""
        transport = httpx.ASGITransport(app=self.app)
        origin = "http://127.0.0.1"
        async with httpx.AsyncClient(transport=transport, base_url=origin) as browser:
            browser.headers["origin"] = origin
            if name:
                answer = await browser.post("/sign-in", data={"token": token_of(name)})
                assert answer.status_code == 303
            yield browser

    async def page(self, name: str, path: str = "/") -> str:
        """Return the page that somebody sees."""
        async with self.visitor(name) as browser:
            return (await browser.get(path)).text


@asynccontextmanager
async def a_board(folder: Path, *, story: Callable[[Ledger], None] = tell_the_story) -> AsyncIterator[Board]:
    """Give the dashboard of the story at `NOW`."""
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(a_ledger())
        story(ledger)
        writer = await stack.enter_async_context(Writer(ledger.database, now=lambda: NOW))
        authenticator = Authenticator(now=lambda: NOW)
        authenticator.replace_directory(PEOPLE)
        reader = Reader(Figures(Queries(ledger.tables)), Listings(ledger.tables))
        board: Board
        past = PastStates(
            writer,
            ledger.tables,
            snapshots=Snapshots(folder / "copies", schema="1", most_bytes=10**9),
            replay=LogReplay(ledger.model, {}),
            folder=folder / "past",
            monotonic=lambda: 0.0,
        )
        stack.push_async_callback(past.close)
        pages = dashboard(
            writer,
            reader,
            access=Access(POLICY, own_side_of),
            now=lambda: NOW,
            age=lambda: board.age,
            past=past,
        )
        app = http_app(
            ServerConfig(http_listen="127.0.0.1:0", data_dir=folder),
            registry=Telemetry().registry,
            authenticator=authenticator,
            sessions=sessions_in(folder, authenticator),
            rooms=[Room("", pages)],
        )
        board = Board(app, ledger)
        yield board
