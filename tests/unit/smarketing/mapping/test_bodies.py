"""How the body of a webhook is read before a mapping sees it."""

import codecs

import pytest

from smarketing.mapping.documents import BodyFaulty, BodyForm, parsed_body


def test_the_mark_of_its_encoding_before_a_body_is_no_part_of_it() -> None:
    assert parsed_body(codecs.BOM_UTF8 + b'{"email": "jo@example.com"}', BodyForm.JSON) == {
        "email": "jo@example.com"
    }


def test_a_mark_within_a_text_stays() -> None:
    assert parsed_body('{"name": "a\ufeffb"}'.encode(), BodyForm.JSON) == {"name": "a\ufeffb"}


@pytest.mark.parametrize("raw", [codecs.BOM_UTF16_LE + '{"a": 1}'.encode("utf-16-le"), b"\xff{}", b""])
def test_another_encoding_is_refused(raw: bytes) -> None:
    with pytest.raises(BodyFaulty, match="is not json"):
        parsed_body(raw, BodyForm.JSON)
