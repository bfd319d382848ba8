"""YAML files read with their lines, so that every fault can be found with an editor."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import yaml

__all__ = ["Element", "FileFaulty", "documents_of"]

T = TypeVar("T")

_PREFIX = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(
    _PREFIX + tag for tag in ("str", "int", "float", "bool", "timestamp", "null", "map", "seq", "value")
)
_NULL = _PREFIX + "null"
_FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Written in C, and ten times as fast: `leads` reads a file a vendor before it serves."""


class FileFaulty(Exception):
    """A file cannot be used; `faults` has one `file:line: path: sentence` each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Element:
    """One value of a file, with its line and its path from the document's root.

    Reading never raises for a fault: it is added to `faults`, and a stand-in returned, so that
    one pass finds them all. Scalars are always their text: `no` is a country here, and `12:30` a time.
    """

    def __init__(self, node: yaml.Node, path: str, file: str, faults: list[str]) -> None:
        self._node = node
        self._file = file
        self.path = path
        """Where it stands: `people[2].roles`."""
        self.faults = faults
        """What was found wrong with the file so far."""
        if node.tag not in _PLAIN_TAGS:
            self.fault(f"has the tag {node.tag!r}, which is not allowed here")

    @property
    def line(self) -> int:
        """The line it begins on."""
        return int(self._node.start_mark.line) + 1

    def lines(self) -> dict[str, int]:
        """Return the line on which this value, and each value in it, begins, by path."""
        lines = {self.path: self.line}
        _find_lines(self._node, self.path, lines, set())
        return lines

    def fault(self, sentence: str) -> None:
        """Note that something is wrong with this value."""
        self.faults.append(f"{self._file}:{self.line}: {self.path or 'document'} {sentence}")

    def is_scalar(self) -> bool:
        """Whether it is neither a list nor a mapping."""
        return isinstance(self._node, yaml.ScalarNode)

    def is_null(self) -> bool:
        """Whether nothing was written."""
        return self._node.tag == _NULL

    def text(self) -> str:
        """Return the text of a scalar."""
        if isinstance(self._node, yaml.ScalarNode):
            return str(self._node.value)
        self.fault("must be a single value")
        return ""

    def parsed(self, parse: Callable[[str], T], stand_in: T) -> T:
        """Return what `parse` makes of the text; its `ValueError` continues a sentence about the value."""
        found = len(self.faults)
        text = self.text()
        try:
            return parse(text) if len(self.faults) == found else stand_in
        except ValueError as error:
            self.fault(f"{text!r} {error}")
            return stand_in

    def items(self) -> list["Element"]:
        """Return the elements of a list; none when nothing was written."""
        if self.is_null():
            return []
        if not isinstance(self._node, yaml.SequenceNode):
            self.fault("must be a list")
            return []
        return [
            Element(node, f"{self.path}[{number}]", self._file, self.faults)
            for number, node in enumerate(self._node.value)
        ]

    def entries(self) -> dict[str, "Element"]:
        """Return the values of a mapping by key; a key given twice is a fault."""
        if self.is_null():
            return {}
        if not isinstance(self._node, yaml.MappingNode):
            self.fault("must be a mapping")
            return {}
        entries: dict[str, Element] = {}
        for key_node, value_node in self._node.value:
            key = Element(key_node, self.path, self._file, self.faults)
            name = key.text()
            if name in entries:
                key.fault(f"has the key {name!r} twice")
            path = f"{self.path}.{name}" if self.path else name
            entries[name] = Element(value_node, path, self._file, self.faults)
        return entries

    def fields(self, *known: str, required: Sequence[str] = ()) -> dict[str, "Element"]:
        """Return the written values of a mapping whose keys are known; any other key is a fault."""
        entries = self.entries()
        for name, element in entries.items():
            if name not in known:
                element.fault(f"is not known here; known are {', '.join(known)}")
        written = {name: element for name, element in entries.items() if not element.is_null()}
        for name in required:
            if name not in written:
                self.fault(f"lacks {name!r}")
        return written


def _find_lines(node: yaml.Node, path: str, lines: dict[str, int], seen: set[int]) -> None:
    """Add the lines of the values in a node; one that an alias repeats, or nests in itself, only once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            lines[f"{path}[{number}]"] = int(item.start_mark.line) + 1
            _find_lines(item, f"{path}[{number}]", lines, seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            own = f"{path}.{key.value}" if path else str(key.value)
            # The key's line: a long value may begin below it.
            lines[own] = int(key.start_mark.line) + 1
            _find_lines(value, own, lines, seen)


def _composed(text: str) -> list[yaml.Node]:
    try:
        return list(yaml.compose_all(text, Loader=_FAST_LOADER))
    except yaml.YAMLError:
        # The other one says better what is wrong, and on which line.
        return list(yaml.compose_all(text, Loader=yaml.SafeLoader))


def documents_of(path: Path, faults: list[str]) -> Iterator[Element]:
    """Yield the documents of a file; what is no YAML is one fault."""
    try:
        # Composing builds no objects: no tag can run anything.
        nodes = _composed(path.read_text(encoding="utf-8-sig"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        faults.append(f"{path}:{line}: {error.problem or 'is not YAML'}")
        return
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        faults.append(f"{path}:1: cannot be read ({error})")
        return
    for node in nodes:
        if node is not None and node.tag != _NULL:
            yield Element(node, "", str(path), faults)
