"""What a routing would do, and what the present one did: looked at, never written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.leads.domain.desk import Case, Desk, Plan
from services.leads.domain.directory import Directory
from services.leads.domain.directory_errors import DirectoryInvalid
from services.leads.domain.directory_faults import faults_of
from services.leads.domain.errors import HandoffUnknown, SubmissionInvalid
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Qualification, Submission, check_submission
from services.leads.domain.lead_fields import Facts
from services.leads.domain.open_work import OpenWork
from services.leads.domain.previews import PersonLoad, Preview, RuleLoad, Tally, given_of_rules, rule_loads
from services.leads.domain.routing_rules import Routing, traits_of
from services.leads.domain.turns import Pool
from services.leads.store.accounts import Accounts
from services.leads.store.people import People
from services.leads.store.routing import RoutingCaches, find_openings, find_pools, find_work
from services.leads.store.scoring import MODELS, find_active, find_behaved
from services.leads.store.sealing import Sealer
from services.leads.store.traffic import Absences, handoffs_of_lead, passed_between
from services.leads.store.working import find_playbook
from services.leads.usecases.identity import identify, understand
from services.leads.usecases.routing import company_host_of, owners_since
from smarketing import names
from smarketing.businesstime import Openings
from smarketing.sql import Connection

__all__ = ["MOST_HANDOFFS", "Previewer", "Span", "load_of", "proposed"]

MOST_HANDOFFS: Final = 10_000
"""So many of a span are tried."""


@dataclass(frozen=True, slots=True)
class Span:
    """Past traffic, by when it was recorded."""

    start_time: datetime
    end_time: datetime


def proposed(directory: Directory, routing: Routing | None) -> Directory:
    """Return the directory with the routing that is tried; the present one where none is.

    Raises:
        DirectoryInvalid: with every fault of the routing.
    """
    if routing is None:
        return directory
    wanted = replace(directory, routing=replace(routing, version=directory.routing.version + 1))
    faults = faults_of(wanted, old=directory)
    if faults:
        raise DirectoryInvalid(faults)
    return wanted


def load_of(directory: Directory) -> Callable[[Connection], tuple[Sequence[RuleLoad], Sequence[PersonLoad]]]:
    """Return how the turns of a directory's rules were shared."""
    tenant = names.tenant_of(directory.tenant)

    def query(connection: Connection) -> tuple[Sequence[RuleLoad], Sequence[PersonLoad]]:
        pools = find_pools(connection, tenant)
        people = sorted({member.person for rule in directory.routing.rules for member in rule.members})
        work = find_work(connection, tenant, people)
        return rule_loads(directory, pools), given_of_rules(directory, pools, work)

    return query


class Previewer:
    """Tries a directory's routing on one connection."""

    def __init__(
        self, connection: Connection, directory: Directory, *, sealer: Sealer, now: datetime
    ) -> None:
        self._connection = connection
        self._directory = directory
        self._tenant = names.tenant_of(directory.tenant)
        self._now = now
        self._sealer = sealer
        self._people = People(connection, sealer, now)
        self._accounts = Accounts(connection, sealer)
        self._plan = Plan(directory)
        self._work = OpenWork(lambda people: find_work(connection, self._tenant, people))
        self._calendars = self._openings()

    def submission(self, submission: Submission) -> Preview:
        """Return where a lead would go that was not handed over yet.

        Raises:
            SubmissionInvalid: with every fault.
        """
        known = identify(submission, self._directory.settings.region_code)
        vocabulary = find_playbook(self._tenant)(self._connection).vocabulary
        known = understand(known, vocabulary, self._now)
        faults = check_submission(known, now=self._now)
        if faults:
            raise SubmissionInvalid(faults)
        company = known.identity.company_domain
        rated = self._rated(known)
        return self._one(
            Case(
                traits=traits_of(rated, known.source_system),
                company_domain=lambda: company_host_of(known.contact),
                account_owner=lambda: self._owner_of(self._accounts.digest(self._tenant, company)),
            )
        )

    def _rated(self, submission: Submission) -> Qualification:
        """Return what is said of a new lead, rated as it would be by the tenant's model, if it has one."""
        active = find_active(MODELS, self._tenant)(self._connection)
        if active is None:
            return submission.qualification
        told = submission.qualification
        currency_code = self._directory.settings.currency_code
        facts = Facts(submission.contact, told, submission.source_system, currency_code)
        digest = self._sealer.external_digest(*submission.key)
        held = (self._tenant, submission.source_system, digest)
        behaved = find_behaved(self._connection, (self._tenant, ""), held)
        return replace(told, rating=active.value.rate(facts, behaved, as_of=self._now))

    def handoff(self, handoff_id: HandoffId) -> Preview:
        """Return where a handoff would go next.

        Raises:
            HandoffUnknown: there is none.
        """
        handoffs = handoffs_of_lead(self._connection, handoff_id.tenant, handoff_id.lead)
        found = next((each for each in handoffs if each.id == handoff_id), None)
        if found is None:
            raise HandoffUnknown(handoff_id.name)
        cool_off = self._directory.routing.previous_owner_cool_off
        return self._one(
            Case(
                traits=traits_of(found.qualification, found.source_system),
                tried=found.tried,
                cooling_off=owners_since(found, handoffs, self._now - cool_off) if cool_off else (),
                company_domain=lambda: self._company_of(handoff_id),
                account_owner=lambda: self._owner_of(found.account),
            )
        )

    def span(self, span: Span) -> Preview:
        """Return how past traffic would have been shared."""
        tally, pools = Tally(self._directory), dict[str, Pool]()
        absences = Absences(self._connection, self._tenant, span.start_time, span.end_time)
        found = passed_between(
            self._connection, self._tenant, span.start_time, span.end_time, limit=MOST_HANDOFFS + 1
        )
        desks: dict[object, Desk] = {}
        for passed in found:
            if tally.handoffs == MOST_HANDOFFS:
                return self._preview(tally, pools, truncated=True)
            away = absences.at(passed.record_time)
            closed = frozenset(self._closed(passed.record_time))
            if (away, closed) not in desks:
                # A desk is of one instant; it serves every other at which the same people can work.
                desks = {(away, closed): self._desk(pools, away, closed)}
            case = Case(
                traits=passed.traits,
                company_domain=lambda handoff=passed.id: self._company_of(handoff),  # type: ignore[misc]  # no type for a default
            )
            placement = desks[away, closed].decide(case)
            tally.add(placement)
            if placement is not None and not placement.is_queue:
                self._work.add(placement.assignee)
        return self._preview(tally, pools)

    def _one(self, case: Case) -> Preview:
        tally, pools = Tally(self._directory), dict(find_pools(self._connection, self._tenant))
        away = Absences(self._connection, self._tenant, self._now, self._now).at(self._now)
        placement = self._desk(pools, away, frozenset(self._closed(self._now))).decide(case)
        tally.add(placement)
        return replace(self._preview(tally, pools), one=placement)

    def _preview(self, tally: Tally, pools: dict[str, Pool], *, truncated: bool = False) -> Preview:
        work = find_work(self._connection, self._tenant, tally.names)
        return Preview(
            handoffs=tally.handoffs,
            truncated=truncated,
            rules=rule_loads(self._directory, {key: pool for key, pool in pools.items() if pool.changed}),
            people=tally.people(work),
            queues=tally.queues,
        )

    def _desk(self, pools: dict[str, Pool], away: frozenset[str], closed: frozenset[str]) -> Desk:
        return Desk(
            self._plan,
            pool_of=lambda rule_id: pools.setdefault(rule_id, Pool()),
            work=self._work,
            on_leave=away,
            is_open=lambda calendar: calendar not in closed,
        )

    def _closed(self, at: datetime) -> Iterator[str]:
        return (calendar for calendar, openings in self._calendars.items() if not openings.is_open(at))

    def _openings(self) -> dict[str, Openings]:
        caches = RoutingCaches()
        asked = {calendar for pool in self._plan.pools for calendar in pool.calendars if calendar}
        found = {calendar: find_openings(self._connection, calendar, caches) for calendar in asked}
        return {calendar: openings for calendar, openings in found.items() if openings is not None}

    def _owner_of(self, account: bytes) -> str:
        """Return the active person who has the account, as routing itself finds them."""
        owners = self._accounts.owners(self._tenant, account) if account else ()
        return next((owner for owner in owners if self._directory.active_person(owner)), "")

    def _company_of(self, handoff: HandoffId) -> str:
        return company_host_of(self._people.contact((handoff.tenant, handoff.lead)))
