"""The `fields` and `when` of a mapping, read from its file and checked against the contract."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from smarketing.mapping.rules import (
    Convert,
    DateForm,
    InstantNumber,
    MoneyForm,
    Part,
    Rule,
    Target,
    TimeForm,
    UtmColumns,
    parts_of,
    plain_convert,
)
from smarketing.mapping.yamltext import Element

__all__ = ["Condition", "FieldReader", "zone_of"]

_UTC: Final[tzinfo] = UTC
_NO_PARTS: Final[tuple[tuple[str, str], ...]] = ()
_SOURCES = ("column", "template", "constant", "digest", "utm")
_ANY = (*_SOURCES, "values", "otherwise", "absent_when", "required", "part")
_OF_TIME = ("format", "time_zone")
_OF_DATE = ("format",)
_OF_MONEY = ("currency", "currency_column", "decimal", "grouping", "zero_is_absent")
_OF_NUMBER = ("instant", "time_zone")
_DATE: Final = "google.type.Date"
_CHANNEL: Final = "smarketing.api.terms.v1.SourceChannel"


@dataclass(frozen=True, slots=True)
class Condition:
    """A row is taken only when a column holds one of these values, any, or none."""

    column: str
    one_of: frozenset[str] = frozenset()
    present: bool | None = None

    def holds(self, row: Mapping[str, str]) -> bool:
        """Whether a row fulfils it."""
        value = row[self.column]
        return value in self.one_of if self.present is None else bool(value) == self.present


class FieldReader:
    """Reads the rules of one mapping file, and remembers which columns it names where."""

    def __init__(self, file: str, zone: tzinfo = UTC) -> None:
        self._file = file
        self.zone = zone
        """Where local times are meant when nothing else is said."""
        self.columns: dict[str, str] = {}
        """Every column named so far, with the `file:line` that does."""

    def conditions(self, when: Element) -> tuple[Condition, ...]:
        """Return what a row must fulfil to be meant."""
        return tuple(self._condition(column, element) for column, element in when.entries().items())

    def rules(
        self, fields: Element, message: type[Message], *, required: Collection[str]
    ) -> tuple[Rule, ...]:
        """Return how the fields of a message are filled; those in `required` must be among them."""
        entries = fields.entries()
        for name in required:
            if name not in entries:
                fields.fault(f"lacks {name!r}")
        rules = [self._rule(path, element, message, required) for path, element in entries.items()]
        return tuple(rule for rule in rules if rule is not None)

    def _column(self, name: str, element: Element) -> str:
        self.columns.setdefault(name, f"{self._file}:{element.line}")
        return name

    def _columns(self, element: Element) -> tuple[str, ...]:
        names = [element] if element.is_scalar() else element.items()
        if not names:
            element.fault("names no column")
        return tuple(self._column(each.text(), each) for each in names)

    def _condition(self, column: str, element: Element) -> Condition:
        self._column(column, element)
        if element.is_scalar():
            word = element.text()
            if word not in {"present", "absent"}:
                element.fault("must be present, absent or a list of values")
            return Condition(column, present=word == "present")
        return Condition(column, frozenset(item.text() for item in element.items()))

    def _rule(
        self, path: str, element: Element, message: type[Message], required: Collection[str]
    ) -> Rule | None:
        found = _descriptor_of(message, path)
        if isinstance(found, str):
            element.fault(found)
            return None
        target, descriptor = found
        settings = element.fields(*_ANY, *_settings_of(descriptor))
        _check_sources(element, settings, descriptor)
        values, otherwise = settings.get("values"), settings.get("otherwise")
        rule = Rule(
            target=target,
            convert=self._convert(descriptor, element, settings),
            constant=settings["constant"].text() if "constant" in settings else None,
            columns=self._columns(settings["column"]) if "column" in settings else (),
            parts=self._parts(settings["template"]) if "template" in settings else (),
            digest=self._columns(settings["digest"]) if "digest" in settings else (),
            utm=self._utm(settings["utm"]) if "utm" in settings else None,
            cut=_cut_in(settings["part"]) if "part" in settings else {},
            values=None if values is None else {key: each.text() for key, each in values.entries().items()},
            otherwise=None if otherwise is None else otherwise.text(),
            absent_when=frozenset(item.text() for item in _items_of(settings, "absent_when")),
            required=flag(settings, "required") or path in required,
        )
        _check_words(rule, settings)
        return rule

    def _parts(self, template: Element) -> tuple[tuple[str, str], ...]:
        parts = template.parsed(parts_of, _NO_PARTS)
        for _literal, column in parts:
            if column:
                self._column(column, template)
        return parts

    def _utm(self, element: Element) -> UtmColumns:
        settings = element.fields("source", "medium", "paid_click")
        return UtmColumns(
            source=self._column(settings["source"].text(), element) if "source" in settings else "",
            medium=self._column(settings["medium"].text(), element) if "medium" in settings else "",
            paid_click=self._columns(settings["paid_click"]) if "paid_click" in settings else (),
        )

    def _convert(
        self, descriptor: FieldDescriptor, element: Element, settings: Mapping[str, Element]
    ) -> Convert:
        if "instant" in settings:
            return InstantNumber(self._time_form(settings, "instant"))
        plain = plain_convert(descriptor) if descriptor.message_type is None else None
        if plain is not None:
            return plain
        if descriptor.message_type is None or descriptor.message_type.GetOptions().map_entry:
            return lambda text, _row: text
        if descriptor.message_type.full_name.endswith(".Timestamp"):
            return self._time_form(settings, "format")
        if descriptor.message_type.full_name == _DATE:
            return DateForm(settings["format"].parsed(_day_form_of, "iso") if "format" in settings else "iso")
        return self._money_form(element, settings)

    def _time_form(self, settings: Mapping[str, Element], word: str) -> TimeForm:
        zone = settings["time_zone"].parsed(zone_of, _UTC) if "time_zone" in settings else self.zone
        form = settings[word].parsed(_time_form_of, "iso") if word in settings else "iso"
        return TimeForm(form, zone)

    def _money_form(self, element: Element, settings: Mapping[str, Element]) -> MoneyForm:
        def text(name: str, default: str = "") -> str:
            return settings[name].text() if name in settings else default

        if ("currency" in settings) == ("currency_column" in settings):
            element.fault("must have one of currency, currency_column")
        if "currency_column" in settings:
            self._column(text("currency_column"), settings["currency_column"])
        return MoneyForm(
            currency=text("currency"),
            currency_column=text("currency_column"),
            decimal=text("decimal", "."),
            grouping=text("grouping"),
            zero_is_absent=flag(settings, "zero_is_absent"),
        )


def _check_sources(element: Element, settings: Mapping[str, Element], descriptor: FieldDescriptor) -> None:
    if len([name for name in _SOURCES if name in settings]) != 1:
        element.fault(f"must have one of {', '.join(_SOURCES)}")
    is_channel = descriptor.enum_type is not None and descriptor.enum_type.full_name == _CHANNEL
    if "utm" in settings and not is_channel:
        settings["utm"].fault("is for a source channel alone")


def _descriptor_of(root: type[Message], path: str) -> tuple[Target, FieldDescriptor] | str:
    """Return the field at a dotted path, or the sentence that says why there is none."""
    names = path.split(".")
    message: Any = root.DESCRIPTOR  # descriptors have two types for the checker, and one in life
    for depth, name in enumerate(names):
        known = message.fields_by_name
        descriptor = known.get(name)
        if descriptor is None:
            return f"is no field; known are {', '.join(known)}"
        kind = descriptor.message_type
        if kind is not None and kind.GetOptions().map_entry:
            key = ".".join(names[depth + 1 :])
            return (Target(tuple(names[: depth + 1]), key), descriptor) if key else "lacks the key behind it"
        if kind is None or kind.full_name.endswith((".Timestamp", ".Money", _DATE)):
            return (Target(tuple(names)), descriptor) if depth + 1 == len(names) else f"{name} has no fields"
        message = kind
    return "is a group of fields; name one of them"


def _settings_of(descriptor: FieldDescriptor) -> tuple[str, ...]:
    kind = descriptor.message_type
    if kind is None:
        return _OF_NUMBER if descriptor.cpp_type == FieldDescriptor.CPPTYPE_INT64 else ()
    if kind.GetOptions().map_entry:
        return ()
    if kind.full_name == _DATE:
        return _OF_DATE
    return _OF_TIME if kind.full_name.endswith(".Timestamp") else _OF_MONEY


def _check_words(rule: Rule, settings: Mapping[str, Element]) -> None:
    """Try what the file itself says on the field's type, before the first row is read."""
    if isinstance(rule.convert, MoneyForm):
        return
    words = dict(settings["values"].entries()) if "values" in settings else {}
    words |= {name: settings[name] for name in ("otherwise", "constant") if name in settings}
    for element in words.values():
        element.parsed(lambda text: rule.convert(text, {}), None)


def _time_form_of(text: str) -> str:
    if text not in {"iso", "epoch_seconds", "epoch_milliseconds"} and "%" not in text:
        raise ValueError("must be iso, epoch_seconds, epoch_milliseconds or a form such as %d.%m.%Y %H:%M")
    return text


def _day_form_of(text: str) -> str:
    if text != "iso" and "%" not in text:
        raise ValueError("must be iso or a form such as %d.%m.%Y")
    return text


def _cut_in(element: Element) -> dict[str, Part]:
    return {column: each.parsed(_part_of, Part.FIRST_WORD) for column, each in element.entries().items()}


def _part_of(text: str) -> Part:
    try:
        return Part(text)
    except ValueError:
        raise ValueError(f"is none of {', '.join(Part)}") from None


def zone_of(text: str) -> tzinfo:
    """Return a zone by its name.

    Raises:
        ValueError: there is none.
    """
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone such as Europe/Berlin") from None


def _items_of(settings: Mapping[str, Element], name: str) -> list[Element]:
    return settings[name].items() if name in settings else []


def flag(settings: Mapping[str, Element], name: str) -> bool:
    """Return a setting that is true or false, and false when it was not written."""
    return name in settings and settings[name].parsed(_truth_of, False)


def _truth_of(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text.lower() == "true"
