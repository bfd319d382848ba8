"""Values as people write them in options and files: durations, instants, amounts, words of an enum."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from google.protobuf.descriptor import EnumDescriptor

from smarketing.api.terms.v1 import terms_pb2 as termspb

__all__ = [
    "LARGEST_MINOR_UNITS",
    "amount_of",
    "date_of",
    "duration_of",
    "enum_value",
    "enum_word",
    "enum_words",
    "first_instant_of",
    "instant_of",
    "local_instant",
    "money_of",
    "money_text",
]

LARGEST_MINOR_UNITS: Final = 2**53 - 1
"""Beyond it JSON readers no longer see the exact number."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_duration_parts = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd])").findall
_is_duration = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?[smhd])+").fullmatch
_is_amount = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?").fullmatch
_is_currency = re.compile("[A-Z]{3}").fullmatch

# ISO 4217: the currencies whose minor unit is not a hundredth.
_DECIMALS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


def duration_of(text: str) -> timedelta:
    """Return `90s`, `30m`, `1h30m` or `2d` as a duration; a day is 24 hours."""
    if not _is_duration(text):
        raise ValueError("is not a duration such as 90s, 30m, 1h30m or 2d")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _duration_parts(text)))


def instant_of(text: str) -> datetime:
    """Return `2026-12-24T09:00:00+09:00` as an instant in UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not an instant such as 2026-12-24T09:00:00+09:00") from None
    if instant.tzinfo is None:
        raise ValueError("lacks an offset: end it with Z or +09:00")
    return instant.astimezone(UTC)


def date_of(text: str) -> date:
    """Return `2026-12-25` as a date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a date such as 2026-12-25") from None


def local_instant(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a local time; of a time that came twice, the first.

    Raises:
        ValueError: the clocks of `zone` sprang over it.
    """
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local.replace(fold=0):
        raise ValueError(f"did not exist in {zone}: the clocks sprang over it")
    return instant


def first_instant_of(day: date, zone: tzinfo) -> datetime:
    """Return the first instant of a local day, also where its midnight does not exist.

    Raises:
        ValueError: `zone` had no such day.
    """
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - local by definition
    late = midnight.replace(tzinfo=zone, fold=0).astimezone(UTC)
    early = midnight.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if early < late:
        # Midnight lies in a gap: the day begins where the clocks sprang, between the two readings.
        offset = early.astimezone(zone).utcoffset()
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) // 2
            early, late = (middle, late) if middle.astimezone(zone).utcoffset() == offset else (early, middle)
        late = late.replace(microsecond=0)
    if late.astimezone(zone).date() != day:
        raise ValueError(f"did not exist in {zone}")
    return late


def amount_of(text: str, currency_code: str) -> termspb.Money:
    """Return a decimal amount in major units (`1234.50`) as exact money.

    Raises:
        ValueError: it is no amount, or finer than the currency's minor unit.
    """
    if not _is_currency(currency_code):
        raise ValueError("needs a currency such as EUR")
    if not _is_amount(text):
        raise ValueError("is not an amount such as 1234.50")
    decimals = _DECIMALS.get(currency_code, 2)
    minor = Decimal(text).scaleb(decimals)
    if minor != minor.to_integral_value():
        raise ValueError(f"is finer than the smallest unit of {currency_code}")
    if abs(minor) > LARGEST_MINOR_UNITS:
        raise ValueError("is too large")
    return termspb.Money(currency_code=currency_code, minor_units=int(minor))


def money_of(text: str) -> termspb.Money:
    """Return `1234.50 EUR` as money."""
    amount, _, currency_code = text.strip().partition(" ")
    if not currency_code:
        raise ValueError("is not an amount with a currency such as '1234.50 EUR'")
    return amount_of(amount, currency_code.strip())


def money_text(money: termspb.Money) -> str:
    """Return money as people read it: `1,234.50 EUR`."""
    decimals = _DECIMALS.get(money.currency_code, 2)
    return f"{Decimal(money.minor_units).scaleb(-decimals):,.{decimals}f} {money.currency_code}"


def enum_value(enum: EnumDescriptor, text: str) -> int:
    """Return the number of a value named with or without the enum's prefix, in any case.

    Raises:
        ValueError: there is none, with those that there are.
    """
    word = text.strip().upper().replace("-", "_")
    for value in enum.values:
        if value.number and word in {value.name, _without_prefix(enum, value.name)}:
            return int(value.number)
    raise ValueError(f"is none of {', '.join(enum_words(enum))}")


def enum_words(enum: EnumDescriptor) -> list[str]:
    """Return the values that a person may write."""
    return [_without_prefix(enum, value.name).lower() for value in enum.values if value.number]


def enum_word(enum: EnumDescriptor, number: int) -> str:
    """Return a value as people read it; empty for the unspecified one."""
    value = enum.values_by_number.get(number)
    return "" if value is None or not number else _without_prefix(enum, value.name).lower()


def _without_prefix(enum: EnumDescriptor, name: str) -> str:
    return name.removeprefix(re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_")
