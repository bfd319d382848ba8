"""Conditions that users write: a small, bounded part of CEL, compiled once and asked often.

The libraries that evaluate CEL bound neither time nor memory. So what reaches them is bounded here: only
comparisons, `in`, `&&`, `||`, `!` and a few functions of texts, so short and so shallow that no condition
costs more than some microseconds.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from cel_expr_python import cel

__all__ = ["LONGEST", "ConditionInvalid", "Rule", "Vocabulary"]

LONGEST: Final = 500
"""Characters of a condition."""
_DEEPEST: Final = 8
_MOST_TOKENS: Final = 120
_LONGEST_VALUE: Final = 500
_MOST_KEPT: Final = 4_096
_WORDS: Final = frozenset({"true", "false", "in"})
_FUNCTIONS: Final = frozenset({"startsWith", "endsWith", "contains"})
_INT64: Final = 1 << 63
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>-?[0-9]+(?![0-9A-Za-z_.]))"
    r"|(?P<text>'[^'\\\r\n]*'|\"[^\"\\\r\n]*\")|(?P<sign>&&|\|\||==|!=|<=|>=|[!<>(),.\[\]])|(?P<end>\Z))"
)

Value = str | int


class ConditionInvalid(ValueError):
    """A condition that cannot be asked; the message continues "the condition …"."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


class Vocabulary:
    """What a condition may ask about: attributes by name, each a text or a whole number."""

    def __init__(self, attributes: Mapping[str, type[Value]]) -> None:
        self.attributes: Final = dict(attributes)
        """By name, in the order in which they are shown."""
        self._compile = lru_cache(_MOST_KEPT)(self._compiled)

    def rule(self, text: str) -> "Rule":
        """Return a condition ready to be asked; the same text is compiled once.

        Raises:
            ConditionInvalid: it is not CEL, asks about an unknown attribute, compares a text with a number,
                uses what is not allowed, is too long or too deep, or does not answer with yes or no.
        """
        return self._compile(text)

    def _compiled(self, text: str) -> "Rule":
        self._require_bounded(text)
        try:
            expression = self._environment.compile(text)
        except RuntimeError as error:
            raise ConditionInvalid(_said(error)) from None
        if expression.return_type() != cel.Type.BOOL:
            raise ConditionInvalid("must answer with yes or no, as `score >= 80` does")
        asked = {token.text for token in _tokens(text) if token.kind == "name"}
        return Rule(text, expression, tuple(name for name in self.attributes if name in asked))

    @cached_property
    def _environment(self) -> cel.Env:
        types = {str: cel.Type.STRING, int: cel.Type.INT}
        return cel.NewEnv(variables={name: types[kind] for name, kind in self.attributes.items()})

    def _require_bounded(self, text: str) -> None:
        if not text.strip():
            raise ConditionInvalid("is empty")
        if len(text) > LONGEST:
            raise ConditionInvalid(f"has {len(text)} characters; at most {LONGEST}")
        tokens = list(_tokens(text))
        if len(tokens) > _MOST_TOKENS:
            raise ConditionInvalid(f"has {len(tokens)} words and signs; at most {_MOST_TOKENS}")
        depth = 0
        for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
            depth += (token.text in "([") - (token.text in ")]") if token.kind == "sign" else 0
            if depth > _DEEPEST:
                raise ConditionInvalid(f"is nested deeper than {_DEEPEST} at column {token.column}")
            if token.kind == "name":
                self._require_known(before, token, after)
            if token.kind == "number" and not -_INT64 <= int(token.text) < _INT64:
                raise ConditionInvalid(f"has a number at column {token.column} that is too large")

    def _require_known(self, before: _Token | None, token: _Token, after: _Token | None) -> None:
        if before is not None and before.text == ".":
            if token.text not in _FUNCTIONS:
                known = ", ".join(sorted(_FUNCTIONS))
                raise ConditionInvalid(f"uses `{token.text}` at column {token.column}; allowed are {known}")
            return
        is_called = after is not None and after.text == "(" and token.text != "in"
        if is_called or token.text not in _WORDS | self.attributes.keys():
            known = ", ".join(self.attributes)
            raise ConditionInvalid(f"asks for `{token.text}` at column {token.column}; known are {known}")


class Rule:
    """A compiled condition. It may be asked from any thread."""

    __slots__ = ("_expression", "asks", "text")

    def __init__(self, text: str, expression: cel.Expression, asks: tuple[str, ...]) -> None:
        self.text = text
        self.asks = asks
        """The attributes that it asks about."""
        self._expression = expression

    def matches(self, values: Mapping[str, Value]) -> bool:
        """Tell whether the condition holds for the attributes that are known.

        An unknown attribute answers no question about it, neither `score < 80` nor `!(score >= 80)`; but
        `score >= 80 || region == "EMEA"` holds when the region does. A text that is too long is unknown.
        """
        too_long = [
            name for name, value in values.items() if value.__class__ is str and len(value) > _LONGEST_VALUE
        ]
        if too_long:
            values = {name: value for name, value in values.items() if name not in too_long}
        return self._expression.eval(data=values).value() is True


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            column = at + len(text[at:]) - len(text[at:].lstrip())
            raise ConditionInvalid(f"cannot be read at column {column + 1}: `{text[column : column + 10]}`")
        kind = match.lastgroup or "end"
        if kind == "end":
            return
        yield _Token(kind, match[kind], match.start(kind) + 1)
        at = match.end()


def _said(error: RuntimeError) -> str:
    """Return the first sentence of what the library says, in our own form."""
    found = re.search(r"<input>:\d+:(\d+): ([^\n\[|]+)", str(error))
    if found is None:
        return "is not CEL"
    return f"is wrong at column {found[1]}: {found[2].partition(' expecting ')[0].strip()}"
