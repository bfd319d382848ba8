"""Whatever a body holds, it is told, set aside or refused; nothing else can happen."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.leads.domain.intake import Source
from services.leads.wire.intake import told_items
from smarketing.mapping.documents import BodyFaulty, BodyForm, Document, parsed_body
from smarketing.mapping.webhooks import read_webhook_mappings

MAPPINGS = read_webhook_mappings(Path(__file__).parents[2] / "services" / "leads" / "web" / "mappings")
SOURCE = Source(
    tenant="acme",
    source_id="s",
    system="tenants/acme/systems/vendor",
    mapping="any",
    create_time=datetime(2026, 1, 1, tzinfo=UTC),
)
CONTEXT = Document({}, key=b"k" * 32)

_EVENTS = [event for mapping in MAPPINGS.values() for event in mapping.events]
_NAMES = sorted({part for event in _EVENTS for column in event.named for part in column.split(".")})
_WORDS = st.sampled_from([*_NAMES, "mautic.form_on_submit", "contact.creation", "lead.submitted", "true"])
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | _WORDS
)
_BODIES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(), inner, max_size=6),
    max_leaves=40,
)


@given(body=_BODIES, name=st.sampled_from(sorted(MAPPINGS)))
def test_every_body_is_told_set_aside_or_refused(body: Any, name: str) -> None:
    try:
        parsed = parsed_body(json.dumps(body).encode(), BodyForm.JSON)
        items = told_items(MAPPINGS[name], SOURCE, parsed, {}, CONTEXT)
    except BodyFaulty:
        return
    for item in items:
        assert (item.told is None) == bool(item.reason)
        assert json.loads(item.body) is None or isinstance(json.loads(item.body), dict)
    assert len({item.key for item in items}) == len(items)


def _shape(columns: list[str], values: list[Any]) -> dict[str, Any]:
    """Return an object that has these values at these paths."""
    root: dict[str, Any] = {}
    for column, value in zip(columns, values, strict=True):
        *path, last = column.split(".")
        place = root
        for name in path:
            below = place.setdefault(name, {})
            if not isinstance(below, dict):
                break
            place = below
        else:
            place[last] = value
    return root


@given(data=st.data(), name=st.sampled_from(["generic", "intercom", "marketo", "typeform", "salesforce"]))
def test_every_value_of_a_known_item_is_told_set_aside_or_refused(data: st.DataObject, name: str) -> None:
    event = data.draw(st.sampled_from(MAPPINGS[name].events))
    chosen = {
        condition.column: data.draw(st.sampled_from(sorted(condition.one_of))) if condition.one_of else "x"
        for condition in event.conditions
    }
    others = data.draw(st.dictionaries(st.sampled_from(sorted(event.named)), _LEAVES))
    columns = {**others, **chosen}
    body = _shape(list(columns), list(columns.values()))
    items = told_items(
        MAPPINGS[name], SOURCE, parsed_body(json.dumps(body).encode(), BodyForm.JSON), {}, CONTEXT
    )

    assert all((item.told is None) == bool(item.reason) for item in items)


@given(raw=st.binary(max_size=400), form=st.sampled_from(list(BodyForm)))
def test_bytes_are_a_body_or_refused(raw: bytes, form: BodyForm) -> None:
    with suppress(BodyFaulty):
        parsed_body(raw, form)
