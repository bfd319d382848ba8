"""Which handoff: its lead, and its number within the lead."""

from typing import NamedTuple


class HandoffId(NamedTuple):
    """Which handoff: its lead's id and its number within the lead."""

    tenant: str
    lead: str
    number: int

    @property
    def name(self) -> str:
        """The resource name."""
        return f"tenants/{self.tenant}/leads/{self.lead}/handoffs/{self.number}"

    @property
    def lead_name(self) -> str:
        """The resource name of its lead."""
        return f"tenants/{self.tenant}/leads/{self.lead}"

    def offer_name(self, number: int) -> str:
        """The resource name of one of its offers."""
        return f"{self.name}/offers/{number}"
