"""Copies of frozen values with some fields changed, at under half of what `dataclasses.replace` costs.

A lead is copied twice while it comes in; `replace` would be a twentieth of all that is done for it.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_Part: TypeAlias = tuple[str, Callable[[Any], Any], Callable[[Any, Any], None]]
"""A field's name, and how its slot is read and written."""


def changed(value: T, /, **changes: Any) -> T:
    """Return a copy of a frozen dataclass with slots and without `__post_init__`, with these fields changed.

    Raises:
        TypeError: a name is no field.
    """
    kind: Any = type(value)
    copied: T = object.__new__(kind)
    for name, get, put in _parts_of(kind):
        put(copied, changes.pop(name) if name in changes else get(value))
    if changes:
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(changes))}")
    return copied


@cache
def _parts_of(kind: Any) -> tuple[_Part, ...]:
    slots = [(field.name, getattr(kind, field.name)) for field in fields(kind)]
    return tuple((name, slot.__get__, slot.__set__) for name, slot in slots)
