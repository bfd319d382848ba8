"""Builders of the handoff's values, and a house to run its use cases in: the real store, in memory."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from services.leads.domain.desk import Case, Desk, Plan
from services.leads.domain.directory import (
    Directory,
    Party,
    Person,
    Queue,
    Role,
    Routing,
    RoutingMember,
    RoutingRule,
    System,
    Team,
    TenantSettings,
)
from services.leads.domain.events import OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact, Qualification, Submission
from services.leads.domain.open_work import OpenWork
from services.leads.domain.routing import Placement
from services.leads.domain.routing_rules import Traits
from services.leads.domain.states import HandoffState, Offer
from services.leads.domain.turns import Pool
from services.leads.store.directory import Directories, DirectoryStore
from services.leads.store.leads import LeadStore, UseCase
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from services.leads.store.transaction import By
from services.leads.usecases.asking import Asker
from services.leads.usecases.submit import SubmitLead, Submitted, submit
from smarketing.eventlog.reading import ensure_identity
from smarketing.sql import Writer
from tests.builders.stores import a_database

A = TypeVar("A")
Q = TypeVar("Q")

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TENANT = "tenants/default"
TEAM = f"{TENANT}/teams/inside"
QUEUE = f"{TENANT}/queues/inbound"
ANNA, BEN, CARA = (f"{TENANT}/people/{name}" for name in ("anna", "ben", "cara"))
MANAGER = f"{TENANT}/people/mia"
MARKETER = f"{TENANT}/people/max"
DIALLER = f"{TENANT}/systems/dialler"
FORM = f"{TENANT}/systems/form"
REPS = (ANNA, BEN, CARA)
OFFER_DURATION = timedelta(minutes=30)


def a_directory(
    *,
    tenant: str = TENANT,
    weights: Sequence[int] = (1, 1, 1),
    inactive: Sequence[str] = (),
    max_offers: int = 2,
    with_rule: bool = True,
) -> Directory:
    """Three reps in one team, a queue, both managers, a form that submits and a dialler that works."""

    def own(name: str) -> str:
        return name.replace(TENANT, tenant)

    people = [
        *(
            Person(name=own(rep), roles=frozenset({Role.SALES_REP}), team=own(TEAM), inactive=rep in inactive)
            for rep in REPS
        ),
        Person(name=own(MANAGER), roles=frozenset({Role.SALES_MANAGER}), team=own(TEAM)),
        Person(name=own(MARKETER), roles=frozenset({Role.MARKETING_MANAGER}), team=f"{tenant}/teams/growth"),
    ]
    members = tuple(
        RoutingMember(person=own(rep), weight=weight) for rep, weight in zip(REPS, weights, strict=True)
    )
    return Directory(
        tenant=tenant,
        settings=TenantSettings(time_zone="Europe/Berlin", region_code="DE", currency_code="EUR"),
        teams=(
            Team(name=own(TEAM), party=Party.SALES, manager=own(MANAGER)),
            Team(name=f"{tenant}/teams/growth", party=Party.MARKETING, manager=own(MARKETER)),
        ),
        people=tuple(people),
        systems=(
            System(name=own(DIALLER), roles=frozenset({Role.SALES_REP}), teams=(own(TEAM),)),
            System(name=own(FORM), roles=frozenset({Role.MARKETING_SPECIALIST})),
        ),
        queues=(Queue(name=own(QUEUE), team=own(TEAM), manager=own(MANAGER)),),
        routing=Routing(
            version=1,
            rules=(RoutingRule(rule_id="all", members=members),) if with_rule else (),
            fallback_queue=own(QUEUE),
            offer_duration=OFFER_DURATION,
            max_offers=max_offers,
        ),
    )


def a_submission(number: int = 1, **changes: Any) -> Submission:
    """A live submission of a lead of its own."""
    submission = Submission(
        tenant="default",
        source_system="website",
        external_id=f"form-{number}",
        contact=Contact(given_name="Kim", family_name=f"Lee {number}", email=f"kim{number}@example.com"),
        qualification=Qualification(source="website_form", segment="retail", score=70),
    )
    return replace(submission, **changes)


def a_handoff(**changes: Any) -> Handoff:
    """A handoff just submitted."""
    handoff = Handoff(
        id=HandoffId("default", "lead-1", 1),
        source_system="website",
        submit_time=NOON,
        update_time=NOON,
        qualification=Qualification(),
    )
    return replace(handoff, **changes)


def an_offered_handoff(*, to: str = ANNA, number: int = 1, **changes: Any) -> Handoff:
    """A handoff offered to a rep for half an hour from noon."""
    offer = Offer(
        number=number,
        assignee=to,
        state=OfferState.OPEN,
        offer_time=NOON,
        expire_time=NOON + OFFER_DURATION,
    )
    return a_handoff(state=HandoffState.OFFERED, offer=offer, tried=(to,), **changes)


def an_accepted_handoff(*, owner: str = ANNA, **changes: Any) -> Handoff:
    """A handoff that a rep owns since noon."""
    offered = an_offered_handoff(to=owner)
    assert offered.offer is not None
    return replace(
        offered,
        state=HandoffState.ACCEPTED,
        offer=offered.offer.ended(OfferState.ACCEPTED, NOON),
        owner=owner,
        accept_time=NOON,
        **changes,
    )


def a_placement(directory: Directory, **changes: Any) -> Placement:
    """Whom the directory's routing finds first."""
    placement = a_desk(directory).decide(Case(traits=Traits()))
    assert placement is not None
    return replace(placement, **changes)


def asked_by(principal: str, **changes: Any) -> Asker:
    """The principal of a call."""
    return Asker(
        principal=principal, is_system="/systems/" in principal, manages=principal == MANAGER, **changes
    )


def a_desk(
    directory: Directory,
    *,
    pools: dict[str, Pool] | None = None,
    work: Mapping[str, int] | None = None,
    on_leave: Sequence[str] = (),
    closed: Sequence[str] = (),
) -> Desk:
    """The desk of a directory: with these turns given, work open, people and calendars away."""
    kept = {} if pools is None else pools
    return Desk(
        Plan(directory),
        pool_of=lambda rule_id: kept.setdefault(rule_id, Pool()),
        work=OpenWork(lambda _: work or {}),
        on_leave=on_leave,
        is_open=lambda calendar: calendar not in closed,
    )


def _make_tables(connection: Connection) -> None:
    SCHEMA.metadata.create_all(connection)
    ensure_identity(connection, new_log_id=lambda: "00000000-0000-4000-8000-000000000001")


class House:
    """The service's store, empty, with a clock that stands still until it is moved."""

    def __init__(self, *directories: Directory) -> None:
        self.now = NOON
        self._ids = count(1)
        self._given = directories or (a_directory(),)
        self._stack = ExitStack()

    async def __aenter__(self) -> Self:
        self.database = self._stack.enter_context(a_database("leads_tables", _make_tables))
        self.writer = Writer(self.database, now=lambda: self.now)
        directories = Directories(SCHEMA.directory.directory)
        self.directory_store = DirectoryStore(self.writer, SCHEMA.directory, directories)
        for directory in self._given:
            await self.apply(directory)
        self.store = LeadStore(
            self.writer,
            directories=directories,
            sealer=Sealer(bytes(32)),
            new_id=lambda: f"id-{next(self._ids):08d}",
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.writer.close()
        self._stack.close()

    async def apply(self, directory: Directory) -> None:
        """Make this the tenant's directory."""

        def save(tx: Any, _: datetime) -> None:
            tx.save(tx.directory(directory.tenant), directory, actor=MANAGER)

        await self.directory_store.run(save)

    def later(self, **parts: float) -> None:
        """Let time pass."""
        self.now += timedelta(**parts)

    async def all(self, use_case: UseCase[Q, A], *requests: Q) -> list[A | Exception]:
        """Run the requests as one batch in one transaction."""
        return list(await self.store.sweep(lambda tx: use_case(tx, requests)))

    async def one(self, use_case: UseCase[Q, A], request: Q) -> A:
        """Run one request; raise what it is refused with."""
        [result] = await self.all(use_case, request)
        if isinstance(result, Exception):
            raise result
        return result

    async def submit(self, *submissions: Submission) -> list[Submitted]:
        """Submit leads; raise the first refusal."""
        results = await self.all(submit, *(SubmitLead(each, By(FORM)) for each in submissions))
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [result for result in results if isinstance(result, Submitted)]

    async def rows(self, statement: Callable[[Connection], A]) -> A:
        """Read from the database."""
        return await self.writer.read(statement)

    async def handoff(self, handoff_id: HandoffId) -> Handoff:
        """Return the handoff as it is stored."""

        def load(tx: Any) -> Handoff:
            tx.load_handoffs([handoff_id])
            found = tx.handoff(handoff_id)
            assert isinstance(found, Handoff)
            return found

        return await self.store.sweep(load)


def run(coroutine: Any) -> Any:
    """Run a scenario to its end."""
    return asyncio.run(coroutine)
