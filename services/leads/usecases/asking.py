"""Who asks, and for whom they may act."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.leads.domain.directory import Directory
from services.leads.domain.errors import FieldInvalid, HandoffUnknown, LeadError, NotYours
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.privacy import LeadErased
from services.leads.store.transaction import By, LeadTx
from smarketing import names

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """The principal of a call."""

    principal: str
    is_system: bool = False
    person: str = ""
    """For whom, as the request says; empty when it does not."""
    manages: bool = False
    """Whether they are a sales manager."""
    traceparent: str = ""

    def person_in(self, directory: Directory, *, otherwise: str = "") -> str:
        """Return the person who acts: themselves, or for whom a system may act.

        Raises:
            NotYours: they may not act for that person.
            FieldInvalid: a system did not say for whom.
        """
        if not self.is_system:
            if self.person not in {"", self.principal}:
                raise NotYours(self.person)
            return self.principal
        person = self.person or otherwise
        if not person:
            raise FieldInvalid("person", "for whom the system acts")
        if not directory.may_act_for(self.principal, person):
            raise NotYours(person)
        return person

    def by(self, person: str = "") -> By:
        """Return who made it happen, for the log."""
        return By(person or self.principal, self.traceparent)


def each(requests: Sequence[Q], decide: Callable[[Q], A]) -> list[A | Exception]:
    """Return the decision on each request, or why it was refused; `decide` refuses before it writes."""
    results: list[A | Exception] = []
    for request in requests:
        try:
            results.append(decide(request))
        except LeadError as refused:
            results.append(refused)
    return results


def known_handoff(tx: LeadTx, handoff_id: HandoffId) -> Handoff:
    """Return a loaded handoff.

    Raises:
        HandoffUnknown: there is none.
    """
    handoff = tx.handoff(handoff_id)
    if handoff is None:
        raise HandoffUnknown(handoff_id.name)
    return handoff


def check_not_forgotten(tx: LeadTx, handoff_id: HandoffId) -> None:
    """Refuse to open again what was closed when its person was forgotten: there is nobody to be reached.

    Raises:
        LeadErased: the person was erased.
    """
    if tx.people.is_erased(handoff_id[:2]):
        raise LeadErased(names.LEAD.build(*handoff_id[:2]))


def team_of(directory: Directory, person: str) -> str:
    """Return the name of the person's team; empty without one."""
    team = directory.team_of(person)
    return "" if team is None else team.name
