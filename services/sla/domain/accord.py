"""How a version comes into force: proposed by one party, accepted by both, activated, replaced."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from services.sla.domain.agreement import AgreementVersion, Party
from services.sla.domain.refused import EtagStale, NotAcceptedByBoth, StateForbids
from services.sla.domain.terms import BOTH, AgreementKind, Terms, agreed


class AccordState(Enum):
    """Where a version stands."""

    PROPOSED = "PROPOSED"
    ACCEPTED = "ACCEPTED"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"


class Consent(Enum):
    """By whose word a version holds."""

    PENDING = "PENDING"
    BOTH_PARTIES = "BOTH_PARTIES"
    ONE_PERSON_FOR_BOTH = "ONE_PERSON_FOR_BOTH"
    SINGLE_PARTY = "SINGLE_PARTY"
    PROMISING_PARTIES = "PROMISING_PARTIES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """One party's yes."""

    party: Party
    principal: str
    accept_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Accord:
    """One version of an agreement with the parties' word on it.

    Its terms never change; `revision` counts the changes of everything else.
    """

    tenant: str
    agreement: str
    number: int
    revision: int
    state: AccordState
    terms: Terms
    acceptances: tuple[Acceptance, ...]
    propose_time: datetime
    activate_time: datetime | None = None
    effective_time: datetime | None = None
    retire_time: datetime | None = None

    @property
    def name(self) -> str:
        """`tenants/{tenant}/agreements/{agreement}/versions/{version}`."""
        return f"tenants/{self.tenant}/agreements/{self.agreement}/versions/{self.number}"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return f"{self.number}.{self.revision}"

    @property
    def spoken(self) -> frozenset[Party]:
        """The parties that gave their word."""
        return frozenset(acceptance.party for acceptance in self.acceptances)

    @property
    def consent(self) -> Consent:
        """By whose word it holds: where one person spoke for both sides, or one side alone, that is said."""
        if self._missing():
            return Consent.PENDING
        if self.terms.kind is AgreementKind.CUSTOMER:
            return Consent.PROMISING_PARTIES
        if self.terms.absent:
            return Consent.SINGLE_PARTY
        speakers = {each.principal for each in self.acceptances if each.party in self.terms.needed}
        return Consent.ONE_PERSON_FOR_BOTH if len(speakers) == 1 else Consent.BOTH_PARTIES

    def require_etag(self, etag: str) -> None:
        """Refuse a caller who looked at an older state.

        Raises:
            EtagStale: when `etag` is given and is not this one's.
        """
        if etag and etag != self.etag:
            raise EtagStale(self.name, self.etag)

    def is_in_force(self, at: datetime) -> bool:
        """Tell whether a start at this instant falls under this version."""
        if self.effective_time is None or at < self.effective_time:
            return False
        return self.retire_time is None or at < self.retire_time

    def is_late_for(self, start: datetime) -> bool:
        """Tell whether a start lies before the version was activated: then it reaches into the past."""
        return self.activate_time is not None and start < self.activate_time

    def measure(self) -> AgreementVersion:
        """Return what handoffs are measured by, at any time: clocks stay with the version they pin."""
        return agreed(self.terms, name=self.name, number=self.number)

    def accept(self, parties: Iterable[Party], principal: str, *, now: datetime) -> "Accord":
        """Return the version with the word of these parties; a word given twice counts once.

        Raises:
            StateForbids: when the version was retired.
        """
        if self.state is AccordState.RETIRED:
            raise StateForbids(self.name, self.state.value)
        new = [party for party in BOTH if party in set(parties) - self.spoken]
        if not new:
            return self
        given = tuple(Acceptance(party=party, principal=principal, accept_time=now) for party in new)
        acceptances = (*self.acceptances, *given)
        complete = {acceptance.party for acceptance in acceptances} >= set(self.terms.needed)
        state = AccordState.ACCEPTED if complete and self.state is AccordState.PROPOSED else self.state
        return replace(self, acceptances=acceptances, state=state, revision=self.revision + 1)

    def activate(self, *, effective_time: datetime, now: datetime) -> "Accord":
        """Return the version in force from an instant on; one already in force stays as it is.

        Raises:
            NotAcceptedByBoth: when a party has not given its word.
            StateForbids: when the version was retired.
        """
        match self.state:
            case AccordState.ACTIVE:
                return self
            case AccordState.RETIRED:
                raise StateForbids(self.name, self.state.value)
            case AccordState.PROPOSED:
                raise NotAcceptedByBoth(self.name, tuple(party.value for party in self._missing()))
            case AccordState.ACCEPTED:
                return replace(
                    self,
                    state=AccordState.ACTIVE,
                    activate_time=now,
                    effective_time=effective_time,
                    revision=self.revision + 1,
                )

    def retire(self, at: datetime) -> "Accord":
        """Return the version as replaced from an instant on, but not before it was in force itself."""
        start = self.effective_time or at
        return replace(
            self, state=AccordState.RETIRED, retire_time=max(at, start), revision=self.revision + 1
        )

    def _missing(self) -> list[Party]:
        return [party for party in self.terms.needed if party not in self.spoken]
