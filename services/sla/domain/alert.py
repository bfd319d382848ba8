"""A miss, or a coming one, as an object that people deal with."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from services.sla.domain.agreement import Role
from services.sla.domain.refused import StateForbids


class AlertState(Enum):
    """Where an alert stands."""

    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


class Topic(Enum):
    """What an alert is of that is of no clock."""

    BUDGET_WARN = "BUDGET_WARN"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    PACE_BEHIND = "PACE_BEHIND"
    PACE_AHEAD = "PACE_AHEAD"
    PERIOD_MISSED = "PERIOD_MISSED"


class ResolveReason(Enum):
    """Why an alert is dealt with."""

    STOPPED = "STOPPED"
    RETRACTED = "RETRACTED"
    VOID = "VOID"
    BY_HAND = "BY_HAND"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One for each clock, cycle and delivered rung, and one for each miss.

    One with a topic is of a budget or a period: it has no clock, handoff, owner and team, and says by which
    version of the agreement it was found.
    """

    tenant: str
    id: str
    revision: int = 1
    state: AlertState = AlertState.OPEN
    clock: str
    cycle: int
    handoff: str
    commitment_id: str
    commitment_title: str
    rung_id: str
    missed: bool
    due_time: datetime
    create_time: datetime
    owner: str
    team: str
    recipients: tuple[str, ...]
    acknowledged_by: str = ""
    acknowledge_time: datetime | None = None
    resolved_by: str = ""
    resolve_time: datetime | None = None
    resolve_reason: ResolveReason | None = None
    snooze_until_time: datetime | None = None
    snoozed_by: str = ""
    topic: Topic | None = None
    agreement_version: str = ""

    @property
    def name(self) -> str:
        """`tenants/{tenant}/alerts/{alert}`."""
        return f"tenants/{self.tenant}/alerts/{self.id}"

    @property
    def message_id(self) -> str:
        """Names the message to these recipients, for ever: a repeat is known by it."""
        told = hashlib.sha256("\n".join(self.recipients).encode()).hexdigest()[:16]
        return f"alert-{self.id}-{told}"

    def acknowledge(self, *, by: str, now: datetime) -> "Alert":
        """Return the alert as seen by somebody; the first who says so counts.

        Raises:
            StateForbids: when it is resolved.
        """
        if self.state is AlertState.ACKNOWLEDGED:
            return self
        if self.state is AlertState.RESOLVED:
            raise StateForbids(self.name, self.state.value)
        return replace(
            self,
            state=AlertState.ACKNOWLEDGED,
            acknowledged_by=by,
            acknowledge_time=now,
            revision=self.revision + 1,
        )

    def snooze(self, until: datetime, *, by: str) -> "Alert":
        """Return the alert as put off: nobody is told of it before `until`; the last word counts.

        Raises:
            StateForbids: when it is resolved.
        """
        if self.state is AlertState.RESOLVED:
            raise StateForbids(self.name, self.state.value)
        return replace(self, snooze_until_time=until, snoozed_by=by, revision=self.revision + 1)

    def resolve(self, reason: ResolveReason, *, by: str, now: datetime) -> "Alert":
        """Return the alert as dealt with; `by` is empty when the clock did it.

        Raises:
            StateForbids: when it is resolved already.
        """
        if self.state is AlertState.RESOLVED:
            raise StateForbids(self.name, self.state.value)
        return replace(
            self,
            state=AlertState.RESOLVED,
            resolved_by=by,
            resolve_time=now,
            resolve_reason=reason,
            revision=self.revision + 1,
        )


def alert_id(clock: str, cycle: int, rung_id: str) -> str:
    """Return the one id that an alert of this clock, cycle and rung can have."""
    return hashlib.sha256(f"{clock}\n{cycle}\n{rung_id}".encode()).hexdigest()[:26]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """Who is whom in one tenant, as far as telling them goes. Names are resource names."""

    managers: Mapping[str, str] = field(default_factory=dict)
    """Team or queue → who answers for it."""
    team_of: Mapping[str, str] = field(default_factory=dict)
    """Person → team."""
    marketing_managers: frozenset[str] = frozenset()
    sales_managers: frozenset[str] = frozenset()
    leadership: frozenset[str] = frozenset()

    def recipients(
        self, roles: Iterable[Role], *, owner: str, team: str, parties: Iterable[str]
    ) -> tuple[str, ...]:
        """Return the people behind the roles, each once, in order of name.

        `parties` are those who promised: the other party is whoever is not among them, and both
        sides' managers when the promise is joint or the system's.
        """
        found: set[str] = set()
        for role in roles:
            found |= self._behind(role, owner, team, frozenset(parties))
        return tuple(sorted(found - {""}))

    def _behind(self, role: Role, owner: str, team: str, parties: frozenset[str]) -> frozenset[str]:
        match role:
            case Role.OWNER:
                return frozenset({owner if "/people/" in owner else self.managers.get(owner, "")})
            case Role.MANAGER | Role.QUEUE:
                return frozenset({self.managers.get(owner) or self.managers.get(team, "")})
            case Role.LEADERSHIP:
                return self.leadership
            case Role.PARTY:
                of_sales = self.sales_managers if "SALES" in parties else frozenset()
                return of_sales | (self.marketing_managers if "MARKETING" in parties else frozenset())
            case Role.OTHER_PARTY:
                if parties == {"SALES"}:
                    return self.marketing_managers
                if parties == {"MARKETING"}:
                    return self.sales_managers
                return self.marketing_managers | self.sales_managers
