"""A lead: who may buy, what marketing says of them, and what a sender must tell."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Final

from services.leads.domain.errors import Fault
from services.leads.domain.privacy import LawfulBasis
from services.leads.domain.terms import Money, SourceChannel
from smarketing.values import value

FUTURE_TOLERANCE: Final = timedelta(seconds=60)
"""How far another clock may be ahead of ours before we call it the future."""

MOST_REVISION: Final = 2**53
_SOURCE_SYSTEM = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}").fullmatch
_UNASKED = frozenset({SourceChannel.OUTBOUND_EMAIL, SourceChannel.PURCHASED_ATTENDEE_LIST})
_ATTRIBUTE_COUNT = 100
_ATTRIBUTE_KEY_BYTES = 64
_ATTRIBUTE_VALUE_BYTES = 1024


@value(frozen=True, slots=True)
class Contact:
    """Personal data of a lead: kept sealed, and shown in no event, log line or report."""

    given_name: str = ""
    family_name: str = ""
    email: str = ""
    phone: str = ""
    job_title: str = ""
    company: str = ""
    company_domain: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def completed_by(self, other: "Contact") -> "Contact":
        """Return this contact with what it lacked taken from the other."""
        lacking = {
            each.name: getattr(other, each.name)
            for each in fields(self)
            if each.name != "attributes" and not getattr(self, each.name) and getattr(other, each.name)
        }
        attributes = {**other.attributes, **self.attributes}
        if not lacking and attributes == self.attributes:
            return self
        return replace(self, attributes=attributes, **lacking)


@value(frozen=True, slots=True)
class Identity:
    """By what a lead is recognised again, in one spelling each; empty where unknown."""

    email: str = ""
    """The mailbox, however its address was spelled."""
    phone: str = ""
    company_domain: str = ""
    """What the company registered; never one at which anybody may have an address."""


@value(frozen=True, slots=True)
class Rating:
    """A score by the tenant's own model."""

    score: int
    band: str
    version: int
    """Of the model."""


@value(frozen=True, slots=True, kw_only=True)
class Qualification:
    """What marketing says of a handoff, and how the tenant's own model rates it. Nothing here is personal."""

    source: str | None = None
    source_channel: SourceChannel = SourceChannel.UNMAPPED
    campaign: str = ""
    landing_page: str = ""
    segment: str = ""
    region: str = ""
    product: str = ""
    lead_type: str = ""
    score: int | None = None
    value: Money | None = None
    inquire_time: datetime | None = None
    qualify_time: datetime | None = None
    definition: str = ""
    language: str = ""
    """In which the lead wants to be spoken to, a BCP 47 tag."""
    rating: Rating | None = None
    """Ours: no sender's word changes it, and it changes no sender's."""

    @property
    def deciding_score(self) -> int | None:
        """What routing and the order of queues go by: the model's where there is one, else the sender's."""
        return self.score if self.rating is None else self.rating.score

    def completed_by(self, other: "Qualification") -> "Qualification":
        """Return this with what it lacked taken from the other; the earliest inquiry counts."""
        lacking = {
            each.name: getattr(other, each.name)
            for each in fields(self)
            if _is_lacking(getattr(self, each.name)) and not _is_lacking(getattr(other, each.name))
        }
        if self.inquire_time and other.inquire_time and other.inquire_time < self.inquire_time:
            lacking["inquire_time"] = other.inquire_time
        return replace(self, **lacking) if lacking else self


def _is_lacking(value: object) -> bool:
    return value is None or value == "" or value is SourceChannel.UNMAPPED


@dataclass(frozen=True, slots=True)
class History:
    """Marks a submission as history: nothing is offered, nobody is alerted."""

    submit_time: datetime | None = None
    still_open: bool = False


@value(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a marketing system says when it hands a lead over."""

    tenant: str
    source_system: str
    external_id: str
    revision: int = 0
    contact: Contact = field(default_factory=Contact)
    identity: Identity = field(default_factory=Identity)
    qualification: Qualification = field(default_factory=Qualification)
    history: History | None = None
    lawful_basis: LawfulBasis | None = None
    faults: tuple[Fault, ...] = ()
    """What the readers of addresses and numbers found wrong before the domain saw it."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What never changes between its revisions."""
        return (self.tenant, self.source_system, self.external_id)

    def submit_time(self, now: datetime) -> datetime:
        """Return when it was handed over: now, or for history as told, or when the lead inquired."""
        if self.history is None:
            return now
        return self.history.submit_time or self.qualification.inquire_time or now


def is_source_system(name: str) -> bool:
    """Whether a sender may be called so."""
    return _SOURCE_SYSTEM(name) is not None


def check_submission(submission: Submission, *, now: datetime) -> tuple[Fault, ...]:
    """Return everything that is wrong with a submission, so that it is mended in one go."""
    return (
        *submission.faults,
        *_key_faults(submission),
        *_reach_faults(submission),
        *_attribute_faults(submission.contact.attributes),
        *_value_faults(submission.qualification),
        *_time_faults(submission, now + FUTURE_TOLERANCE),
        *_basis_faults(submission),
    )


def _key_faults(submission: Submission) -> Iterator[Fault]:
    if not is_source_system(submission.source_system):
        yield Fault("source_system", "a name of a-z, 0-9 and inner `.`, `_`, `-`, such as `hubspot`")
    if not submission.external_id:
        yield Fault("external_id", "the sender's own id of this submission")
    if not 0 <= submission.revision <= MOST_REVISION:
        yield Fault("revision", f"0 to {MOST_REVISION}")


def _reach_faults(submission: Submission) -> Iterator[Fault]:
    # History is counted, not called: it may have lost whom it was about.
    contact = submission.contact
    if submission.history is None and not contact.email and not contact.phone:
        yield Fault("contact.email", "an e-mail address or a phone number, so that the lead can be reached")


def _attribute_faults(attributes: Mapping[str, str]) -> Iterator[Fault]:
    if not attributes:
        return
    if len(attributes) > _ATTRIBUTE_COUNT:
        yield Fault("contact.attributes", f"at most {_ATTRIBUTE_COUNT} entries")
    if any(not key or len(key.encode()) > _ATTRIBUTE_KEY_BYTES for key in attributes):
        yield Fault("contact.attributes", f"keys of 1 to {_ATTRIBUTE_KEY_BYTES} bytes")
    if any(len(value.encode()) > _ATTRIBUTE_VALUE_BYTES for value in attributes.values()):
        yield Fault("contact.attributes", f"values of at most {_ATTRIBUTE_VALUE_BYTES} bytes")


def _value_faults(qualification: Qualification) -> Iterator[Fault]:
    value = qualification.value
    if value is None:
        return
    if not value.is_sound:
        yield Fault("qualification.value", "an ISO 4217 code and an amount within ±9,007,199,254,740,991")
    if value.minor_units < 0:
        yield Fault("qualification.value.minor_units", "zero or more")


def _basis_faults(submission: Submission) -> Iterator[Fault]:
    if submission.qualification.source_channel in _UNASKED and submission.lawful_basis is None:
        channel = submission.qualification.source_channel.name
        yield Fault("lawful_basis", f"on what ground the data are used: {channel} means that nobody asked")


def _time_faults(submission: Submission, latest: datetime) -> Iterator[Fault]:
    told = submission.qualification
    if told.inquire_time is not None and told.inquire_time > latest:
        yield Fault("qualification.inquire_time", "an instant that is not in the future")
    if told.qualify_time is not None and told.qualify_time > latest:
        yield Fault("qualification.qualify_time", "an instant that is not in the future")
    history = submission.history
    if history is not None and history.submit_time is not None and history.submit_time > latest:
        yield Fault("history.submit_time", "an instant that is not in the future")
