"""Values that never change once they are made, at a quarter of what a frozen dataclass costs to make.

A frozen dataclass fills in each field by a call, because it must go around its own refusal. A lead that
comes in is a hundred and fifty fields, a twelfth of all that is done for it. Here the type checker alone
refuses to change a field: it sees a frozen dataclass, while the class that runs is a plain one with the same
equality and hash.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool, kw_only: bool = False) -> Any:
        """Return the decorator of a class whose instances are frozen for the type checker."""
        if not (frozen and slots):
            raise TypeError("a value is frozen, and has slots")
        return dataclass(slots=True, kw_only=kw_only, unsafe_hash=True)
