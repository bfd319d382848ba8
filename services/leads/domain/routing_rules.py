"""The rules of routing as a tenant writes them, and which handoffs each is for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Final

from services.leads.domain.lead import Qualification
from services.leads.domain.terms import Money, SourceChannel
from smarketing.values import value

__all__ = [
    "EVERY_HANDOFF",
    "NOTHING_NEEDED",
    "Condition",
    "Needs",
    "Routing",
    "RoutingMember",
    "RoutingRule",
    "Traits",
    "domain_matches",
    "lies_within",
    "territory_of",
    "traits_of",
    "word",
]


@value(frozen=True, slots=True, kw_only=True)
class Traits:
    """What of a handoff routing looks at, in the spelling in which it is compared."""

    source: str = ""
    source_channel: SourceChannel = SourceChannel.UNMAPPED
    source_system: str = ""
    territory: str = ""
    language: str = ""
    segment: str = ""
    product: str = ""
    lead_type: str = ""
    score: int | None = None
    value: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which handoffs a rule is for: all that is set must hold; of a list, one entry is enough."""

    sources: tuple[str, ...] = ()
    source_channels: tuple[SourceChannel, ...] = ()
    source_systems: tuple[str, ...] = ()
    territories: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    lead_types: tuple[str, ...] = ()
    company_domains: tuple[str, ...] = ()
    min_score: int | None = None
    max_score: int | None = None
    min_value: Money | None = None
    max_value: Money | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it holds for every handoff."""
        return all(getattr(self, each.name) in {(), None} for each in fields(self))


EVERY_HANDOFF: Final = Condition()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a member must have to be offered a handoff by a rule."""

    skills: tuple[str, ...] = ()
    territory: bool = False
    language: bool = False
    calendar: str = ""
    """Within whose open time; empty when the hour does not matter."""


NOTHING_NEEDED: Final = Needs()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingMember:
    """One person in a rule's pool, with their share relative to the others'."""

    person: str
    weight: int = 1
    calendar: str = ""
    """Their own, instead of the one in the rule's needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """For which handoffs it is, and who shares them by weight."""

    rule_id: str
    members: tuple[RoutingMember, ...]
    condition: Condition = EVERY_HANDOFF
    needs: Needs = NOTHING_NEEDED
    queue: str = ""
    """Where a handoff goes that none of the members can take; empty means the fallback queue."""
    holds_for: Callable[["Traits"], bool] = field(init=False, repr=False, compare=False)
    """Whether a handoff fulfils the condition, the company's domain aside; compiled once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds_for", _all_of(tuple(_compiled(self.condition))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How new handoffs find somebody; its `version` grows with every change."""

    version: int = 0
    rules: tuple[RoutingRule, ...] = ()
    """In order: the first whose condition holds decides."""
    fallback_queue: str
    offer_duration: timedelta = timedelta(hours=1)
    max_offers: int = 3
    """After so many ended offers a handoff goes to the fallback queue."""
    account_owner_first: bool = False
    previous_owner_cool_off: timedelta = timedelta(0)

    @property
    def asks_company_domain(self) -> bool:
        """Whether any rule looks at the domain of the lead's company."""
        return any(rule.condition.company_domains for rule in self.rules)


def word(text: str) -> str:
    """Return a word in the spelling in which it is compared."""
    return text.strip().casefold()


def territory_of(region: str) -> str:
    """Return the territory that a sender's word for a region names: `KR/Seoul` is `kr.seoul`."""
    return word(region).replace("/", ".").replace(" ", "-").strip(".")


def lies_within(inner: str, outer: str, separator: str) -> bool:
    """Whether a name is another, or stands below it in a hierarchy read from the left."""
    return inner == outer or inner.startswith(outer + separator)


def domain_matches(domain: str, wanted: Iterable[str]) -> bool:
    """Whether a company's domain is one of these, or below one."""
    return any(domain == each or domain.endswith(f".{each}") for each in wanted)


def traits_of(told: Qualification, source_system: str) -> Traits:
    """Return what routing looks at of what marketing says."""
    return Traits(
        source=word(told.source or ""),
        source_channel=told.source_channel,
        source_system=source_system,
        territory=territory_of(told.region) if told.region else "",
        language=word(told.language),
        segment=word(told.segment),
        product=word(told.product),
        lead_type=word(told.lead_type),
        score=told.deciding_score,
        value=told.value,
    )


def _all_of(tests: Sequence[Callable[[Traits], bool]]) -> Callable[[Traits], bool]:
    def holds(traits: Traits) -> bool:
        for test in tests:  # noqa: SIM110 -- a generator costs more than the tests
            if not test(traits):
                return False
        return True

    return holds


def _compiled(condition: Condition) -> Iterable[Callable[[Traits], bool]]:
    yield from _words(condition)
    if condition.source_channels:
        channels = frozenset(condition.source_channels)
        yield lambda traits: traits.source_channel in channels
    if condition.territories:
        yield _below(condition.territories, ".", lambda traits: traits.territory)
    if condition.languages:
        yield _below(condition.languages, "-", lambda traits: traits.language)
    least, most = condition.min_score, condition.max_score
    if least is not None:
        yield lambda traits: traits.score is not None and traits.score >= least
    if most is not None:
        yield lambda traits: traits.score is not None and traits.score <= most
    yield from _amounts(condition)


def _words(condition: Condition) -> Iterable[Callable[[Traits], bool]]:
    readers: Sequence[tuple[tuple[str, ...], Callable[[Traits], str]]] = (
        (condition.sources, lambda traits: traits.source),
        (condition.source_systems, lambda traits: traits.source_system),
        (condition.segments, lambda traits: traits.segment),
        (condition.products, lambda traits: traits.product),
        (condition.lead_types, lambda traits: traits.lead_type),
    )
    for wanted, read in readers:
        if wanted:
            yield _one_of(frozenset(map(word, wanted)), read)


def _one_of(wanted: frozenset[str], read: Callable[[Traits], str]) -> Callable[[Traits], bool]:
    return lambda traits: read(traits) in wanted


def _below(wanted: Sequence[str], separator: str, read: Callable[[Traits], str]) -> Callable[[Traits], bool]:
    same = frozenset(map(word, wanted))
    below = tuple(f"{each}{separator}" for each in same)
    return lambda traits: read(traits) in same or read(traits).startswith(below)


def _amounts(condition: Condition) -> Iterable[Callable[[Traits], bool]]:
    least, most = condition.min_value, condition.max_value
    if least is not None:
        yield lambda traits: _same_currency(traits.value, least) >= least.minor_units
    if most is not None:
        yield lambda traits: -_same_currency(traits.value, most, unknown=1 << 62) >= -most.minor_units


def _same_currency(value: Money | None, other: Money, *, unknown: int = -(1 << 62)) -> int:
    """Return the amount where it can be compared; else one that fulfils nothing."""
    return value.minor_units if value is not None and value.currency_code == other.currency_code else unknown
