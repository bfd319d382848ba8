"""Where webhooks come from, what was set aside of them, and a tenant's rules of intake."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from services.leads.domain.errors import LeadError, NotFound
from services.leads.domain.lead import Contact, Submission
from services.leads.domain.opportunity import OpportunityState
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel, Money

OVERLAP: Final = timedelta(days=1)
"""How long the secret before the present one stays valid."""
SET_ASIDE_LIFETIME: Final = timedelta(days=30)
"""What nobody replayed by then is forgotten: it may tell of people."""
CONTACT_FIELDS: Final = frozenset(each.name for each in fields(Contact))

FETCH_DUE: Final = "FETCH_DUE"
FETCH_FAILED: Final = "FETCH_FAILED"
TYPE_UNKNOWN: Final = "TYPE_UNKNOWN"


class SourceUnknown(NotFound):
    """The tenant has no such source."""


class WriteBackUnknown(NotFound):
    """The tenant has no such write-back."""


class MappingUnknown(LeadError):
    """There is no mapping of this name."""

    def __init__(self, mapping: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no mapping {mapping}")
        self.mapping = mapping
        self.known = known


class SystemUnknown(LeadError):
    """The directory has no such active system."""

    def __init__(self, system: str) -> None:
        super().__init__(f"there is no system {system}")
        self.system = system


class RightMissing(LeadError):
    """The source's system may not say such things."""


class BehaviourKind(IntEnum):
    """What a lead may do, numbered as in the contract."""

    PAGE_VISITED = 1
    EMAIL_OPENED = 2
    EMAIL_CLICKED = 3
    FORM_SUBMITTED = 4
    MESSAGE_RECEIVED = 5
    SCORE_CHANGED = 6
    SUBSCRIPTION_CHANGED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a source and we know of each other; kept sealed."""

    present: str
    previous: str = ""
    previous_expire_time: datetime | None = None
    api_token: str = ""
    verify_token: str = ""
    digest_key: str = ""

    def valid(self, now: datetime) -> tuple[str, ...]:
        """Return the secrets with which it may sign now."""
        overlaps = self.previous_expire_time is not None and now < self.previous_expire_time
        return (self.present, self.previous) if overlaps else (self.present,)

    def rotated(self, secret: str, *, api_token: str, now: datetime) -> "Secrets":
        """Return them with another secret; the present one stays valid for a day."""
        return replace(
            self,
            present=secret,
            previous=self.present,
            previous_expire_time=now + OVERLAP,
            api_token=api_token or self.api_token,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A system that sends webhooks."""

    tenant: str
    source_id: str
    system: str
    """The resource name of the system as which it acts."""
    mapping: str
    create_time: datetime
    display_name: str = ""
    public_url: str = ""
    api_url: str = ""
    people: Mapping[str, str] = field(default_factory=dict)
    delete_time: datetime | None = None

    @property
    def name(self) -> str:
        """The resource name."""
        return f"tenants/{self.tenant}/sources/{self.source_id}"

    @property
    def source_system(self) -> str:
        """Under which its submissions are known."""
        return self.system.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Something a source sent and nothing was made of yet."""

    tenant: str
    source_id: str
    item: str
    type: str
    reason: str
    description: str
    create_time: datetime
    attempts: int = 0
    next_attempt_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which systems may overwrite which field of a contact; a field of nobody's is everybody's."""

    owners: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def corrected(self, kept: Contact, told: Contact, system: str) -> Contact:
        """Return what a system's correction makes of a contact: it counts, but for what is others'."""
        merged = told.completed_by(kept)
        withheld = [name for name, owners in self.owners.items() if system not in owners]
        return self._with(merged, kept, withheld)

    def joined(self, kept: Contact, told: Contact, system: str) -> Contact:
        """Return what another system's submission adds to a contact: what lacked, and what is its own."""
        merged = kept.completed_by(told)
        owned = [name for name, owners in self.owners.items() if system in owners]
        return self._with(merged, told, owned)

    @staticmethod
    def _with(merged: Contact, preferred: Contact, names: list[str]) -> Contact:
        changes = {name: value for name in names if (value := getattr(preferred, name))}
        if "attributes" in changes:
            changes["attributes"] = {**merged.attributes, **preferred.attributes}
        changes = {name: value for name, value in changes.items() if value != getattr(merged, name)}
        return replace(merged, **changes) if changes else merged


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldOutcome:
    """A win or loss, as a source tells it."""

    external_id: str
    state: OpportunityState | None
    occur_time: datetime | None
    amount: Money | None = None
    reason_code: str = ""
    deal_external_id: str = ""
    segment: str = ""
    lead_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldConversion:
    """A conversion, as a source tells it."""

    external_id: str
    occur_time: datetime | None
    deal_external_id: str = ""
    amount: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldFollowUp:
    """An attempt to reach a lead, as a source tells it."""

    external_id: str
    channel: FollowUpChannel | None
    occur_time: datetime | None
    contact: bool
    grade: EvidenceGrade | None
    follow_up_external_id: str
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldBehaviour:
    """Something that a lead did, as a source tells it."""

    external_id: str
    kind: BehaviourKind | None
    """None where a caller did not say."""
    occur_time: datetime | None
    behaviour_external_id: str
    content: str = ""
    campaign: str = ""
    score: int | None = None


Told = Submission | ToldOutcome | ToldConversion | ToldFollowUp | ToldBehaviour
"""What an item of a webhook becomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldItem:
    """One item of a webhook: what it becomes, or why nothing can be made of it."""

    key: str
    type: str
    body: bytes
    """To be set aside, where it comes to that."""
    texts: tuple[str, ...] = ()
    """What in it looks like an address or a number."""
    told: Told | None = None
    reason: str = ""
    description: str = ""
    fetch_url: str = ""
    """Where the rest is to be asked for first; empty when it is all here."""
