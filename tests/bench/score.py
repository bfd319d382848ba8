"""Scores: what one lead costs by rule, and a million open handoffs rated again after a model was activated.

A model of twenty rules of fit, half of them about what is sealed, and six of engagement; a lead that did
eight things. The pass is the service's own, on a file: it reads, opens, rates, writes and tells what changed.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count, islice
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from services.leads.domain.claims import NOT_WAITING
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.intake import BehaviourKind
from services.leads.domain.lead import Contact, Qualification
from services.leads.domain.lead_fields import Facts
from services.leads.domain.scoring import Behaved, EngagementRule, FitRule, Operator, Pass, ScoreModel
from services.leads.domain.states import HandoffState
from services.leads.store import rows, statements
from services.leads.store.directory import Directories, DirectoryStore
from services.leads.store.leads import LeadStore
from services.leads.store.rescoring import EVERY, find_pass
from services.leads.store.schema import SCHEMA
from services.leads.store.scoring import packed
from services.leads.store.sealing import Sealer
from services.leads.store.transaction import By
from services.leads.usecases.rescoring import Rescorer
from services.leads.usecases.scoring_versions import Activate, ProposeModel, activate_models, propose_models
from services.leads.wire.leads import contact_bytes
from smarketing.eventlog.reading import ensure_identity
from smarketing.sql import Connection, Database, InsertRows, Writer, migrate, open_database
from tests.builders.leads import ANNA, MARKETER, NOON, a_directory, a_handoff
from tests.builders.scoring import a_model

MANY = 1_000_000
SCORED = 20_000
ROUNDS = 5
GOAL_US = 50.0
GOAL_SECONDS = 60.0
_BATCH = 2_000
_SEGMENTS = ("retail", "fashion", "wholesale")
_INSERT_ENGAGEMENT = InsertRows(SCHEMA.scoring.engagement)

Figures = dict[str, Any]


def score() -> Figures:
    """One lead by rule; a million open handoffs rated anew, and once more when nothing changed."""
    alone = _alone()
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'leads.db'}")
        try:
            began = time.perf_counter()
            _fill(database, MANY)
            filled = time.perf_counter() - began
            activated, daily = asyncio.run(_passes(database))
        finally:
            database.close()
    figures: Figures = {
        "us_a_lead": alone,
        "filled_seconds": filled,
        "activated_seconds": activated[0],
        "daily_seconds": daily[0],
        "changed": {"activated": activated[1].changed_count, "daily": daily[1].changed_count},
    }
    return {
        **figures,
        "lines": [
            f"one lead: {alone['rate']:.1f} µs for the score, {alone['score']:.1f} µs with its reasons",
            f"{MANY:,} open handoffs with their people written in {filled:.0f} s",
            f"all rated anew: {_said(*activated)}",
            f"a day later: {_said(*daily)}",
        ],
        "ratios": {
            "goal_to_one_lead": GOAL_US / alone["score"],
            "goal_to_a_million": GOAL_SECONDS / activated[0],
            "goal_to_a_million_a_day_later": GOAL_SECONDS / daily[0],
        },
        "goals": dict.fromkeys(
            ("goal_to_one_lead", "goal_to_a_million", "goal_to_a_million_a_day_later"), 1.0
        ),
    }


def _said(seconds: float, done: Pass) -> str:
    each = seconds * 1e6 / done.scored_count
    return f"{done.scored_count:,} in {seconds:.1f} s, {each:.0f} µs each, {done.changed_count:,} changed"


def a_large_model() -> ScoreModel:
    """Twenty rules of fit and six of engagement."""
    words = [f"word{number}" for number in range(20)]
    about = ("segment", "region", "product", "company_domain", "attributes.employees", "attributes.industry")
    fit = [
        *(
            FitRule(
                rule_id=f"word-{number}",
                reads=about[number % len(about)],
                operator=Operator.ONE_OF,
                values=(*words, "retail"),
                points=5,
            )
            for number in range(12)
        ),
        *(
            FitRule(
                rule_id=f"title-{number}",
                reads="job_title",
                operator=Operator.CONTAINS,
                values=("buyer", "head", f"word{number}"),
                points=3,
            )
            for number in range(4)
        ),
        *(
            FitRule(
                rule_id=f"size-{least}",
                reads="attributes.employees",
                operator=Operator.AT_LEAST,
                values=(str(least),),
                points=4,
            )
            for least in (10, 50, 250, 1000)
        ),
    ]
    engagement = [
        EngagementRule(
            rule_id=f"did-{kind.name.lower().replace('_', '-')}",
            kinds=(kind,),
            points=9,
            max_points=40,
            half_life=timedelta(days=10),
        )
        for kind in tuple(BehaviourKind)[:6]
    ]
    return a_model(fit_rules=tuple(fit), engagement_rules=tuple(engagement))


def _leads() -> Iterator[tuple[Contact, Qualification, list[Behaved]]]:
    chance, kinds = Random(3), tuple(BehaviourKind)[:6]
    for number in count(1):
        contact = Contact(
            given_name="Kim",
            family_name=f"Lee {number}",
            email=f"kim{number}@example.com",
            job_title=chance.choice(("Head of purchasing", "Clerk", "Buyer")),
            company_domain=f"company{number % 5000}.example.com",
            attributes={"employees": str(chance.randrange(2000)), "industry": chance.choice(_SEGMENTS)},
        )
        told = Qualification(
            source="website_form",
            segment=chance.choice(_SEGMENTS),
            region="kr/seoul",
            product="watches",
            score=chance.randrange(100),
        )
        behaved = [
            Behaved.at(chance.choice(kinds), NOON - timedelta(minutes=chance.randrange(60_000)))
            for _ in range(8)
        ]
        yield contact, told, behaved


def _alone() -> dict[str, float]:
    """Return processor time a lead, with and without reasons: the median of several rounds."""
    model = a_large_model()
    leads = [(Facts(contact, told), behaved) for contact, told, behaved in islice(_leads(), SCORED)]
    seen: dict[str, list[float]] = {"rate": [], "score": []}
    for _ in range(ROUNDS):
        for name, ask in (("rate", model.rate), ("score", model.score)):
            began = time.process_time()
            for facts, behaved in leads:
                ask(facts, behaved, as_of=NOON)
            seen[name].append((time.process_time() - began) * 1e6 / SCORED)
    return {name: median(each) for name, each in seen.items()}


def _fill(database: Database, many: int) -> None:
    """Write people, handoffs that a rep works, and what they did."""
    migrate(database, "services.leads.store.migrations")
    sealer, leads, numbers = Sealer(bytes(32)), _leads(), count(1)
    template = replace(a_handoff(), state=HandoffState.ACCEPTED, owner=ANNA, accept_time=NOON)
    for _ in range(0, many, _BATCH):
        people, handoffs, engagement = [], [], []
        for contact, told, behaved in islice(leads, min(_BATCH, many)):
            number = next(numbers)
            lead = f"lead-{number:08}"
            wrapped, sealed = sealer.seal(contact_bytes(contact), bound_to=f"default/{lead}")
            people.append(("default", lead, 1, NOON, wrapped, sealed, None))
            handoff = replace(
                template,
                id=HandoffId("default", lead, 1),
                external_digest=number.to_bytes(16, "big"),
                qualification=told,
            )
            handoffs.append(rows.handoff_row(handoff, NOT_WAITING))
            engagement.append(("default", lead, packed(behaved)))
        with database.writer_engine.begin() as connection:
            statements.INSERT_PEOPLE.insert(connection, people)
            statements.INSERT_HANDOFFS.insert(connection, handoffs)
            _INSERT_ENGAGEMENT.insert(connection, engagement)


async def _passes(database: Database) -> tuple[tuple[float, Pass], tuple[float, Pass]]:
    """Return the seconds and the pass after an activation, and those of the pass a day later."""
    now = NOON
    with database.writer_engine.begin() as connection:
        ensure_identity(connection, new_log_id=lambda: "00000000-0000-4000-8000-000000000001")
    async with Writer(database, now=lambda: now) as writer:
        directories = Directories(SCHEMA.directory.directory)
        directory_store = DirectoryStore(writer, SCHEMA.directory, directories)
        ids = count(1)
        store = LeadStore(
            writer, directories=directories, sealer=Sealer(bytes(32)), new_id=lambda: f"id-{next(ids):08}"
        )
        directory = a_directory()
        await directory_store.run(lambda tx, _: tx.save(None, directory, actor=MARKETER))
        propose = ProposeModel("default", a_large_model())
        await store.sweep(lambda tx: propose_models(tx, [propose]))
        activate = Activate(tenant="default", version=1, etag="", by=By(MARKETER))
        await store.sweep(lambda tx: activate_models(tx, [activate]))
        rescorer = Rescorer(store, now=lambda: now)
        activated = await _timed(rescorer, store)
        # As many instants later as a pass waits, so that hardly a point has decayed by a whole one.
        now += EVERY
        return activated, await _timed(rescorer, store)


async def _timed(rescorer: Rescorer, store: LeadStore) -> tuple[float, Pass]:
    began = time.perf_counter()
    while await rescorer.run_once():
        pass
    seconds = time.perf_counter() - began
    done = await store.read(_last)
    return seconds, done


def _last(connection: Connection) -> Pass:
    found = find_pass("default")(connection)
    if found is None or found.finish_time is None:
        raise RuntimeError("the pass did not come to its end")
    return found
