"""What is known of a lead, field by field, as rules of the tenant's own look at it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.leads.domain.lead import Contact, Qualification

__all__ = ["PERSONAL", "Facts", "Reader", "is_filled", "number_in", "reader_of", "reads_contact"]

_ATTRIBUTES: Final = "attributes."
_LONGEST_KEY: Final = 64
_NUMBER: Final = re.compile(r"([+-]?)([0-9]{1,15})(?:\.([0-9]{1,6}))?").fullmatch
_says_something: Final = re.compile(r"[^\W_]").search
PERSONAL: Final = frozenset({"given_name", "family_name", "email", "phone"})
"""Fields that may only be present or absent: nobody scores better for what they are called."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A lead as rules see it at one instant."""

    contact: Contact = field(default_factory=Contact)
    told: Qualification = field(default_factory=Qualification)
    source_system: str = ""
    currency_code: str = ""
    """The tenant's: a value in another cannot be compared, and says nothing."""


Reader = Callable[[Facts], str]


def _value(facts: Facts) -> str:
    value = facts.told.value
    comparable = value is not None and value.currency_code == facts.currency_code
    return str(value.minor_units) if value is not None and comparable else ""


def _email_domain(facts: Facts) -> str:
    return facts.contact.email.rpartition("@")[2]


def _inquire_time(facts: Facts) -> str:
    return "" if facts.told.inquire_time is None else facts.told.inquire_time.isoformat()


_OF_QUALIFICATION: Final[Mapping[str, Reader]] = {
    "source": lambda facts: facts.told.source or "",
    "source_channel": lambda facts: facts.told.source_channel.name,
    "source_system": lambda facts: facts.source_system,
    "campaign": lambda facts: facts.told.campaign,
    "landing_page": lambda facts: facts.told.landing_page,
    "segment": lambda facts: facts.told.segment,
    "region": lambda facts: facts.told.region,
    "product": lambda facts: facts.told.product,
    "lead_type": lambda facts: facts.told.lead_type,
    "language": lambda facts: facts.told.language,
    "value": _value,
    "inquire_time": _inquire_time,
}
_OF_CONTACT: Final[Mapping[str, Reader]] = {
    "given_name": lambda facts: facts.contact.given_name,
    "family_name": lambda facts: facts.contact.family_name,
    "email": lambda facts: facts.contact.email,
    "phone": lambda facts: facts.contact.phone,
    "job_title": lambda facts: facts.contact.job_title,
    "company": lambda facts: facts.contact.company,
    "company_domain": lambda facts: facts.contact.company_domain,
    "email_domain": _email_domain,
}


def reader_of(name: str) -> Reader | None:
    """Return what reads a field, empty where it says nothing; None when there is no such field."""
    if name.startswith(_ATTRIBUTES):
        key = name.removeprefix(_ATTRIBUTES)
        if not key or len(key.encode()) > _LONGEST_KEY:
            return None
        return lambda facts: facts.contact.attributes.get(key, "")
    return _OF_QUALIFICATION.get(name) or _OF_CONTACT.get(name)


def reads_contact(name: str) -> bool:
    """Whether a field stands in the sealed part of a lead."""
    return name not in _OF_QUALIFICATION


def is_filled(text: str) -> bool:
    """Whether a field says something: a letter or a digit at least, and not `unmapped`."""
    return _says_something(text) is not None and text != "UNMAPPED"


def number_in(text: str) -> int | None:
    """Return a number exactly, in millionths; None where there is none of up to 15 digits, 6 decimals."""
    match = _NUMBER(text.strip())
    if match is None:
        return None
    sign, whole, decimals = match.groups()
    millionths = int(whole) * 1_000_000 + int((decimals or "").ljust(6, "0"))
    return -millionths if sign == "-" else millionths
