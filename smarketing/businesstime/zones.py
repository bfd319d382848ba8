"""Time zones from the pinned `tzdata` package, never from the files of the machine.

`zoneinfo.ZoneInfo(key)` looks at the system first, and two machines would then decide one clock differently.
Reading the package's own files needs no change of global state.
"""

from datetime import date, datetime, time
from functools import lru_cache
from importlib import import_module, resources
from typing import Final
from zoneinfo import ZoneInfo

from smarketing.businesstime.errors import BadCalendar
from smarketing.businesstime.instants import DAY, EPOCH_ORDINAL, SECOND

FIRST_REGULAR_PAST: Final = 1800
"""Before this year every zone keeps its local mean time: no change of offset is known."""
FIRST_REGULAR_FUTURE: Final = 2101
"""From this year on every zone repeats one yearly rule: no single change is listed any more."""

FIRST_LOCAL: Final = datetime(1, 1, 1)  # noqa: DTZ001 - a local time, not an instant
LAST_LOCAL: Final = datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001 - a local time, not an instant

_LAST_ORDINAL = date.max.toordinal()


def tzdata_version() -> str:
    """Return the edition of the zone rules in use, such as `2026b`; it is recorded with what was decided."""
    return str(import_module("tzdata").IANA_VERSION)


@lru_cache(maxsize=1024)
def load_zone(name: str) -> "Zone":
    """Return the zone of an IANA name.

    Raises:
        BadCalendar: for a name that the pinned rules do not hold.
    """
    file = resources.files("tzdata") / "zoneinfo"
    parts = name.split("/")
    if not name or any(not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        raise BadCalendar("tz", f"{name!r} is not the name of a time zone; write one such as 'Asia/Seoul'")
    try:
        with file.joinpath(*parts).open("rb") as data:
            return Zone(name, ZoneInfo.from_file(data, key=name))
    except (OSError, ValueError):
        raise BadCalendar("tz", f"{name!r} is no time zone of tzdata {tzdata_version()}") from None


class Zone:
    """Local dates and times of one zone, resolved to instants as RFC 5545 does.

    A local time that occurs twice means its first occurrence; one that is skipped is read with the offset
    that held before the gap. Both are what `fold=0` means (PEP 495).
    """

    __slots__ = ("_steady", "info", "name")

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name = name
        self.info = info
        self._steady: dict[int, int | None] = {}

    def offset_us(self, local: datetime) -> int:
        """Return the offset from UTC, in microseconds, that a naive local time is read with."""
        offset = local.replace(tzinfo=self.info).utcoffset()
        assert offset is not None  # noqa: S101 - a ZoneInfo always has an offset for a full datetime
        return (offset.days * 86_400 + offset.seconds) * SECOND

    def resolve(self, ordinal: int, second: int) -> int:
        """Return the instant of a second of a local date; from 86,400 on they are of later dates.

        Past the last date there is, the offset of that date goes on.
        """
        carried, second = divmod(second, 86_400)
        ordinal += carried
        if ordinal > _LAST_ORDINAL:
            offset = self.offset_us(LAST_LOCAL)
        else:
            steady = self.steady_offset(ordinal)
            offset = self._offset_at(ordinal, second) if steady is None else steady
        return (ordinal - EPOCH_ORDINAL) * DAY + second * SECOND - offset

    def steady_offset(self, ordinal: int) -> int | None:
        """Return the one offset from UTC, in microseconds, of a date; None when it changes on that date."""
        try:
            return self._steady[ordinal]
        except KeyError:
            first = self._offset_at(ordinal, 0)
            last = first if ordinal == _LAST_ORDINAL else self._offset_at(ordinal + 1, 0)
            # Written once with one value, whoever comes first: no lock is needed.
            return self._steady.setdefault(ordinal, first if first == last else None)

    def skips(self, ordinal: int) -> bool:
        """Tell whether the zone has no such date (Apia, 2011-12-30)."""
        if self.steady_offset(ordinal) is not None:
            return False
        return self.resolve(ordinal, 0) == self.resolve(ordinal, 86_400)

    def _offset_at(self, ordinal: int, second: int) -> int:
        clock = time(second // 3600, second // 60 % 60, second % 60)
        return self.offset_us(datetime.combine(date.fromordinal(ordinal), clock))
