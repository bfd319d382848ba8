"""Who has which part in a commitment: who answers for it, does it, is asked and is told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.sla.domain.agreement import Party, Role
from services.sla.domain.fault import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Responsibilities:
    """The four parts, by role; `accountable` is None where a file forgot it."""

    accountable: Role | None
    responsible: tuple[Role, ...] = ()
    consulted: tuple[Role, ...] = ()
    informed: tuple[Role, ...] = ()

    def parts(self) -> Mapping[str, tuple[Role, ...]]:
        """Return the roles of each part."""
        return {
            "accountable": () if self.accountable is None else (self.accountable,),
            "responsible": self.responsible,
            "consulted": self.consulted,
            "informed": self.informed,
        }


_OF_SALES: Final = Responsibilities(
    accountable=Role.MANAGER, responsible=(Role.OWNER,), informed=(Role.OTHER_PARTY,)
)
_OF_OTHERS: Final = Responsibilities(
    accountable=Role.PARTY, responsible=(Role.PARTY,), informed=(Role.OTHER_PARTY,)
)
_OF_THE_SYSTEM: Final = Responsibilities(
    accountable=Role.LEADERSHIP, responsible=(Role.QUEUE,), informed=(Role.OTHER_PARTY,)
)


def by_default(parties: tuple[Party, ...]) -> Responsibilities:
    """Return who has which part where an agreement says nothing.

    What sales promises the handoff's owner does and their manager answers for; what marketing promises its
    managers do; what is the system's the queue's manager sees to, and leadership answers for.
    """
    if Party.SYSTEM in parties:
        return _OF_THE_SYSTEM
    return _OF_SALES if Party.SALES in parties else _OF_OTHERS


def faults_of_responsibilities(parts: Responsibilities | None, path: str) -> Iterator[Fault]:
    """Yield what cannot be agreed to."""
    if parts is None:
        return
    if parts.accountable is None:
        yield Fault(path=f"{path}.accountable", description="name the one role that answers for it")
    if not parts.responsible:
        yield Fault(path=f"{path}.responsible", description="name at least one role that does it")
    for name, roles in parts.parts().items():
        if len(set(roles)) != len(roles):
            yield Fault(path=f"{path}.{name}", description="name each role once")
