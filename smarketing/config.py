"""Read a frozen dataclass from the environment, and report every fault at once."""

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["ConfigInvalid", "Secret", "read_config"]

T = TypeVar("T")

_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_TRUTH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


class ConfigInvalid(Exception):
    """The environment does not make a configuration; `faults` has one sentence per variable."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("The configuration has faults:\n" + "\n".join(f"- {fault}" for fault in faults))
        self.faults = faults


class Secret:
    """A string that shows itself to nobody who does not ask for it by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def read_config(config_type: type[T], environ: Mapping[str, str], *, prefix: str = "SMARKETING_") -> T:
    """Return the dataclass `config_type` filled from `environ`; absent variables keep their defaults.

    The field `data_dir` is read from `SMARKETING_DATA_DIR`; a field that is itself a dataclass is read
    with the same prefix. A `Secret` may instead stand in a file named by `…_FILE`. Durations are written
    `30s`, `5m`, `8h`; lists with commas. `metadata={"at_least": 1, "at_most": 9}` bounds a number.

    Raises:
        ConfigInvalid: naming every variable that is missing or cannot be read.
    """
    faults: list[str] = []
    config = _read(config_type, environ, prefix, faults)
    if faults:
        raise ConfigInvalid(tuple(faults))
    return typing.cast("T", config)


def _read(config_type: type[Any], environ: Mapping[str, str], prefix: str, faults: list[str]) -> Any:
    hints = typing.get_type_hints(config_type)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config_type):
        field_type = _without_none(hints[field.name])
        if dataclasses.is_dataclass(field_type):
            values[field.name] = _read(typing.cast("type[Any]", field_type), environ, prefix, faults)
            continue
        variable = prefix + field.name.upper()
        try:
            text = _text_of(variable, field_type, environ)
            if text is not None:
                values[field.name] = _bounded(_parsed(text, field_type), field.metadata)
            elif _is_required(field):
                faults.append(f"{variable} is missing.")
        except ValueError as fault:
            faults.append(f"{variable} {fault}.")
    return None if faults else _built(config_type, values, faults)


def _built(config_type: type[Any], values: Mapping[str, Any], faults: list[str]) -> Any:
    try:
        return config_type(**values)
    except ValueError as fault:
        # Rules between fields live in the dataclass's `__post_init__`.
        faults.append(str(fault))
        return None


def _text_of(variable: str, field_type: Any, environ: Mapping[str, str]) -> str | None:
    path = environ.get(f"{variable}_FILE", "") if field_type is Secret else ""
    text = environ.get(variable, "")
    if path and text:
        raise ValueError(f"and {variable}_FILE are both set; keep one")
    if not path:
        return text or None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        what = f"cannot be read from the file that {variable}_FILE names, {path} ({error.strerror})"
        raise ValueError(what) from error


def _parsed(text: str, field_type: Any) -> Any:
    if typing.get_origin(field_type) is tuple:
        item_type = typing.get_args(field_type)[0]
        return tuple(_parsed(item.strip(), item_type) for item in text.split(",") if item.strip())
    if isinstance(field_type, type) and issubclass(field_type, enum.Enum):
        return _member(text, field_type)
    return _PARSERS[field_type](text)


def _member(text: str, enum_type: type[enum.Enum]) -> enum.Enum:
    try:
        return enum_type(text)
    except ValueError:
        choices = ", ".join(str(member.value) for member in enum_type)
        raise ValueError(f"must be one of: {choices}") from None


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError("must be true or false")
    return _TRUTH[text.lower()]


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be a duration such as 30s, 5m or 8h")
    return timedelta(seconds=float(match[1]) * _SECONDS_PER_UNIT[match[2]])


def _number(kind: type[int] | type[float], word: str) -> Callable[[str], int | float]:
    def parse(text: str) -> int | float:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"must be {word}") from None

    return parse


_PARSERS: Mapping[Any, Callable[[str], Any]] = {
    str: str,
    bool: _truth,
    int: _number(int, "a whole number"),
    float: _number(float, "a number"),
    Path: Path,
    timedelta: _duration,
    Secret: Secret,
}


def _bounded(value: Any, bounds: Mapping[str, Any]) -> Any:
    if "at_least" in bounds and value < bounds["at_least"]:
        raise ValueError(f"must be at least {bounds['at_least']}")
    if "at_most" in bounds and value > bounds["at_most"]:
        raise ValueError(f"must be at most {bounds['at_most']}")
    return value


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return hint


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
