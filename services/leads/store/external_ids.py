"""What senders called their submissions: sealed at rest, and told to those who may see personal data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from services.leads.domain.handoff import Handoff
from services.leads.store.people import EXTERNAL_ID, purpose_of
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from smarketing.sql import FindRows

_T: Final = SCHEMA.leads
_SUBMISSION_KEY: Final = ["tenant", "source_system", "external_digest"]
_FIND_SEALED: Final = FindRows(
    _T.submission, key=_SUBMISSION_KEY, columns=[*_SUBMISSION_KEY, "lead", "sealed_external_id"]
)
_FIND_KEYS: Final = FindRows(
    _T.lead_person, key=["tenant", "lead"], columns=["tenant", "lead", "wrapped_key"]
)


HandoffQuery = Callable[[Connection], Sequence[Handoff]]


def with_external_ids(sealer: Sealer, query: HandoffQuery) -> HandoffQuery:
    """Return the query whose handoffs say what their senders called them, except of erased leads."""

    def opened(connection: Connection) -> list[Handoff]:
        found = query(connection)
        sealed = {
            (tenant, system, bytes(digest), lead): bytes(text)
            for tenant, system, digest, lead, text in _FIND_SEALED.find(
                connection, [(each.id.tenant, each.source_system, each.external_digest) for each in found]
            )
            if text is not None
        }
        wrapped = {
            (tenant, lead): bytes(key)
            for tenant, lead, key in _FIND_KEYS.find(connection, [each.id[:2] for each in found])
            if key is not None
        }
        return [_opened(each, sealer, sealed, wrapped) for each in found]

    return opened


def _opened(
    handoff: Handoff,
    sealer: Sealer,
    sealed: dict[tuple[str, str, bytes, str], bytes],
    wrapped: dict[tuple[str, str], bytes],
) -> Handoff:
    tenant, lead, _ = handoff.id
    text = sealed.get((tenant, handoff.source_system, handoff.external_digest, lead))
    key = wrapped.get((tenant, lead))
    if text is None or key is None:
        return handoff
    plain = sealer.open_key(key, f"{tenant}/{lead}").unseal(text, purpose=purpose_of(EXTERNAL_ID))
    return replace(handoff, external_id=plain.decode())
