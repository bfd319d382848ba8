"""Who is who in a directory document: when two submissions are the same person's, and how surely."""

from smarketing.api.leads.v1 import identity_pb2 as identitypb
from smarketing.cli.configuration import Fields, percent_of
from smarketing.mapping.yamltext import Element

__all__ = ["identity_of"]


def identity_of(element: Element, tenant: str) -> identitypb.IdentitySettings:
    """Return the rules that an element describes."""
    fields = Fields(element, tenant, "automatic_from", "possible_from", "rules")
    return identitypb.IdentitySettings(
        automatic_from=fields.parsed("automatic_from", _hundredths_of, 0),
        possible_from=fields.parsed("possible_from", _hundredths_of, 0),
        rules=[_rule(item, tenant) for item in fields.items("rules")],
    )


def _rule(element: Element, tenant: str) -> identitypb.MatchRule:
    known = ("id", "signals", "unless", "confidence")
    fields = Fields(element, tenant, *known, required=("id", "signals", "confidence"))
    return identitypb.MatchRule(
        rule_id=fields.own_id(),
        signals=fields.words("signals", identitypb.MatchSignal.DESCRIPTOR),
        unless=fields.words("unless", identitypb.MatchSignal.DESCRIPTOR),
        confidence=fields.parsed("confidence", _hundredths_of, 0),
    )


def _hundredths_of(text: str) -> int:
    points = percent_of(text) * 100
    if points != points.to_integral_value() or not 0 < points <= 10_000:
        raise ValueError("must be above 0% and at most 100%, with at most two decimals")
    return int(points)
