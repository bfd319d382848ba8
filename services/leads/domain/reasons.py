"""The codes with which sales says no, and on whom each is counted.

The lists are short on purpose: a person chooses in a second, and every code is somebody's.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from services.leads.domain.directory import Party
from services.leads.domain.errors import EvidenceRequired, Fault, ReasonCodeUnknown

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,62}").fullmatch
_MOST_CODES = 200


class ReasonUse(IntEnum):
    """When a code may be used, numbered as in the contract."""

    REJECT = 1
    DISQUALIFY = 2
    RECYCLE = 3
    LOSE = 4
    DECLINE = 5
    VOID = 6


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """One code: its use, whom it is counted on, and whether it must be proved."""

    code: str
    use: ReasonUse
    accountable_party: Party
    evidence_required: bool
    description: str


_SALES, _MARKETING, _SYSTEM, _BUYER = Party.SALES, Party.MARKETING, Party.SYSTEM, Party.BUYER

REASON_CODES = tuple(
    ReasonCode(code, use, party, evidence, description)
    for use, code, party, evidence, description in (
        (ReasonUse.REJECT, "CONTACT_DATA_WRONG", _MARKETING, True, "Nobody can be reached with what we got"),
        (ReasonUse.REJECT, "DUPLICATE", _MARKETING, True, "Already handed over under another name"),
        (ReasonUse.REJECT, "NOT_AS_DEFINED", _MARKETING, True, "Does not meet the agreed definition"),
        (ReasonUse.REJECT, "NO_BUYER", _MARKETING, True, "A student, applicant, supplier or competitor"),
        (ReasonUse.REJECT, "ALREADY_CUSTOMER", _SYSTEM, True, "An existing customer: theirs to serve"),
        (ReasonUse.REJECT, "WRONG_TERRITORY", _SYSTEM, False, "Routed to a team that does not sell there"),
        (ReasonUse.REJECT, "NO_CAPACITY", _SALES, False, "A lead, but nobody here can work it now"),
        (ReasonUse.DISQUALIFY, "NO_NEED", _MARKETING, False, "Wants nothing that we sell"),
        (ReasonUse.DISQUALIFY, "NO_BUDGET", _MARKETING, False, "Cannot pay for it"),
        (ReasonUse.DISQUALIFY, "NO_AUTHORITY", _MARKETING, False, "Cannot decide, nor bring who can"),
        (ReasonUse.DISQUALIFY, "UNREACHABLE", _BUYER, False, "Never answered, on any channel"),
        (ReasonUse.DISQUALIFY, "CHOSE_ANOTHER", _SALES, False, "Decided for another before we were done"),
        (ReasonUse.RECYCLE, "NOT_NOW", _BUYER, False, "Wants to hear from us later"),
        (ReasonUse.RECYCLE, "NOT_READY", _MARKETING, False, "Interested, and not far enough to buy"),
        (ReasonUse.RECYCLE, "NO_ANSWER", _BUYER, False, "Did not answer for now"),
        (ReasonUse.LOSE, "PRICE", _SALES, False, "Too dear"),
        (ReasonUse.LOSE, "COMPETITOR", _SALES, False, "Bought from another"),
        (ReasonUse.LOSE, "NO_DECISION", _BUYER, False, "Bought nothing"),
        (ReasonUse.LOSE, "PRODUCT_GAP", _SALES, False, "We do not make what they need"),
        (ReasonUse.LOSE, "CREDIT", _BUYER, False, "We could not sell to them"),
        (ReasonUse.DECLINE, "AWAY", _SALES, False, "Away just now"),
        (ReasonUse.DECLINE, "TOO_MANY", _SALES, False, "Has too many already"),
        (ReasonUse.DECLINE, "CONFLICT", _SALES, False, "A conflict of interest"),
        (ReasonUse.DECLINE, "OTHER_SKILL", _SALES, False, "Another skill or language is needed"),
        (ReasonUse.VOID, "TEST_RECORD", _SYSTEM, False, "Made to try something out, by nobody who may buy"),
        (ReasonUse.VOID, "ENTERED_BY_MISTAKE", _SYSTEM, False, "Meant for another tenant, or never meant"),
    )
)
"""All codes, by use and in the order shown."""


def find_reason(
    use: ReasonUse, code: str, *, evidence: str = "", among: Iterable[ReasonCode] = REASON_CODES
) -> ReasonCode:
    """Return the code for this use.

    Raises:
        ReasonCodeUnknown: it is none of them.
        EvidenceRequired: it must be proved, and nothing was given.
    """
    usable = {reason.code: reason for reason in among if reason.use is use}
    reason = usable.get(code)
    if reason is None:
        raise ReasonCodeUnknown("reason_code", f"one of {', '.join(usable)}")
    if reason.evidence_required and not evidence.strip():
        raise EvidenceRequired("evidence", f"a link or record id that proves {code}")
    return reason


def faults_of_reasons(reasons: tuple[ReasonCode, ...]) -> Iterator[Fault]:
    """Yield what is wrong with a tenant's own codes."""
    if len(reasons) > _MOST_CODES:
        yield Fault("reason_codes", f"must hold at most {_MOST_CODES} codes")
    seen: set[tuple[ReasonUse, str]] = set()
    for index, reason in enumerate(reasons):
        path = f"reason_codes[{index}]"
        if not _CODE(reason.code):
            yield Fault(f"{path}.code", "must be UPPER_SNAKE_CASE, at most 63 characters")
        if (reason.use, reason.code) in seen:
            yield Fault(f"{path}.code", "must not occur twice for the same use")
        seen.add((reason.use, reason.code))
        if reason.use is ReasonUse.VOID:
            yield Fault(f"{path}.use", "must not be USE_VOID: whether a handoff counts is no party's to say")
        if reason.accountable_party is Party.NONE:
            yield Fault(f"{path}.accountable_party", "must be the party on which it is counted")
        if len(reason.description) > 200 or not reason.description.isprintable():
            yield Fault(f"{path}.description", "must be at most 200 printable signs")
