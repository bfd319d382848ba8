"""The routing of a directory document: its rules, whom they are for, and what their members must have."""

from typing import Final

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.configuration import Fields, name_of, whole_of
from smarketing.mapping.yamltext import Element

__all__ = ["routing_of"]

_WORDS: Final = (
    "sources",
    "source_systems",
    "territories",
    "languages",
    "segments",
    "products",
    "lead_types",
    "company_domains",
)
_BANDS: Final = ("min_score", "max_score", "min_value", "max_value")
_YES_NO: Final = {"true": True, "yes": True, "false": False, "no": False}


def routing_of(element: Element, tenant: str) -> directorypb.Routing:
    """Return the routing that an element describes."""
    known = (
        "fallback_queue",
        "offer_duration",
        "max_offers",
        "account_owner_first",
        "previous_owner_cool_off",
        "rules",
    )
    fields = Fields(element, tenant, *known, required=("fallback_queue",))
    return directorypb.Routing(
        rules=[_rule(item, tenant) for item in fields.items("rules")],
        fallback_queue=fields.name("fallback_queue", "queues"),
        offer_duration=fields.duration("offer_duration"),
        max_offers=fields.whole("max_offers"),
        account_owner_first=fields.parsed("account_owner_first", _yes_no, default=False),
        previous_owner_cool_off_duration=fields.duration("previous_owner_cool_off"),
    )


def _rule(element: Element, tenant: str) -> directorypb.RoutingRule:
    known = ("id", "when", "needs", "members", "queue")
    fields = Fields(element, tenant, *known, required=("id", "members"))
    condition, needs = fields.element("when"), fields.element("needs")
    return directorypb.RoutingRule(
        rule_id=fields.own_id(),
        condition=None if condition is None else _condition(condition, tenant),
        needs=None if needs is None else _needs(needs, tenant),
        members=[_member(item, tenant) for item in fields.items("members")],
        queue=fields.name("queue", "queues"),
    )


def _condition(element: Element, tenant: str) -> directorypb.RoutingCondition:
    fields = Fields(element, tenant, "source_channels", *_WORDS, *_BANDS)
    least, most = fields.element("min_value"), fields.element("max_value")
    condition = directorypb.RoutingCondition(
        source_channels=fields.words("source_channels", termspb.SourceChannel.DESCRIPTOR),
        min_score=fields.parsed("min_score", whole_of, None),
        max_score=fields.parsed("max_score", whole_of, None),
        min_value=None if least is None else _money(least, tenant),
        max_value=None if most is None else _money(most, tenant),
    )
    for name in _WORDS:
        getattr(condition, name).extend(fields.texts(name))
    return condition


def _needs(element: Element, tenant: str) -> directorypb.RoutingNeeds:
    fields = Fields(element, tenant, "skills", "territory", "language", "calendar")
    return directorypb.RoutingNeeds(
        skills=fields.texts("skills"),
        territory=fields.parsed("territory", _yes_no, default=False),
        language=fields.parsed("language", _yes_no, default=False),
        calendar=fields.name("calendar", "calendars"),
    )


def _member(element: Element, tenant: str) -> directorypb.RoutingMember:
    if element.is_scalar():
        return directorypb.RoutingMember(
            person=element.parsed(lambda text: name_of(tenant, "people", text), "")
        )
    fields = Fields(element, tenant, "person", "weight", "calendar", required=("person",))
    return directorypb.RoutingMember(
        person=fields.name("person", "people"),
        weight=fields.whole("weight"),
        calendar=fields.name("calendar", "calendars"),
    )


def _money(element: Element, tenant: str) -> termspb.Money:
    names = ("currency_code", "minor_units")
    fields = Fields(element, tenant, *names, required=names)
    return termspb.Money(currency_code=fields.text("currency_code"), minor_units=fields.whole("minor_units"))


def _yes_no(text: str) -> bool:
    answer = _YES_NO.get(text.lower())
    if answer is None:
        raise ValueError("write true or false")
    return answer
