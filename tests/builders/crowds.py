"""Crowds of people who fill in forms, with the truth about who is who; the same seed gives the same crowd."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from services.leads.domain.lead import Contact, Submission
from services.leads.domain.matching import IdentityRules, MatchRule, Signal
from tests.builders.leads import a_submission

RULES = IdentityRules(
    automatic_from=9_900,
    possible_from=5_000,
    rules=(
        MatchRule(rule_id="mailbox-and-name", signals=(Signal.EMAIL, Signal.NAME), confidence=9_990),
        # At a firm an address is somebody's own; at home it may be the family's.
        MatchRule(
            rule_id="mailbox-at-a-company",
            signals=(Signal.EMAIL, Signal.COMPANY),
            unless=(Signal.OTHER_GIVEN_NAME, Signal.OTHER_FAMILY_NAME),
            confidence=9_950,
        ),
        MatchRule(rule_id="phone-and-name", signals=(Signal.PHONE, Signal.NAME), confidence=9_900),
        MatchRule(rule_id="mistyped-mailbox", signals=(Signal.SIMILAR_EMAIL, Signal.NAME), confidence=9_500),
        MatchRule(rule_id="name-and-company", signals=(Signal.NAME, Signal.COMPANY), confidence=8_000),
        MatchRule(rule_id="shared-mailbox", signals=(Signal.EMAIL,), confidence=6_000),
    ),
)
"""As the documentation recommends them."""


_GIVEN_NAMES = """
Anna Ben Clara David Emma Felix Greta Henrik Ines Jonas Katharina Lukas Miriam Noah Olivia Paul
Quentin Rebecca Stefan Theresa Ulrich Valerie Wilhelm Xenia Yannick Zoe Minjun Seoyeon Hiroshi
Yuki
"""
_FAMILY_NAMES = """
Ackermann Bergström Castellano Dimitriou Eriksson Fontaine Grünwald Hoffmann Ivanova Jørgensen
Kowalski Lindqvist Moreau Nakamura Oliveira Petrović Quispe Rasmussen Schneider Tanaka Urbanski
Vasquez Weatherby Xanthopoulos Yamamoto Zimmermann Park Kim Lee Choi
"""
GIVEN, FAMILY = _GIVEN_NAMES.split(), _FAMILY_NAMES.split()


@dataclass(frozen=True)
class Company:
    """Somewhere to work, with one number for all."""

    domain: str
    switchboard: str


@dataclass(frozen=True)
class Human:
    """Somebody, as they are now."""

    who: int
    given: str
    family: str
    email: str
    phone: str
    company: Company | None = None


class Crowd:
    """People with what makes them hard to tell apart: families, twins, namesakes, switchboards, new jobs."""

    def __init__(self, seed: int, *, people: int = 150) -> None:
        self._random = Random(seed)
        self._companies = [
            Company(f"firm-{number}.{top}", f"+4930{7_000_000 + number}")
            for number, top in enumerate(("de", "com", "co.uk", "co.kr", "io") * 4)
        ]
        self._humans: list[Human] = []
        kinds: tuple[Callable[[], None], ...] = (self._employee, self._private, self._family, self._twins)
        while len(self._humans) < people:
            self._random.choices(kinds, weights=(55, 25, 10, 10))[0]()

    def submissions(self, count: int) -> Iterator[tuple[int, Submission]]:
        """Yield who fills in a form, and what they write."""
        for number in range(count):
            at = self._random.randrange(len(self._humans))
            human = self._humans[at]
            if human.company is not None and self._random.random() < 0.05:
                human = self._humans[at] = self._in_a_new_job(human)
            yield human.who, a_submission(number, contact=self._as_written(human))

    def _add(self, given: str, family: str, email: str, phone: str, company: Company | None = None) -> None:
        self._humans.append(Human(len(self._humans), given, family, email, phone, company))

    def _employee(self) -> None:
        company = self._random.choice(self._companies)
        given, family = self._random.choice(GIVEN), self._random.choice(FAMILY)
        # Namesakes in one firm are numbered by it.
        taken = {human.email for human in self._humans}
        email = self._address(given, family, company.domain)
        number = 2
        while email in taken:
            email, number = self._address(given, f"{family}{number}", company.domain), number + 1
        self._add(given, family, email, self._mobile(), company)

    def _private(self) -> None:
        given, family = self._random.choice(GIVEN), self._random.choice(FAMILY)
        number = self._random.randrange(10, 100)
        self._add(given, family, self._address(given, f"{family}{number}", self._free_mail()), self._mobile())

    def _family(self) -> None:
        family, home = self._random.choice(FAMILY), self._mobile()
        shared = self._address("family", f"{family}{len(self._humans)}", self._free_mail())
        for given in self._random.sample(GIVEN, 2):
            self._add(given, family, shared, home)

    def _twins(self) -> None:
        family, home = self._random.choice(FAMILY), self._mobile()
        for given in self._random.sample(GIVEN, 2):
            email = self._address(given, f"{family}{len(self._humans)}", self._free_mail())
            self._add(given, family, email, home)

    def _in_a_new_job(self, human: Human) -> Human:
        company = self._random.choice(self._companies)
        local = human.email.partition("@")[0]
        return replace(human, email=f"{local}.{human.who}@{company.domain}", company=company)

    def _as_written(self, human: Human) -> Contact:
        chance = self._random.random
        email, given, family = human.email, human.given, human.family
        if chance() < 0.10:
            email = self._mistyped_address(email)
        elif chance() < 0.30:
            email = self._other_spelling(email)
        if chance() < 0.05:
            family = self._slip(family)
        phone = "" if chance() < 0.4 else human.phone
        if human.company is not None and chance() < 0.2:
            phone = human.company.switchboard
        if phone and chance() < 0.3:
            phone = f"0{phone.removeprefix('+49')}"
        if chance() < 0.05:
            given = family = ""
        return Contact(given_name=given, family_name=family, email=email, phone=phone)

    def _other_spelling(self, email: str) -> str:
        local, _, domain = email.partition("@")
        if domain == "gmail.com":
            local = self._random.choice((local.replace(".", ""), f"{local}+news", f"{local[:2]}.{local[2:]}"))
            domain = self._random.choice((domain, "googlemail.com"))
        return self._random.choice((str.upper, str.title, str))(f"{local}@{domain}")

    def _mistyped_address(self, email: str) -> str:
        local, _, domain = email.partition("@")
        return f"{self._slip(local)}@{domain}"

    def _slip(self, word: str) -> str:
        at = self._random.randrange(1, len(word) - 1)
        letter = self._random.choice("abcdefghijklmnopqrstuvwxyz")
        return self._random.choice(
            (
                word[:at] + word[at + 1 :],
                word[:at] + letter + word[at + 1 :],
                word[:at] + letter + word[at:],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            )
        )

    def _free_mail(self) -> str:
        return self._random.choice(("gmail.com", "gmail.com", "naver.com", "web.de", "outlook.com"))

    def _mobile(self) -> str:
        return f"+49151{self._random.randrange(10_000_000, 99_999_999)}"

    @staticmethod
    def _address(given: str, family: str, domain: str) -> str:
        plain = f"{given}.{family}".lower()
        for letter, spelled in zip("öüøć", ("oe", "ue", "o", "c"), strict=True):
            plain = plain.replace(letter, spelled)
        return f"{plain}@{domain}"
