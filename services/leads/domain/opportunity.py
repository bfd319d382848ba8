"""What a handoff was converted into: won or lost in the end."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import IntEnum

from services.leads.domain.errors import EtagStale, StateForbids
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.terms import Money


class OpportunityState(IntEnum):
    """Open, won or lost, numbered as in the contract."""

    OPEN = 1
    WON = 2
    LOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """A deal in the making, or made."""

    tenant: str
    opportunity_id: str
    handoff: HandoffId
    owner: str
    create_time: datetime
    state: OpportunityState = OpportunityState.OPEN
    version: int = 1
    amount: Money | None = None
    probability_percent: int | None = None
    expected_close_date: date | None = None
    close_time: datetime | None = None
    reason_code: str = ""
    stage: str = ""
    """One of the playbook's stages; empty when it is not known, as for a deal that another system told of."""
    external_id: str = ""
    """The id of the deal in the system that told of it, until that is sealed; may be empty."""
    sealed_external_id: bytes = b""
    """The same as it is kept."""

    @property
    def name(self) -> str:
        """The resource name."""
        return f"tenants/{self.tenant}/opportunities/{self.opportunity_id}"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return str(self.version)

    def check_etag(self, etag: str) -> None:
        """Refuse who read an older version.

        Raises:
            EtagStale: unless `etag` is empty or the present one.
        """
        if etag and etag != self.etag:
            raise EtagStale(self.name, self.etag)

    def close(
        self, state: OpportunityState, *, at: datetime, amount: Money | None, reason_code: str
    ) -> "Opportunity":
        """Return it won or lost.

        Raises:
            StateForbids: it is closed already.
        """
        if self.state is not OpportunityState.OPEN:
            raise StateForbids(self.name, self.state.name, self.etag)
        return replace(
            self,
            state=state,
            version=self.version + 1,
            amount=self.amount if amount is None else amount,
            close_time=at,
            reason_code=reason_code,
        )

    def reopen(self) -> "Opportunity":
        """Return it open again, as it was before its end.

        Raises:
            StateForbids: it is open.
        """
        if self.state is OpportunityState.OPEN:
            raise StateForbids(self.name, self.state.name, self.etag)
        return replace(
            self, state=OpportunityState.OPEN, version=self.version + 1, close_time=None, reason_code=""
        )
