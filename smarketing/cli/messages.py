"""A message in a YAML file, by the contract's own field names; what `--format json` wrote is read too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from smarketing.mapping.texts import date_of, duration_of, enum_value, instant_of, money_of
from smarketing.mapping.yamltext import Element, FileFaulty, documents_of

__all__ = ["message_in"]

M = TypeVar("M", bound=Message)

_TRUTHS: Final = {"true": True, "yes": True, "false": False, "no": False}


def message_in(path: Path, message_type: type[M]) -> M:
    """Return the message that a file says; a document may name what it is as its `kind`.

    Enums are words (`marketing_manager`), durations `1h30m`, instants RFC 3339, amounts `12.50 EUR`.

    Raises:
        FileFaulty: with every fault, each with its line.
    """
    faults: list[str] = []
    documents = list(documents_of(path, faults))
    if not faults and len(documents) != 1:
        faults.append(f"{path}:1: must hold one document")
    message = message_type()
    if not faults:
        _fill(message, documents[0], "kind")
    if faults:
        raise FileFaulty(faults)
    return message


def _fill(message: Any, element: Element, *besides: str) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    for name, written in element.fields(*fields, *besides).items():
        if name in fields:
            _set(message, fields[name], written)
        elif name in besides and written.text() != message.DESCRIPTOR.name:
            written.fault(f"must be {message.DESCRIPTOR.name} here")


def _set(message: Any, field: Any, element: Element) -> None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        for key, value in element.entries().items():
            getattr(message, field.name)[key] = _scalar(kind.fields_by_name["value"], value)
    elif kind is not None:
        several = element.items() if field.is_repeated else [element]
        for item in several:
            target = getattr(message, field.name)
            _message(target.add() if field.is_repeated else target, item)
    elif field.is_repeated:
        for item in element.items():
            _kept(lambda value: getattr(message, field.name).append(value), field, item)
    else:
        _kept(lambda value: setattr(message, field.name, value), field, element)


def _message(target: Any, element: Element) -> None:
    """Fill in a message; some are a single word for people."""
    target.SetInParent()
    read = _WORDS.get(target.DESCRIPTOR.full_name)
    if read is None or not element.is_scalar():
        _fill(target, element)
        return
    read(target, element)


def _kept(keep: Callable[[Any], None], field: Any, element: Element) -> None:
    value = _scalar(field, element)
    try:
        keep(value)
    except (ValueError, TypeError):
        element.fault("is out of range")


def _scalar(field: Any, element: Element) -> Any:
    if field.enum_type is not None:
        return element.parsed(lambda text: _enum(field.enum_type, text), 0)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return element.text()
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return element.parsed(_truth, False)
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return element.parsed(_number, 0.0)
    return element.parsed(_whole, 0)


def _enum(descriptor: Any, text: str) -> int:
    # What an answer in JSON says of a value that was not given.
    return 0 if text == descriptor.values_by_number[0].name else enum_value(descriptor, text)


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise ValueError("is neither true nor false")
    return _TRUTHS[text.lower()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("is not a number") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("is not a whole number") from None


def _duration(target: Any, element: Element) -> None:
    target.FromTimedelta(element.parsed(duration_of, duration_of("0s")))


def _instant(target: Any, element: Element) -> None:
    target.FromDatetime(element.parsed(instant_of, instant_of("1970-01-01T00:00:00Z")))


def _date(target: Any, element: Element) -> None:
    day = element.parsed(date_of, date_of("1970-01-01"))
    target.year, target.month, target.day = day.year, day.month, day.day


def _money(target: Any, element: Element) -> None:
    target.CopyFrom(element.parsed(money_of, type(target)()))


_WORDS: Final[dict[str, Callable[[Any, Element], None]]] = {
    "google.protobuf.Duration": _duration,
    "google.protobuf.Timestamp": _instant,
    "google.type.Date": _date,
    "smarketing.api.terms.v1.Money": _money,
}
