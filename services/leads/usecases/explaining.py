"""Say how a lead scores now, and why; writes nothing."""

from collections.abc import Callable
from datetime import datetime

from services.leads.domain.errors import LeadUnknown
from services.leads.domain.lead_fields import Facts
from services.leads.domain.privacy import LeadErased
from services.leads.domain.scoring import LeadScore, ScoreModel
from services.leads.domain.scoring_errors import ScoreModelUnknown
from services.leads.store.people import People
from services.leads.store.scoring import MODELS, find_active, find_behaved, find_version
from services.leads.store.sealing import Sealer
from services.leads.store.traffic import handoffs_of_lead
from smarketing import names
from smarketing.sql import Connection

__all__ = ["score_of"]


def score_of(
    sealer: Sealer, tenant: str, lead: str, *, version: int, currency_code: str, now: datetime
) -> Callable[[Connection], LeadScore]:
    """Return the query for a lead's score by a version of the model; by the active one when it is 0.

    Of several handoffs the open one counts, or the last. Running it raises LeadUnknown, LeadErased and
    ScoreModelUnknown.
    """

    def query(connection: Connection) -> LeadScore:
        handoffs = sorted(handoffs_of_lead(connection, tenant, lead), key=lambda each: each.id.number)
        if not handoffs:
            raise LeadUnknown(names.LEAD.build(tenant, lead))
        model = _model(connection, tenant, version)
        contact = People(connection, sealer, now).contact((tenant, lead))
        if contact is None:
            raise LeadErased(names.LEAD.build(tenant, lead))
        handoff = next((each for each in reversed(handoffs) if each.is_live), handoffs[-1])
        facts = Facts(contact, handoff.qualification, handoff.source_system, currency_code)
        held = (tenant, handoff.source_system, handoff.external_digest)
        return model.score(facts, find_behaved(connection, (tenant, lead), held), as_of=now)

    return query


def _model(connection: Connection, tenant: str, version: int) -> ScoreModel:
    query = find_version(MODELS, tenant, version) if version else find_active(MODELS, tenant)
    found = query(connection)
    if found is None:
        raise ScoreModelUnknown(f"tenants/{tenant}/scoreModels/{version or '-'}")
    return found.value
