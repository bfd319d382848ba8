"""Page tokens: opaque, and good for one list only."""

import pytest

from smarketing.server.errors import Refusal
from smarketing.server.paging import PageTokens, page_size_of
from tests.unit.smarketing.server.probe import a_probe

pages = PageTokens(b"k" * 32)


def test_a_token_gives_back_the_key_it_was_issued_for():
    token = pages.issue(a_probe(name="tenants/a"), ["2026-01-01", 42])

    assert pages.read(a_probe(name="tenants/a", page_token=token)) == ("2026-01-01", 42)


def test_the_first_page_needs_no_token():
    assert pages.read(a_probe(name="tenants/a")) is None


def test_the_page_size_may_change_between_pages():
    token = pages.issue(a_probe(name="tenants/a", page_size=10), [1])

    assert pages.read(a_probe(name="tenants/a", page_size=20, page_token=token)) == (1,)


def refused(request, by=pages):
    with pytest.raises(Refusal) as caught:
        by.read(request)
    return caught.value.reason


def test_a_token_is_bound_to_every_other_field_and_so_to_the_tenant():
    token = pages.issue(a_probe(name="tenants/a", colour=1), [1])

    assert refused(a_probe(name="tenants/b", colour=1, page_token=token)) == "PAGE_TOKEN_INVALID"
    assert refused(a_probe(name="tenants/a", colour=2, page_token=token)) == "PAGE_TOKEN_INVALID"


def test_a_token_of_another_service_is_refused():
    token = PageTokens(b"o" * 32).issue(a_probe(), [1])

    assert refused(a_probe(page_token=token)) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "A" * 30, "=" * 8, "\x00", "a" * 1000])
def test_what_is_no_token_is_refused(token):
    assert refused(a_probe(page_token=token)) == "PAGE_TOKEN_INVALID"


def test_a_token_changed_anywhere_is_refused():
    token = pages.issue(a_probe(), ["key", 7])
    for place in range(len(token) - 1):
        other = "A" if token[place] != "A" else "B"
        changed = token[:place] + other + token[place + 1 :]

        assert refused(a_probe(page_token=changed)) == "PAGE_TOKEN_INVALID"


def test_a_token_does_not_show_its_key():
    import base64

    token = pages.issue(a_probe(), ["mina@example.com"])

    assert b"mina" not in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


@pytest.mark.parametrize(("wanted", "size"), [(0, 50), (1, 1), (1000, 1000), (5000, 1000)])
def test_a_page_has_fifty_rows_unless_asked_and_never_over_a_thousand(wanted, size):
    assert page_size_of(a_probe(page_size=wanted)) == size


def test_a_negative_page_size_is_refused():
    with pytest.raises(Refusal) as caught:
        page_size_of(a_probe(page_size=-1))

    assert (caught.value.reason, caught.value.metadata["field"]) == ("FIELD_INVALID", "page_size")
