"""The bodies of webhooks: read within bounds, and laid out as columns like the rows of a file."""

import enum
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.parsers import expat

from smarketing.mapping.utm import UtmRule

__all__ = ["BodyFaulty", "BodyForm", "Document", "KeyedList", "columns_of", "items_of", "parsed_body"]

_DEEPEST: Final = 32
_MOST_COLUMNS: Final = 4000
_MOST_ITEMS: Final = 500
_MOST_FIELDS: Final = 1000
_control: Final = re.compile("[\x00-\x1f\x7f-\x9f]+").sub


class BodyForm(enum.StrEnum):
    """How a body is written."""

    JSON = "json"
    FORM = "form"
    XML = "xml"
    QUERY = "query"

    @property
    def content_types(self) -> tuple[str, ...]:
        """What the sender may call it."""
        return {
            BodyForm.JSON: ("application/json",),
            BodyForm.FORM: ("application/x-www-form-urlencoded",),
            BodyForm.XML: ("text/xml", "application/xml"),
            BodyForm.QUERY: (),
        }[self]


class BodyFaulty(ValueError):
    """A body is not what its sender says, or beyond every honest one; the text has nothing of it."""


class Document(dict[str, str]):
    """One item of a body, as columns by dotted path; a column that it lacks is empty."""

    def __init__(
        self, columns: Mapping[str, str], *, key: bytes = b"", utm_rules: Sequence[UtmRule] = ()
    ) -> None:
        super().__init__(columns)
        self.key = key
        """For digests."""
        self.utm_rules = tuple(utm_rules)
        """The tenant's own, in front of the usual ones."""

    def __missing__(self, column: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class KeyedList:
    """A list of pairs, `[{name: email, value: …}]`, that is read as columns named by their keys."""

    keys: tuple[str, ...]
    values: tuple[str, ...]


def parsed_body(raw: bytes, form: BodyForm) -> Any:
    """Return a body as dicts, lists and texts; numbers stay as they were written.

    Raises:
        BodyFaulty: it is not of this form.
    """
    try:
        if form is BodyForm.JSON:
            # Some senders put the mark of their encoding first.
            return _json(raw.decode("utf-8-sig"))
        if form is BodyForm.XML:
            return _xml(raw)
        return _pairs(raw.decode())
    except RecursionError:
        raise BodyFaulty("is nested too deep") from None
    except (ValueError, expat.ExpatError):
        raise BodyFaulty(f"is not {form}") from None


def items_of(body: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield what stands at a path, with the key under which a `*` found it.

    `a.b` goes down, `[]` goes through a list, or takes what is none for its only element, `*` goes
    through the keys of an object whose values are objects or lists.
    """
    found = _walk(body, [step for step in path.replace("[]", ".[]").split(".") if step], "")
    for number, item in enumerate(found):
        if number >= _MOST_ITEMS:
            raise BodyFaulty(f"has more than {_MOST_ITEMS} items")
        yield item


def columns_of(value: Any, lists: Mapping[str, KeyedList], nested: Sequence[str] = ()) -> dict[str, str]:
    """Return the leaves of a value by dotted path; what is null or empty has no column.

    A list of plain values is one column, joined with commas; of others each has its number in the path.
    `nested` are columns whose text is JSON itself.

    Raises:
        BodyFaulty: it is nested too deep, or has too many leaves.
    """
    columns: dict[str, str] = {}
    _lay_out(value, "", columns, lists, 0)
    for column in nested:
        if text := columns.pop(column, ""):
            _lay_out(parsed_body(text.encode(), BodyForm.JSON), column, columns, lists, 0)
    return columns


def _walk(value: Any, steps: Sequence[str], key: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield key, value
        return
    for name, each in _step(value, steps[0]):
        yield from _walk(each, steps[1:], name or key)


def _step(value: Any, step: str) -> Iterator[tuple[str, Any]]:
    if step == "[]":
        yield from (("", each) for each in (value if isinstance(value, list) else [value]))
    elif isinstance(value, dict) and step == "*":
        yield from ((name, each) for name, each in value.items() if isinstance(each, (dict, list)))
    elif isinstance(value, dict) and step in value:
        yield "", value[step]


def _lay_out(
    value: Any, path: str, columns: dict[str, str], lists: Mapping[str, KeyedList], depth: int
) -> None:
    if depth > _DEEPEST:
        raise BodyFaulty("is nested too deep")
    if len(columns) > _MOST_COLUMNS:
        raise BodyFaulty("has too many fields")
    if isinstance(value, dict):
        for name, each in value.items():
            _lay_out(each, f"{path}.{name}" if path else name, columns, lists, depth + 1)
    elif isinstance(value, list):
        _lay_out_list(value, path, columns, lists, depth)
    elif (text := _text_of(value)) and path:
        columns[path] = text


def _lay_out_list(
    value: list[Any], path: str, columns: dict[str, str], lists: Mapping[str, KeyedList], depth: int
) -> None:
    if not any(isinstance(each, (dict, list)) for each in value):
        if text := ", ".join(filter(None, map(_text_of, value))):
            columns[path] = text
        return
    keyed = lists.get(path)
    for number, each in enumerate(value):
        if keyed is None:
            _lay_out(each, f"{path}.{number}", columns, lists, depth + 1)
        else:
            _lay_out_pair(each, path, columns, keyed)


def _lay_out_pair(pair: Any, path: str, columns: dict[str, str], keyed: KeyedList) -> None:
    parts = columns_of(pair, {})
    value = next((parts[name] for name in keyed.values if parts.get(name)), "")
    for name in keyed.keys:
        if value and (key := parts.get(name)):
            # The first answer of a kind counts where a form has two.
            columns.setdefault(f"{path}.{key}", value)


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # Lines and signs that steer a terminal are no part of a name, and of a remark only its layout.
    return "" if value is None else _control(" ", str(value)).strip()


def _pairs(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=_MOST_FIELDS)
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _json(text: str) -> Any:
    value = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    if "\\ud" not in text.lower():
        return value
    # Half of a pair is no sign, and cannot be kept: it becomes a question mark.
    whole = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    return json.loads(whole)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _xml(raw: bytes) -> Any:
    """Return XML as dicts: attributes as `@_name`, repeated elements as lists; a document type is refused."""
    root: dict[str, Any] = {}
    open_: list[tuple[dict[str, Any], list[str]]] = [(root, [])]

    def begin(_name: str, attributes: dict[str, str]) -> None:
        if len(open_) > _DEEPEST:
            raise RecursionError
        open_.append(({f"@_{key}": value for key, value in attributes.items()}, []))

    def end(name: str) -> None:
        element, texts = open_.pop()
        text = "".join(texts).strip()
        value: Any = ({**element, "#text": text} if text else element) if element else text
        parent = open_[-1][0]
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]

    def refuse(*_: Any) -> None:
        raise ValueError("a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: open_[-1][1].append(text)
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(raw, True)
    return root
