"""Agree: propose a version, accept it, put it in force."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from services.sla.domain.accord import Accord, AccordState
from services.sla.domain.agreement import Party
from services.sla.domain.calendar import openings_of
from services.sla.domain.fault import Fault
from services.sla.domain.openness import faults_of_calendar
from services.sla.domain.parameters import faults_of_parameters, in_durations
from services.sla.domain.refused import (
    AgreementInvalid,
    AgreementUnknown,
    NoParty,
    NotAcceptedByBoth,
    Refused,
)
from services.sla.domain.terms import Terms, faults_of
from services.sla.store.accords import accords_of, add_accord, find_accord, save_accord
from services.sla.store.definitions import names_of_definitions
from services.sla.store.replays import begin_replay
from services.sla.store.tx import SlaTx
from services.sla.usecases.periods import begin_periods
from services.sla.wire.changes import agreement_changed

Q = TypeVar("Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Somebody wants these terms; their party thereby accepts them.

    `blanks` are the faults that were found when the terms were read.
    """

    tenant: str
    agreement: str
    terms: Terms
    principal: str
    parties: tuple[Party, ...]
    blanks: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """Somebody accepts a version for their party."""

    name: str
    etag: str
    principal: str
    parties: tuple[Party, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """A version is to be in force; from now on when `effective_time` is None."""

    name: str
    etag: str
    principal: str
    effective_time: datetime | None


def propose(tx: SlaTx, requests: Sequence[Propose], *, now: datetime) -> list[Accord | Exception]:
    """Return the new version of each; terms equal to the newest version's return that one."""
    return [_tried(_propose, tx, request, now) for request in requests]


def accept(tx: SlaTx, requests: Sequence[Accept], *, now: datetime) -> list[Accord | Exception]:
    """Return each version with one more party's word."""
    return [_tried(_accept, tx, request, now) for request in requests]


def activate(tx: SlaTx, requests: Sequence[Activate], *, now: datetime) -> list[Accord | Exception]:
    """Return each version in force; the one before is retired."""
    return [_tried(_activate, tx, request, now) for request in requests]


def _tried(
    step: Callable[[SlaTx, Q, datetime], Accord], tx: SlaTx, request: Q, now: datetime
) -> Accord | Exception:
    try:
        return step(tx, request, now)
    except Refused as refused:
        return refused


def _propose(tx: SlaTx, request: Propose, now: datetime) -> Accord:
    terms = _sound(tx, request, now)
    versions = accords_of(tx.connection, request.tenant, request.agreement)
    newest = versions[0] if versions else None
    if newest is not None and newest.terms == terms and newest.state is not AccordState.RETIRED:
        return newest
    accord = _proposed(request, terms, newest.number + 1 if newest else 1, now)
    add_accord(tx.connection, accord)
    tx.say(accord.tenant, accord.name, agreement_changed(accord), actor=request.principal)
    return accord


def look(tx: SlaTx, request: Propose, *, now: datetime) -> Accord:
    """Return the version that these terms would make; nothing is written.

    Raises:
        AgreementInvalid: with every fault.
        NoParty: when the caller speaks for neither party.
    """
    return _proposed(request, _sound(tx, request, now), 0, now)


def _sound(tx: SlaTx, request: Propose, now: datetime) -> Terms:
    """Return the terms with every target as a duration, and without fault."""
    if not request.parties:
        raise NoParty
    calendar = tx.calendar(request.tenant, request.terms.calendar_version)
    terms = request.terms if calendar is None else in_durations(request.terms, calendar.calendar)
    faults = [
        *request.blanks,
        *faults_of(terms, calendar_exists=calendar is not None),
        *faults_of_parameters(terms),
    ]
    if calendar is not None:
        faults += faults_of_calendar(terms, openings_of(calendar.calendar), now=now)
    faults += _faults_of_definition(tx, request.tenant, terms)
    for at, party in enumerate(terms.absent):
        if party in _present(tx, request.tenant):
            description = f"{party.value.lower()} has a manager here, whose word is needed"
            faults.append(Fault(path=f"absent_parties[{at}]", description=description))
    if faults:
        raise AgreementInvalid(faults)
    return terms


def _faults_of_definition(tx: SlaTx, tenant: str, terms: Terms) -> list[Fault]:
    """Return the fault of a named MQL definition that was never in force, as far as that is known."""
    named = terms.marketing.mql_definition if terms.marketing else ""
    known = names_of_definitions(tx.connection, tenant) if named else frozenset()
    if not known or named in known:
        return []
    description = "no version of this name was ever in force in `leads`: put it in force first, or correct it"
    return [Fault(path="marketing_terms.mql_definition", description=description)]


def _present(tx: SlaTx, tenant: str) -> set[Party]:
    """Return the parties for which somebody can speak."""
    staff = tx.staff(tenant)
    managers = {Party.MARKETING: staff.marketing_managers, Party.SALES: staff.sales_managers}
    return {party for party, people in managers.items() if people}


def _proposed(request: Propose, terms: Terms, number: int, now: datetime) -> Accord:
    return Accord(
        tenant=request.tenant,
        agreement=request.agreement,
        number=number,
        revision=1,
        state=AccordState.PROPOSED,
        terms=terms,
        acceptances=(),
        propose_time=now,
    ).accept(request.parties, request.principal, now=now)


def _accept(tx: SlaTx, request: Accept, now: datetime) -> Accord:
    accord = _found(tx, request.name, request.etag)
    if not request.parties:
        raise NoParty
    after = accord.accept(request.parties, request.principal, now=now)
    return _saved(tx, accord, after, request.principal)


def _activate(tx: SlaTx, request: Activate, now: datetime) -> Accord:
    accord = _found(tx, request.name, request.etag)
    effective = request.effective_time or now
    appeared = _present(tx, accord.tenant) & set(accord.terms.absent) - accord.spoken
    if accord.state is AccordState.ACCEPTED and appeared:
        # There was nobody to ask when it was proposed; now there is.
        raise NotAcceptedByBoth(accord.name, tuple(sorted(party.value for party in appeared)))
    active = accord.activate(effective_time=effective, now=now)
    if active is accord:
        return accord
    for earlier in accords_of(tx.connection, accord.tenant, accord.agreement):
        if earlier.state is AccordState.ACTIVE:
            _saved(tx, earlier, earlier.retire(effective), request.principal)
    if effective < now:
        # It reaches into the past: handoffs that nothing measured yet are looked at once more.
        begin_replay(tx.connection, accord.tenant)
    begin_periods(tx, active)
    return _saved(tx, accord, active, request.principal)


def _found(tx: SlaTx, name: str, etag: str) -> Accord:
    accord = find_accord(tx.connection, name)
    if accord is None:
        raise AgreementUnknown(name)
    accord.require_etag(etag)
    return accord


def _saved(tx: SlaTx, before: Accord, after: Accord, actor: str) -> Accord:
    if after is not before:
        save_accord(tx.connection, after)
        tx.say(after.tenant, after.name, agreement_changed(after), actor=actor)
    return after
