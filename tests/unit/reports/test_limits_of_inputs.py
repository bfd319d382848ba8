"""An input is about days that people live in, and its words are short; else it is refused by its field."""

from typing import Any

import pytest
from google.type.date_pb2 import Date  # type: ignore[import-untyped] # ships no stubs

from services.reports.rpc.input_wire import entry_of
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.server.errors import Refusal
from tests.builders.reports import TENANT


def _input(**told: Any) -> inputspb.Input:
    values: dict[str, Any] = {
        "source_system": "ads",
        "external_id": "c1",
        "start_date": Date(year=2026, month=3, day=1),
        "count": inputspb.Count(series=inputspb.Count.SERIES_VISITORS, count=1),
    }
    return inputspb.Input(**values | told)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("start_date", {"start_date": Date(year=1, month=1, day=1)}),
        ("start_date", {"start_date": Date(year=1989, month=12, day=31)}),
        ("start_date", {"start_date": Date(year=9999, month=12, day=31)}),
        (
            "end_date",
            {"start_date": Date(year=2099, month=12, day=31), "end_date": Date(year=2100, month=1, day=2)},
        ),
        ("end_date", {"end_date": Date(year=2036, month=4, day=1)}),
        *((name, {name: "é" * 129}) for name in ("campaign", "investment", "segment", "region", "product")),
        *((name, {name: "x" * 257}) for name in ("team", "person", "journey")),
    ],
)
def test_days_out_of_all_bounds_and_long_words_are_refused_by_their_field(
    field: str, told: dict[str, Any]
) -> None:
    with pytest.raises(Refusal) as refused:
        entry_of(TENANT, _input(**told))

    assert refused.value.metadata["field"] == field


def test_the_first_and_last_day_and_the_longest_word_are_taken() -> None:
    first = entry_of(TENANT, _input(start_date=Date(year=1990, month=1, day=1), campaign="é" * 128))
    last = entry_of(
        TENANT,
        _input(start_date=Date(year=2099, month=12, day=31), end_date=Date(year=2100, month=1, day=1)),
    )

    assert first.campaign == "é" * 128
    assert last.last_day - last.first_day == 1
