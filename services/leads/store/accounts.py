"""Accounts: what is known by the digest of a company's domain, and who has something there."""

from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, false, select

from services.leads.domain.states import HandoffState
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer

_h: Final = SCHEMA.leads.handoff.c
_FIRST_OWNED, _LAST_OWNED = HandoffState.ACCEPTED.value, HandoffState.CONVERTED.value
_MOST_OWNERS: Final = 10
"""So many who left in a row, and the account counts as nobody's."""


def _owners(*conditions: Any, latest: Any) -> Select[Any]:
    return (
        select(_h.owner)
        .where(
            _h.tenant == bindparam("of_tenant"),
            _h.account == bindparam("of_account"),
            # Said again, so that SQLite sees that the partial index holds them all.
            _h.account.is_not(None),
            _h.owner != "",
            _h.state.between(_FIRST_OWNED, HandoffState.WON.value),
            *conditions,
        )
        # Said, because PostgreSQL would begin with what never was.
        .order_by(latest.desc().nulls_last(), _h.lead.desc(), _h.number.desc())
        .limit(_MOST_OWNERS)
    )


_OF_OPEN: Final = _owners(
    _h.state.between(_FIRST_OWNED, _LAST_OWNED), _h.archived == false(), latest=_h.accept_time
)
_OF_WON: Final = _owners(_h.state == HandoffState.WON.value, latest=_h.close_time)


class Accounts:
    """Answers for one transaction, each account once: what it changes itself it does not see."""

    def __init__(self, connection: Connection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer
        self._digests: dict[tuple[str, str], bytes] = {}
        self._owners: dict[tuple[str, bytes], tuple[str, ...]] = {}

    def digest(self, tenant: str, company_domain: str) -> bytes:
        """Return by what the company of this domain is known; empty for no domain."""
        if not company_domain:
            return b""
        key = (tenant, company_domain)
        digest = self._digests.get(key)
        if digest is None:
            digest = self._digests[key] = self._sealer.match_digest(tenant, "company", company_domain)
        return digest

    def owners(self, tenant: str, account: bytes) -> tuple[str, ...]:
        """Return who owns its open handoffs, the latest to get one first, then who won, the last first."""
        key = (tenant, account)
        owners = self._owners.get(key)
        if owners is None:
            values = {"of_tenant": tenant, "of_account": account}
            found = [
                row[0] for query in (_OF_OPEN, _OF_WON) for row in self._connection.execute(query, values)
            ]
            owners = self._owners[key] = tuple(dict.fromkeys(found))
        return owners
