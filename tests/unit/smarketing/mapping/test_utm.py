"""What the tags of a link mean."""

import pytest

from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.mapping.utm import DEFAULT_RULES, UtmRule, channel_of


@pytest.mark.parametrize(
    ("source", "medium", "channel"),
    [
        ("google", "cpc", "paid_search"),
        ("Facebook", "CPC", "social_paid"),
        ("linkedin", "paid-social", "social_paid"),
        ("newsletter", "email", "email"),
        ("google", "organic", "organic_search"),
        ("naver", "", "organic_search"),
        ("linkedin", "social", "social_organic"),
        ("instagram", "", "social_organic"),
        ("partner.example", "referral", "word_of_mouth"),
        ("taboola", "display", "display"),
        ("expo", "webinar", "inbound_event"),
        ("agency", "cold-email", "outbound_email"),
        ("anything", "anything", ""),
        ("", "", ""),
    ],
)
def test_usual_tags_have_their_channel(source: str, medium: str, channel: str) -> None:
    assert channel_of(DEFAULT_RULES, source=source, medium=medium, paid_click=False) == channel


def test_a_paid_click_without_tags_is_a_search_advertisement() -> None:
    assert channel_of(DEFAULT_RULES, source="", medium="", paid_click=True) == "paid_search"
    assert channel_of(DEFAULT_RULES, source="news", medium="email", paid_click=True) == "email"


def test_a_tenants_rule_comes_first() -> None:
    own = UtmRule("google", "cpc", "display")

    assert channel_of((own, *DEFAULT_RULES), source="google", medium="cpc", paid_click=False) == "display"


def test_every_rule_names_a_channel_of_the_closed_list() -> None:
    known = {name.removeprefix("SOURCE_CHANNEL_").lower() for name in termspb.SourceChannel.keys()}  # noqa: SIM118 -- no dict

    assert {rule.channel for rule in DEFAULT_RULES} <= known
