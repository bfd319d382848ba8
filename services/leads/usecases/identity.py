"""By what a lead is recognised again: addresses and numbers in one spelling each."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from publicsuffixlist import PublicSuffixList

from services.leads.domain.copying import changed
from services.leads.domain.errors import Fault
from services.leads.domain.lead import Contact, Identity, Submission
from services.leads.domain.mailboxes import FREE_MAIL, mailbox_of
from services.leads.domain.vocabulary import Vocabulary

# What nearly every address looks like; the library would say the same of it, at twenty times the cost.
_PLAIN_EMAIL: Final = re.compile(
    r"(?=.{6,254}$)(?=[^@]{1,64}@)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:com|net|org|edu|io|co|de|kr|uk|fr|br|jp|info|biz)"
).fullmatch
_PUNYCODE: Final = re.compile(r"@(?:.*\.)?..--").search
_INTERNATIONAL: Final = re.compile(r"\+[1-9][0-9 ().-]{6,24}").fullmatch
_FEWEST_DIGITS: Final = 8
"""With the country code. Shorter ones exist, and are more often a typing error than a lead."""
_NOT_DIGITS: Final = re.compile(r"[^0-9]")
_SUFFIXES: Final = PublicSuffixList()
"""As the package brought it: nothing is fetched, and nothing is written."""
_HOST: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(?:[^/@]*@)?([^/?#:]+)").match


def identify(submission: Submission, region_code: str) -> Submission:
    """Return the submission with its lead's identity, and with a fault for what cannot be read.

    A number without country code is read in `region_code`. A phone number that cannot be read is a
    fault only where there is no address: a typo must not lose a lead who can be reached.
    """
    contact, faults = submission.contact, list(submission.faults)
    email = phone = ""
    if contact.email:
        email = spelled_mailbox(contact.email)
        if not email:
            faults.append(Fault("contact.email", "an e-mail address such as `name@example.com`"))
    if contact.phone:
        phone = spelled_phone(contact.phone, region_code)
        if not phone and not contact.email:
            faults.append(Fault("contact.phone", "a phone number, with country code where it is foreign"))
    identity = Identity(email, phone, company_domain_of(contact, email))
    return changed(submission, identity=identity, faults=tuple(faults))


def understand(submission: Submission, vocabulary: Vocabulary, now: datetime) -> Submission:
    """Return the submission as it is meant in the tenant's words, by when its lead inquired."""
    told = submission.qualification
    meant = vocabulary.understood(told, told.inquire_time or submission.submit_time(now))
    return submission if meant is told else changed(submission, qualification=meant)


def company_domain_of(contact: Contact, email: str) -> str:
    """Return what the lead's company registered: as told, else as the address says; empty for neither."""
    told = contact.company_domain
    return (registered_domain(told) if told else "") or registered_domain(email.rpartition("@")[2])


@lru_cache(maxsize=10_000)
def registered_domain(host: str) -> str:
    """Return the domain that somebody registered and this host is of; empty for none, and for free mail.

    `mail.shop.example.co.uk` is of `example.co.uk`: which suffixes are public is the list's to say.
    """
    found = _HOST(host)
    name = found[1].rstrip(".") if found else ""
    registered = _SUFFIXES.privatesuffix(name) if "." in name else None
    return "" if registered is None or registered in FREE_MAIL else registered


def spelled_mailbox(address: str) -> str:
    """Return the mailbox of an address; empty when it is none."""
    return mailbox_of(spelled_email(address))


def spelled_email(address: str) -> str:
    """Return the address as it is compared, in lower case; empty when it is none."""
    lowered = address.lower()
    if _PLAIN_EMAIL(lowered) and not _PUNYCODE(lowered):
        return lowered
    try:
        return validate_email(address, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return ""


def spelled_phone(number: str, region_code: str) -> str:
    """Return the number as it is compared, `+` and digits; empty when it is none."""
    if _INTERNATIONAL(number):
        digits = _NOT_DIGITS.sub("", number)
        if _FEWEST_DIGITS <= len(digits) <= 15 and "(0)" not in number:
            return f"+{digits}"
    try:
        parsed = phonenumbers.parse(number, region_code or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    spelled = str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    return spelled if len(spelled) > _FEWEST_DIGITS else ""
