"""Every reason for which this domain says no.

LeadError
├── SubmissionInvalid          the sender must correct it
├── NotFound                   LeadUnknown, HandoffUnknown, OfferUnknown, OpportunityUnknown, QueueEmpty
├── FieldFault                 ReasonCodeUnknown, EvidenceRequired, TimeInFuture, FilterInvalid, …
├── NotYours                   NotYourOffer, NotYourHandoff, NotYourDispute
├── OfferClosed                OfferTaken, OfferExpired, OfferEnded, FencingTokenStale
├── StateForbids               the handoff stands elsewhere
├── DisputeFinal               it was disputed, or answered, before
├── DisputeWindowClosed        it is too late to dispute
├── PlaybookInvalid            the playbook must be corrected
└── EtagStale                  somebody was faster
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


class LeadError(Exception):
    """A refusal of this domain: nothing was changed for the request."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a submission."""

    field: str
    """Path within the submission: `contact.email`."""
    description: str
    """What a right value looks like; never the value itself."""


class SubmissionInvalid(LeadError):
    """The submission cannot be taken; every fault is named."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} fields of the submission are wrong")
        self.faults = tuple(faults)


class NotFound(LeadError):
    """There is no such thing in this tenant."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no {name}")
        self.name = name


class TenantUnknown(NotFound):
    """The tenant has no directory."""


class LeadUnknown(NotFound):
    """No such lead."""


class HandoffUnknown(NotFound):
    """No such handoff."""


class OfferUnknown(NotFound):
    """The handoff never had such an offer."""


class OpportunityUnknown(NotFound):
    """No such opportunity."""


class SubmissionUnknown(NotFound):
    """No such submission was ever made."""


class DisputeUnknown(NotFound):
    """The rejection was never disputed."""


class FeedbackUnknown(NotFound):
    """No such feedback."""


class QueueEmpty(NotFound):
    """Nothing waits in the queue."""


class FieldFault(LeadError):
    """One field of the request cannot be taken as things stand."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class FieldInvalid(FieldFault):
    """The value does not fit the others."""


class ReasonCodeUnknown(FieldFault):
    """The code is none of those for this use."""


class EvidenceRequired(FieldFault):
    """The code must be proved."""


class TimeInFuture(FieldFault):
    """It says that it happens more than a minute from now."""


class AssigneeUnknown(FieldFault):
    """The person or queue is not there, or no longer."""


class FilterInvalid(FieldFault):
    """The filter says something that this list does not understand."""

    def __init__(self, position: int, expected: str) -> None:
        super().__init__("filter", f"at character {position}: expected {expected}")
        self.position = position
        """Of the first character at fault, counted from 1."""
        self.expected = expected


class OrderUnknown(FieldFault):
    """No list comes in that order."""


class NotYours(LeadError):
    """Somebody else's to answer."""


class NotYourOffer(NotYours):
    """The offer is to somebody else."""


class NotYourHandoff(NotYours):
    """The handoff is somebody else's."""


class NotYourDispute(NotYours):
    """The dispute is for others to answer: `answerer` is the team whose manager does, or LEADERSHIP."""

    def __init__(self, name: str, answerer: str) -> None:
        super().__init__(name)
        self.name = name
        self.answerer = answerer


class DisputeFinal(LeadError):
    """A rejection is disputed once, and a dispute answered once."""

    def __init__(self, name: str, state: str) -> None:
        super().__init__(f"{name} is {state}")
        self.name = name
        self.state = state


class DisputeWindowClosed(LeadError):
    """The rejection is final: it could be disputed until `until`."""

    def __init__(self, handoff: str, until: datetime) -> None:
        super().__init__(f"the rejection of {handoff} is final")
        self.handoff = handoff
        self.until = until


class PlaybookInvalid(LeadError):
    """The playbook cannot be taken; every fault is named."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} parts of the playbook are wrong")
        self.faults = tuple(faults)


class OfferClosed(LeadError):
    """The offer cannot be answered any more; `etag` is the handoff's present one."""

    def __init__(self, handoff: str, etag: str) -> None:
        super().__init__(f"the offer of {handoff} is over")
        self.handoff = handoff
        self.etag = etag


class OfferTaken(OfferClosed):
    """Somebody else accepted first."""


class OfferExpired(OfferClosed):
    """The lease ran out."""


class OfferEnded(OfferClosed):
    """It was declined, rejected, withdrawn, or followed by another."""


class FencingTokenStale(OfferClosed):
    """The token given is not the offer's."""


class StateForbids(LeadError):
    """The handoff's state does not allow this."""

    def __init__(self, handoff: str, state: str, etag: str) -> None:
        super().__init__(f"{handoff} is {state}")
        self.handoff = handoff
        self.state = state
        self.etag = etag


class EtagStale(LeadError):
    """It changed since the caller read it."""

    def __init__(self, name: str, etag: str) -> None:
        super().__init__(f"{name} has changed")
        self.name = name
        self.etag = etag
