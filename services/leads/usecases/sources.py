"""Register sources, and keep a tenant's rules of intake."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.leads.domain.errors import EtagStale
from services.leads.domain.intake import Secrets, Source, SourceUnknown
from services.leads.store.intake import IntakeReading, KeptRules
from services.leads.store.transaction import LeadTx
from services.leads.usecases.asking import each
from services.leads.usecases.intake import check_system


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSource:
    """Register a source."""

    source: Source
    secrets: Secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSecret:
    """Give a source another secret."""

    tenant: str
    source_id: str
    secret: str
    api_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSource:
    """Remove a source."""

    tenant: str
    source_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRules:
    """Make these the tenant's rules."""

    tenant: str
    etag: str
    rules: bytes


class Sources:
    """The use cases that seal and open secrets."""

    def __init__(self, reading: IntakeReading) -> None:
        self._reading = reading

    def create(self, tx: LeadTx, requests: Sequence[CreateSource]) -> list[Source | Exception]:
        """Keep each source, its secrets sealed."""

        def decide(request: CreateSource) -> Source:
            source = replace(request.source, create_time=tx.now)
            check_system(tx, source)
            tx.intake.add_source(source, self._reading.seal_secrets(source, request.secrets))
            return source

        return each(requests, decide)

    def rotate(self, tx: LeadTx, requests: Sequence[RotateSecret]) -> list[Source | Exception]:
        """Give each source its other secret; the present one stays valid for a day."""

        def decide(request: RotateSecret) -> Source:
            source, sealed = _known(tx, request.tenant, request.source_id)
            present = self._reading.open_secrets(source, sealed)
            secrets = present.rotated(request.secret, api_token=request.api_token, now=tx.now)
            return tx.intake.save_source(source, sealed_secrets=self._reading.seal_secrets(source, secrets))

        return each(requests, decide)


def delete_sources(tx: LeadTx, requests: Sequence[DeleteSource]) -> list[Source | Exception]:
    """Remove each source; a removed one stays removed."""

    def decide(request: DeleteSource) -> Source:
        source, _ = _known(tx, request.tenant, request.source_id)
        if source.delete_time is not None:
            return source
        return tx.intake.save_source(source, delete_time=tx.now)

    return each(requests, decide)


def apply_rules(tx: LeadTx, requests: Sequence[ApplyRules]) -> list[tuple[str, KeptRules] | Exception]:
    """Keep each tenant's rules."""

    def decide(request: ApplyRules) -> tuple[str, KeptRules]:
        tx.directory(request.tenant)
        version = tx.intake.rules(request.tenant).version
        if request.etag and request.etag != str(version):
            raise EtagStale(f"tenants/{request.tenant}/intakeRules", str(version))
        kept = KeptRules(version + 1, request.rules)
        tx.intake.put_rules(request.tenant, kept)
        return request.tenant, kept

    return each(requests, decide)


def _known(tx: LeadTx, tenant: str, source_id: str) -> tuple[Source, bytes]:
    found = tx.intake.source(tenant, source_id)
    if found is None:
        raise SourceUnknown(f"tenants/{tenant}/sources/{source_id}")
    return found
