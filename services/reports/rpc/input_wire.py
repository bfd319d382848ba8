"""The dictionary of inputs: messages on one side, entries on the other."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from google.type.date_pb2 import Date  # type: ignore[import-untyped] # ships no stubs

from services.reports.domain.inputs import InputEntry, InputKind, Outcome
from smarketing import names
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.server.errors import field_invalid

__all__ = ["entry_of", "input_to", "outcome_to"]

_LARGEST: Final = 2**53 - 1
_LONGEST_ID: Final = 256
_LONGEST_LABEL: Final = 256
_EARLIEST: Final = date(1990, 1, 1).toordinal()
_LATEST: Final = date(2100, 1, 1).toordinal()
_MOST_DAYS: Final = 3_660
_SCORES: Final = {"nps": (0, 10), "csat": (1, 5)}
_CHANNELS: Final[dict[int, str]] = {
    number: name.removeprefix("SOURCE_CHANNEL_").lower() for name, number in termspb.SourceChannel.items()
}
_PARTIES: Final[dict[int, str]] = {termspb.PARTY_MARKETING: "marketing", termspb.PARTY_SALES: "sales"}
_LABELS: Final = ("campaign", "investment", "segment", "region", "product", "team", "person")
_OUTCOMES: Final = {
    outcome: inputspb.InputResult.Outcome.Value(f"OUTCOME_{outcome.name}") for outcome in Outcome
}


def _words(enum: Any, prefix: str) -> Mapping[int, str]:
    return {number: name.removeprefix(prefix).lower() for name, number in enum.items() if number}


_COSTS: Final = _words(inputspb.Cost.Type, "TYPE_")
_MEASURES: Final = _words(inputspb.Goal.Measure, "MEASURE_")
_REVENUES: Final = _words(inputspb.Revenue.Type, "TYPE_")
_COUNTS: Final = _words(inputspb.Count.Series, "SERIES_")
_SUMS: Final = _words(inputspb.Sum.Series, "SERIES_")
_SURVEYS: Final = _words(inputspb.Answers.Survey, "SURVEY_")


def entry_of(tenant: str, said: inputspb.Input) -> InputEntry:
    """Return what a message says.

    Raises:
        Refusal: FIELD_INVALID, naming the field.
    """
    _check_known(said)
    first, last = _days_of(said)
    kind = said.WhichOneof("content")
    if kind is None:
        raise field_invalid("content", "one of cost, goal, revenue, count, sum, answers, touchpoint")
    return InputEntry(
        tenant=tenant,
        source_system=said.source_system,
        external_id=said.external_id,
        revision=said.revision,
        withdrawn=said.withdrawn,
        kind=kind,
        first_day=first,
        last_day=last,
        party=_PARTIES.get(said.party, ""),
        source_channel=_CHANNELS[said.source_channel] if said.source_channel else None,
        journey=said.journey,
        **_labels_of(said),
        **_READERS[InputKind(kind)](said),
    )


def input_to(entry: InputEntry) -> inputspb.Input:
    """Return an entry for the wire."""
    said = inputspb.Input(
        source_system=entry.source_system,
        external_id=entry.external_id,
        revision=entry.revision,
        withdrawn=entry.withdrawn,
        start_date=_date(entry.first_day),
        end_date=_date(entry.last_day),
        journey=entry.journey,
        party=termspb.Party.Value(f"PARTY_{entry.party.upper()}")
        if entry.party
        else termspb.PARTY_UNSPECIFIED,
        source_channel=termspb.SourceChannel.Value(
            f"SOURCE_CHANNEL_{(entry.source_channel or 'unspecified').upper()}"
        ),
    )
    for name in _LABELS:
        setattr(said, name, getattr(entry, name) or "")
    _WRITERS[InputKind(entry.kind)](said, entry)
    return said


def outcome_to(outcome: Outcome) -> inputspb.InputResult.Outcome.ValueType:
    """Return what became of an input, for the wire."""
    return _OUTCOMES[outcome]


def _labels_of(said: inputspb.Input) -> dict[str, Any]:
    for name in (*_LABELS, "journey"):
        if len(getattr(said, name).encode()) > _LONGEST_LABEL:
            raise field_invalid(name, f"at most {_LONGEST_LABEL} bytes")
    return {name: getattr(said, name) or None for name in _LABELS}


def _check_known(said: inputspb.Input) -> None:
    if not names.is_id(said.source_system):
        raise field_invalid("source_system", "lower-case letters, digits, '.', '_' and '-', at most 63")
    if not said.external_id or len(said.external_id.encode()) > _LONGEST_ID:
        raise field_invalid("external_id", f"1 to {_LONGEST_ID} bytes")
    if said.revision < 0:
        raise field_invalid("revision", "0 or more")
    if said.party and said.party not in _PARTIES:
        raise field_invalid("party", "MARKETING or SALES")
    if said.source_channel not in _CHANNELS:
        raise field_invalid("source_channel", "a channel of the vocabulary")


def _days_of(said: inputspb.Input) -> tuple[int, int]:
    first = _day(said.start_date, "start_date")
    last = _day(said.end_date, "end_date") if said.HasField("end_date") else first + 1
    if last <= first:
        raise field_invalid("end_date", "a day after start_date")
    if last - first > _MOST_DAYS:
        raise field_invalid("end_date", f"at most {_MOST_DAYS} days after start_date")
    return first, last


def _day(said: Date, field: str) -> int:
    try:
        day = date(said.year, said.month, said.day).toordinal()
    except ValueError:
        raise field_invalid(field, "a date") from None
    if not _EARLIEST <= day <= _LATEST:
        raise field_invalid(field, "a date from 1990-01-01 to 2100-01-01")
    return day


def _date(day: int) -> Date:
    found = date.fromordinal(day)
    return Date(year=found.year, month=found.month, day=found.day)


def _word(words: Mapping[int, str], number: int, field: str) -> str:
    word = words.get(number)
    if word is None:
        raise field_invalid(field, "one of the values that the contract names")
    return word


def _amount(said: termspb.Money, field: str, *, least: int = -_LARGEST) -> dict[str, Any]:
    code = said.currency_code
    if len(code) != 3 or not code.isascii() or not code.isupper() or not code.isalpha():
        raise field_invalid(f"{field}.currency_code", "three capital letters of ISO 4217")
    if not least <= said.minor_units <= _LARGEST:
        raise field_invalid(f"{field}.minor_units", f"{least} to {_LARGEST}")
    return {"number": said.minor_units, "currency": code}


def _cost(said: inputspb.Input) -> dict[str, Any]:
    cost = said.cost
    return {"word": _word(_COSTS, cost.type, "cost.type"), **_amount(cost.amount, "cost.amount")}


def _goal(said: inputspb.Input) -> dict[str, Any]:
    goal = said.goal
    if goal.HasField("marketing_basis_points") and not 0 <= goal.marketing_basis_points <= 10_000:
        raise field_invalid("goal.marketing_basis_points", "0 to 10000")
    return {
        "word": _word(_MEASURES, goal.measure, "goal.measure"),
        **_amount(goal.amount, "goal.amount", least=0),
        "second": goal.marketing_basis_points if goal.HasField("marketing_basis_points") else None,
    }


def _revenue(said: inputspb.Input) -> dict[str, Any]:
    revenue = said.revenue
    found = {
        "word": _word(_REVENUES, revenue.type, "revenue.type"),
        **_amount(revenue.amount, "revenue.amount"),
    }
    if revenue.HasField("cost_of_sales"):
        sold = _amount(revenue.cost_of_sales, "revenue.cost_of_sales")
        if sold["currency"] != found["currency"]:
            raise field_invalid("revenue.cost_of_sales.currency_code", "the currency of the amount")
        found["second"] = sold["number"]
    return found


def _count(said: inputspb.Input) -> dict[str, Any]:
    if not 0 <= said.count.count <= _LARGEST:
        raise field_invalid("count.count", f"0 to {_LARGEST}")
    return {"word": _word(_COUNTS, said.count.series, "count.series"), "number": said.count.count}


def _sum(said: inputspb.Input) -> dict[str, Any]:
    return {"word": _word(_SUMS, said.sum.series, "sum.series"), **_amount(said.sum.amount, "sum.amount")}


def _answers(said: inputspb.Input) -> dict[str, Any]:
    answers = said.answers
    survey = _word(_SURVEYS, answers.survey, "answers.survey")
    low, high = _SCORES[survey]
    if not low <= answers.score <= high:
        raise field_invalid("answers.score", f"{low} to {high}")
    if not 0 <= answers.count <= _LARGEST:
        raise field_invalid("answers.count", f"0 to {_LARGEST}")
    return {"word": survey, "number": answers.count or 1, "second": answers.score}


def _touchpoint(said: inputspb.Input) -> dict[str, Any]:
    if not said.journey:
        raise field_invalid("journey", "the buyer's way that the touchpoint is on")
    if not said.campaign:
        raise field_invalid("campaign", "what the touchpoint came from")
    return {"word": "engaged" if said.touchpoint.engaged else "", "number": 1}


_READERS: Final = {
    InputKind.COST: _cost,
    InputKind.GOAL: _goal,
    InputKind.REVENUE: _revenue,
    InputKind.COUNT: _count,
    InputKind.SUM: _sum,
    InputKind.ANSWERS: _answers,
    InputKind.TOUCHPOINT: _touchpoint,
}


def _money(entry: InputEntry, minor_units: int | None = None) -> termspb.Money:
    return termspb.Money(
        currency_code=entry.currency, minor_units=entry.number if minor_units is None else minor_units
    )


def _number(words: Mapping[int, str], word: str) -> Any:
    return next(number for number, known in words.items() if known == word)


def _put_cost(said: inputspb.Input, entry: InputEntry) -> None:
    said.cost.CopyFrom(inputspb.Cost(type=_number(_COSTS, entry.word), amount=_money(entry)))


def _put_goal(said: inputspb.Input, entry: InputEntry) -> None:
    said.goal.CopyFrom(
        inputspb.Goal(
            measure=_number(_MEASURES, entry.word), amount=_money(entry), marketing_basis_points=entry.second
        )
    )


def _put_revenue(said: inputspb.Input, entry: InputEntry) -> None:
    said.revenue.CopyFrom(
        inputspb.Revenue(
            type=_number(_REVENUES, entry.word),
            amount=_money(entry),
            cost_of_sales=None if entry.second is None else _money(entry, entry.second),
        )
    )


def _put_count(said: inputspb.Input, entry: InputEntry) -> None:
    said.count.CopyFrom(inputspb.Count(series=_number(_COUNTS, entry.word), count=entry.number))


def _put_sum(said: inputspb.Input, entry: InputEntry) -> None:
    said.sum.CopyFrom(inputspb.Sum(series=_number(_SUMS, entry.word), amount=_money(entry)))


def _put_answers(said: inputspb.Input, entry: InputEntry) -> None:
    said.answers.CopyFrom(
        inputspb.Answers(survey=_number(_SURVEYS, entry.word), score=entry.second or 0, count=entry.number)
    )


def _put_touchpoint(said: inputspb.Input, entry: InputEntry) -> None:
    said.touchpoint.CopyFrom(inputspb.Touchpoint(engaged=entry.word == "engaged"))


_WRITERS: Final = {
    InputKind.COST: _put_cost,
    InputKind.GOAL: _put_goal,
    InputKind.REVENUE: _put_revenue,
    InputKind.COUNT: _put_count,
    InputKind.SUM: _put_sum,
    InputKind.ANSWERS: _put_answers,
    InputKind.TOUCHPOINT: _put_touchpoint,
}
