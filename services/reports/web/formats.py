"""Numbers, times and words as people read them. A figure that is not known is a dash with its reason."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from services.reports.domain.figures import Amount, Figure
from services.reports.domain.periods import Days, Micros
from services.reports.web.texts import Texts

__all__ = ["DASH", "Formats", "Shown", "clean"]

DASH: Final = "—"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_FEW: Final = 30
_STALE_AFTER: Final = timedelta(seconds=60)
_LONGEST: Final = 60
_DECIMALS: Final = {"KRW": 0, "JPY": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "JOD": 3, "KWD": 3, "TND": 3}


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure in words."""

    text: str
    """The value, or a dash."""
    reason: str = ""
    """Why there is no value; empty where there is one."""
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return not self.reason


class Formats:
    """Writes values for one reader: in their language, in the tenant's zone."""

    def __init__(self, texts: Texts, zone: tzinfo) -> None:
        self._texts = texts
        self._zone = zone

    def figure(self, figure: Figure, *, business_time: bool = False) -> Shown:
        """Return a figure with what a reader must know beside it; a length of time is a median."""
        notes = self.notes(figure)
        if figure.undefined is not None:
            return Shown(DASH, self._texts(figure.undefined.value), notes)
        if figure.duration is not None:
            write = self.hours if business_time else self.duration
            return Shown(write(figure.duration), "", (self._texts("median"), *notes))
        return Shown(self._value(figure), "", notes)

    def _value(self, figure: Figure) -> str:
        if figure.ratio is not None:
            return self.percent(figure.ratio)
        if figure.amount is not None:
            return self.amount(figure.amount)
        if figure.scalar is not None:
            return f"{figure.scalar:,.1f}"
        return self.number(figure.count or 0)

    def notes(self, figure: Figure) -> tuple[str, ...]:
        """Return what a figure rests on."""
        texts = self._texts
        notes: list[str] = []
        if figure.denominator:
            notes.append(texts("items", number=self.number(figure.denominator)))
        if figure.interval is not None and (figure.denominator or 0) < _FEW:
            low, high = (self._end(figure, end) for end in (figure.interval.low, figure.interval.high))
            notes.append(texts("interval", low=low, high=high))
        if figure.open_count:
            key = "still_open" if figure.duration is None and figure.ratio is not None else "still_waiting"
            notes.append(texts(key, number=self.number(figure.open_count)))
        if figure.maturity is not None:
            notes.append(texts("maturity", share=self.percent(figure.maturity)))
        if figure.invalid_count:
            notes.append(texts("kept_out", number=self.number(figure.invalid_count)))
        return tuple(notes)

    def _end(self, figure: Figure, end: float) -> str:
        """Return an end of a figure's interval, in the unit of the figure."""
        if figure.amount is not None:
            return self.amount(Amount(figure.amount.currency, round(end)))
        return self.percent(end) if figure.ratio is not None else f"{end:,.1f}"

    def percent(self, share: float) -> str:
        """Return a share, to one decimal; neither end is shown of a share that is not quite there."""
        rounded = round(share * 100, 1)
        if 0 < share < 1:
            rounded = min(max(rounded, 0.1), 99.9)
        return f"{rounded:.0f}%" if rounded == int(rounded) else f"{rounded:.1f}%"

    def number(self, count: int) -> str:
        """Return a whole number in groups of three."""
        return f"{count:,}"

    def amount(self, amount: Amount) -> str:
        """Return money with its currency's code; no decimals where there are none to show."""
        decimals = _DECIMALS.get(amount.currency, 2)
        sign = "−" if amount.minor_units < 0 else ""
        whole, rest = divmod(abs(amount.minor_units), 10**decimals)
        fraction = f".{rest:0{decimals}d}" if rest else ""
        return f"{amount.currency} {sign}{whole:,}{fraction}"

    def duration(self, micros: Micros) -> str:
        """Return a length of time in its two largest units."""
        seconds = round(micros / _SECOND)
        if seconds < _MINUTE:
            return self._texts("seconds", number=seconds)
        if seconds < 2 * _DAY:
            hours, minutes = divmod(round(seconds / _MINUTE), 60)
            return self._pair("hours", hours, "minutes", minutes)
        days, hours = divmod(round(seconds / _HOUR), 24)
        return self._pair("days", days, "hours", hours)

    def hours(self, micros: Micros) -> str:
        """Return business time: hours and minutes, for a business day is not 24 of them."""
        seconds = round(micros / _SECOND)
        if seconds < _MINUTE:
            return self._texts("seconds", number=seconds)
        hours, minutes = divmod(round(seconds / _MINUTE), 60)
        return self._pair("hours", hours, "minutes", minutes)

    def _pair(self, large: str, larges: int, small: str, smalls: int) -> str:
        parts = [(large, larges), (small, smalls)]
        return " ".join(self._texts(unit, number=self.number(number)) for unit, number in parts if number)

    def age(self, age: timedelta) -> str:
        """Return how old something is."""
        return self.duration(age // timedelta(microseconds=1))

    def stale(self, age: timedelta) -> str:
        """Return that figures may be behind, where it has been uncertain for long that nothing is missing."""
        return self._texts("stale", age=self.age(age)) if age > _STALE_AFTER else ""

    def instant(self, micros: Micros) -> str:
        """Return an instant to the minute, in the tenant's zone."""
        at = _EPOCH + timedelta(microseconds=micros)
        return at.astimezone(self._zone).strftime("%Y-%m-%d %H:%M")

    def day(self, day: Days) -> str:
        """Return a date."""
        return date.fromordinal(day).isoformat()


def clean(text: str, *, longest: int = _LONGEST) -> str:
    """Return a sender's text fit for a line of ours: nothing invisible, nothing that turns the line."""
    seen = "".join("\ufffd" if _hides(character) else character for character in text[: 4 * longest])
    return seen if len(seen) <= longest else f"{seen[: longest - 1]}…"


def _hides(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
