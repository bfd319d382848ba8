"""Which follow-up of many is the one with which somebody has tried often enough."""

from collections.abc import Iterable
from datetime import date, datetime

from services.sla.domain.agreement import Attempts
from services.sla.domain.timeline import Fact
from smarketing.businesstime import load_zone

ONCE = Attempts(count=1)


def sufficient(follow_ups: Iterable[Fact], wanted: Attempts, zone: str) -> Fact | None:
    """Return the follow-up with which there were enough; None while there are not.

    Follow-ups come in order of their instants. They are counted greedily: the first counts, then each that
    comes at least the spacing after the last one that counted. Two-way contact is enough by itself.
    """
    local = load_zone(zone).info
    count = 0
    last: datetime | None = None
    dates: set[date] = set()
    channels: set[str | None] = set()
    for fact in follow_ups:
        if fact.is_contact:
            return fact
        if last is not None and fact.occur_time - last < wanted.spacing:
            continue
        last = fact.occur_time
        count += 1
        dates.add(fact.occur_time.astimezone(local).date())
        channels.add(fact.channel)
        if count >= wanted.count and len(dates) >= wanted.dates and len(channels) >= wanted.channels:
            return fact
    return None
