"""Evaluation without a server or a database: a JSON case a line in, a JSON result a line out, in order."""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final, TextIO
from zoneinfo import ZoneInfo

from services.sla.domain.course import Course, Mark, Outcome, Step, run
from smarketing.businesstime import (
    BadCalendar,
    Calendar,
    CalendarNeverOpens,
    InstantOutOfRange,
    Openings,
    from_us,
    load_zone,
    to_us,
)

_KEPT_CALENDARS: Final = 256
_SECOND: Final = 1_000_000
_MOST_DIGITS: Final = 40
_DEFAULT_PAUSES: Final = (("paused", "resumed"),)


class BadLine(Exception):
    """A case that cannot be answered; `code` is one of the documented ones."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Seconds:
    """An amount on its way out, in microseconds, written as an exact decimal number of seconds."""

    us: int

    def __str__(self) -> str:
        whole, fraction = divmod(abs(self.us), _SECOND)
        sign = "-" if self.us < 0 else ""
        return f"{sign}{whole}" + (f".{fraction:06}".rstrip("0") if fraction else "")


@dataclass(frozen=True, slots=True)
class _Compiled:
    openings: Openings
    zone: ZoneInfo

    def local(self, us: int) -> str:
        """Write an instant with the zone's offset."""
        try:
            return from_us(us).astimezone(self.zone).isoformat()
        except OverflowError:
            raise InstantOutOfRange from None


class Evaluator:
    """Answers cases; keeps the calendars it met last, so that a million cases of a few are cheap."""

    def __init__(self, kept_calendars: int = _KEPT_CALENDARS) -> None:
        self._kept = kept_calendars
        self._calendars: OrderedDict[str, _Compiled] = OrderedDict()
        self._kinds: dict[str, Callable[[_Compiled, Mapping[str, object]], dict[str, object]]] = {
            "add_business_time": _add,
            "business_between": _between,
            "is_open": _is_open,
            "clock": _clocks,
        }

    def answer(self, line: str) -> tuple[str, bool]:
        """Return the result line of a case line, and whether the case was good."""
        name: object = None
        try:
            case = _parsed(line)
            name = _name(case)
            result = self._result(case)
        except (BadLine, BadCalendar, CalendarNeverOpens, InstantOutOfRange, RecursionError) as refusal:
            error = {"code": _code_of(refusal), "message": str(refusal)}
            return json.dumps({"id": name, "error": error}), False
        return f'{{"id": {json.dumps(name)}, "result": {_written(result)}}}', True

    def _result(self, case: Mapping[str, object]) -> dict[str, object]:
        kind = _required(case, "kind", "BAD_CASE")
        answer = self._kinds.get(kind) if isinstance(kind, str) else None
        if answer is None:
            raise BadLine("UNKNOWN_KIND", f"kind {kind!r} is not one of {', '.join(self._kinds)}")
        calendar = self._compiled(_required(case, "calendar", "BAD_CASE"))
        return answer(calendar, _object(_required(case, "input", "BAD_CASE"), "input"))

    def _compiled(self, definition: object) -> _Compiled:
        key = json.dumps(definition, sort_keys=True, default=str)
        known = self._calendars.get(key)
        if known is not None:
            self._calendars.move_to_end(key)
            return known
        calendar = _calendar(definition)
        compiled = _Compiled(Openings(calendar), load_zone(calendar.zone).info)
        self._calendars[key] = compiled
        if len(self._calendars) > self._kept:
            self._calendars.popitem(last=False)
        return compiled


def evaluate_lines(lines: Iterable[bytes], out: TextIO) -> bool:
    """Write the result of every case, in order and as it comes; tell whether all cases were good.

    Blank lines are skipped. Memory does not grow with the number of lines.
    """
    evaluator = Evaluator()
    all_good = True
    for line in lines:
        if not line.strip():
            continue
        text, is_good = evaluator.answer(line.decode("utf-8", "surrogateescape"))
        all_good &= is_good
        out.write(text + "\n")
    return all_good


def _code_of(refusal: Exception) -> str:
    match refusal:
        case BadLine(code=code):
            return code
        case BadCalendar():
            return "BAD_CALENDAR"
        case RecursionError():
            return "BAD_JSON"
        case CalendarNeverOpens():
            return "CALENDAR_NEVER_OPENS"
        case _:
            return "OUT_OF_RANGE"


def _parsed(line: str) -> Mapping[str, object]:
    if not line.isascii() and any("\ud800" <= sign <= "\udfff" for sign in line):
        raise BadLine("BAD_JSON", "the line is not UTF-8")
    try:
        case = json.loads(line, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadLine("BAD_JSON", f"the line is not JSON: {error}") from None
    return _object(case, "the case")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _name(case: Mapping[str, object]) -> object:
    name = _required(case, "id", "BAD_CASE")
    if isinstance(name, str) or (isinstance(name, int) and not isinstance(name, bool)):
        return name
    raise BadLine("BAD_CASE", "id is neither a text nor a whole number")


def _calendar(definition: object) -> Calendar:
    if not isinstance(definition, dict):
        raise BadCalendar("calendar", "is not an object")
    zone, hours = definition.get("tz"), definition.get("hours")
    if not isinstance(zone, str):
        raise BadCalendar("tz", "give the name of a time zone")
    if not isinstance(hours, dict):
        raise BadCalendar("hours", "give the windows by weekday")
    holidays = definition.get("holidays")
    if not isinstance(holidays, list | None):
        raise BadCalendar("holidays", "give a list of dates")
    dated = {name: definition.get(name) for name in ("overrides", "breaks")}
    return Calendar.of(zone, hours, holidays=holidays or (), **dated)


def _add(calendar: _Compiled, given: Mapping[str, object]) -> dict[str, object]:
    start = _instant(_required(given, "start", "BAD_CASE"), "start")
    amount = _amount(_required(given, "amount_seconds", "BAD_CASE"), "amount_seconds")
    return {"due": calendar.local(calendar.openings.add_us(start, amount))}


def _between(calendar: _Compiled, given: Mapping[str, object]) -> dict[str, object]:
    start = _instant(_required(given, "start", "BAD_CASE"), "start")
    end = _instant(_required(given, "end", "BAD_CASE"), "end")
    return {"seconds": Seconds(calendar.openings.between_us(start, end))}


def _is_open(calendar: _Compiled, given: Mapping[str, object]) -> dict[str, object]:
    return {"open": calendar.openings.is_open_us(_instant(_required(given, "at", "BAD_CASE"), "at"))}


def _clocks(calendar: _Compiled, given: Mapping[str, object]) -> dict[str, object]:
    as_of = _instant(_required(given, "as_of", "BAD_CASE"), "as_of")
    events = [_event(event) for event in _list(_required(given, "events", "BAD_CASE"), "events")]
    events.sort(key=lambda event: event[0])
    clocks: dict[str, object] = {}
    names = set()
    for asked in _list(_required(given, "clocks", "BAD_CASE"), "clocks"):
        clock = _object(asked, "a clock")
        name = _text(_required(clock, "name", "BAD_CASE"), "name")
        if name in names:
            raise BadLine("BAD_CASE", f"two clocks are named {name!r}")
        names.add(name)
        target = _amount(_required(clock, "target_seconds", "BAD_CASE"), "target_seconds")
        if target < 0:
            raise BadLine("BAD_CASE", "target_seconds is less than 0")
        course = run(calendar.openings, target, _marks(clock, events), as_of)
        if course is not None:
            clocks[name] = _shown(course, calendar)
    return {"clocks": clocks}


def _marks(clock: Mapping[str, object], events: Sequence[tuple[int, str]]) -> list[Mark]:
    """Return what each event does to the clock; one event may play several parts, in this order."""
    parts: dict[str, list[tuple[Step, int | None]]] = {}

    def play(kind: object, step: Step, key: int | None = None) -> None:
        parts.setdefault(_text(kind, "an event type"), []).append((step, key))

    play(_required(clock, "start", "BAD_CASE"), Step.START)
    for kind in _list(_required(clock, "stop", "BAD_CASE"), "stop"):
        play(kind, Step.STOP)
    for kind in _list(clock.get("reopen", []), "reopen"):
        play(kind, Step.REOPEN)
    for key, pair in enumerate(_list(clock.get("pauses", _DEFAULT_PAUSES), "pauses")):
        opening, closing = _pair(pair)
        play(opening, Step.PAUSE, key)
        play(closing, Step.RESUME, key)
    return [Mark(at, step, key) for at, kind in events for step, key in parts.get(kind, ())]


def _shown(course: Course, calendar: _Compiled) -> dict[str, object]:
    shown: dict[str, object] = {
        "state": course.outcome.value,
        "original_due": calendar.local(course.original_due),
        "due": calendar.local(course.due),
    }
    if course.outcome is Outcome.BREACHED:
        shown["breached"] = calendar.local(course.due)
    shown["elapsed_seconds"] = Seconds(course.elapsed)
    shown["remaining_seconds"] = Seconds(course.remaining)
    shown["paused_seconds"] = Seconds(course.paused)
    return shown


def _event(event: object) -> tuple[int, str]:
    fields = _object(event, "an event")
    kind = _text(_required(fields, "type", "BAD_CASE"), "type")
    return _instant(_required(fields, "at", "BAD_CASE"), "at"), kind


def _instant(text: object, where: str) -> int:
    """Read an ISO 8601 instant with an offset; a year-1 or year-9999 one may have no UTC date."""
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or not _has_exact_fraction(str(text)):
        raise BadLine(
            "BAD_INSTANT", f"{where}: {text!r} is no instant; write one such as 2026-09-21T09:00:00+09:00"
        )
    try:
        return to_us(instant.astimezone(UTC))
    except OverflowError:
        raise InstantOutOfRange from None


def _has_exact_fraction(text: str) -> bool:
    """Tell whether no digit beyond the microsecond would be dropped."""
    _, _, rest = text.replace(",", ".").partition(".")
    digits = rest[: next((at for at, sign in enumerate(rest) if not sign.isdigit()), len(rest))]
    return not digits[6:].strip("0")


def _amount(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadLine("BAD_CASE", f"{where} is not a number")
    if isinstance(value, int):
        return value * _SECOND
    if value and value.adjusted() > _MOST_DIGITS:
        raise InstantOutOfRange
    amount = Fraction(value) * _SECOND if not value or value.adjusted() > -_MOST_DIGITS else None
    if amount is None or amount.denominator != 1:
        raise BadLine("BAD_CASE", f"{where} is finer than a microsecond")
    return amount.numerator


def _required(fields: Mapping[str, object], name: str, code: str) -> object:
    if name not in fields:
        raise BadLine(code, f"{name} is missing")
    return fields[name]


def _object(value: object, where: str) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    raise BadLine("BAD_CASE", f"{where} is not an object")


def _list(value: object, where: str) -> Sequence[object]:
    if isinstance(value, list | tuple):
        return value
    raise BadLine("BAD_CASE", f"{where} is not a list")


def _pair(value: object) -> Sequence[object]:
    pair = _list(value, "a pair of pauses")
    if len(pair) != 2:
        raise BadLine("BAD_CASE", "a pair of pauses has two event types")
    return pair


def _text(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    raise BadLine("BAD_CASE", f"{where} is not a text")


def _written(value: object) -> str:
    """Write a result as JSON; only here, because no JSON writer keeps decimal digits exactly."""
    if isinstance(value, Seconds):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_written(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)
