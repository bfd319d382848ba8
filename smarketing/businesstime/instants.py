"""Instants as integers: microseconds since 1970-01-01T00:00Z, exact over the whole range of `datetime`."""

from datetime import UTC, date, datetime, timedelta

from smarketing.businesstime.errors import InstantOutOfRange

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
SECOND = 1_000_000
DAY = 86_400 * SECOND
MIN_US = (1 - EPOCH_ORDINAL) * DAY
MAX_US = (date(9999, 12, 31).toordinal() + 1 - EPOCH_ORDINAL) * DAY - 1


def to_us(instant: datetime) -> int:
    """Return the microseconds of an aware instant since the epoch, exactly.

    Raises:
        TypeError: for a naive value, which is no instant.
    """
    since = instant - EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def from_us(us: int) -> datetime:
    """Return the UTC instant of so many microseconds since the epoch.

    Raises:
        InstantOutOfRange: outside the years 1 to 9999.
    """
    try:
        return EPOCH + timedelta(microseconds=us)
    except OverflowError:
        raise InstantOutOfRange from None


def year_start(year: int) -> int:
    """Return when a year begins in UTC; 10000 is allowed, as the end of 9999."""
    if year == 10_000:
        return MAX_US + 1
    return (date(year, 1, 1).toordinal() - EPOCH_ORDINAL) * DAY


def year_of(us: int) -> int:
    """Return the UTC year of an instant within range."""
    return date.fromordinal(us // DAY + EPOCH_ORDINAL).year
