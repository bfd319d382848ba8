"""Register who is told what became of leads, and send again what was given up."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.leads.store.transaction import LeadTx
from services.leads.usecases.asking import each
from smarketing.delivery import Endpoint, NewEndpoint, Sealer

Told = tuple[Endpoint, str]
"""A write-back, and the source system whose leads it is told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateWriteBack:
    """Register an address; its URL was checked."""

    new: NewEndpoint
    source_system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBackNamed:
    """A write-back to be removed, or to be sent again what was given up."""

    tenant: str
    endpoint_id: str


class WriteBacks:
    """The use cases of write-backs; `sealer` seals their secrets."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def create(self, tx: LeadTx, requests: Sequence[CreateWriteBack]) -> list[Told | Exception]:
        """Keep each address."""

        def decide(request: CreateWriteBack) -> Told:
            tx.directory(request.new.tenant)
            return tx.write_backs.create(request.new, request.source_system, self._sealer)

        return each(requests, decide)


def delete_write_backs(tx: LeadTx, requests: Sequence[WriteBackNamed]) -> list[Told | Exception]:
    """Remove each write-back, and cancel what waits for it."""
    return each(requests, lambda request: tx.write_backs.delete(request.tenant, request.endpoint_id))


def replay_write_backs(tx: LeadTx, requests: Sequence[WriteBackNamed]) -> list[int | Exception]:
    """Give what was given up for each a fresh set of attempts; say of how many."""
    return each(requests, lambda request: tx.write_backs.replay(request.tenant, request.endpoint_id))
