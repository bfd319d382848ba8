"""Apply a tenant's playbook."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.leads.domain.errors import EtagStale, PlaybookInvalid
from services.leads.domain.playbook import Playbook, faults_of_playbook
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import each
from services.leads.wire.playbook import playbook_changed, playbook_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyPlaybook:
    """A playbook as it shall be."""

    tenant: str
    wanted: Playbook
    etag: str
    by: By


def apply_playbooks(tx: LeadTx, requests: Sequence[ApplyPlaybook]) -> list[Playbook | Exception]:
    """Make each the tenant's playbook; one that changes nothing is no new version."""

    def decide(request: ApplyPlaybook) -> Playbook:
        directory = tx.directory(request.tenant)
        present = tx.work.playbook(request.tenant)
        name = playbook_name(request.tenant)
        if request.etag and request.etag != str(present.version):
            raise EtagStale(name, str(present.version))
        faults = faults_of_playbook(request.wanted, directory)
        if faults:
            raise PlaybookInvalid(faults)
        wanted = replace(request.wanted, version=present.version)
        if wanted == present:
            return present
        applied = replace(wanted, version=present.version + 1)
        tx.work.put_playbook(request.tenant, applied)
        if applied.claim_order != present.claim_order:
            tx.reorder_queues(request.tenant)
        tx.tell_of(request.tenant, name, request.by, playbook_changed(request.tenant, applied))
        return applied

    return each(requests, decide)
