"""What a tenant's senders mean by their words: segments by one name each, and offline sources by their codes.

A word that stands for nothing here is kept as it was told: no lead is refused for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from services.leads.domain.errors import Fault
from services.leads.domain.lead import Qualification
from services.leads.domain.terms import SourceChannel

MOST_SEGMENTS: Final = 200
MOST_OFFLINE_SOURCES: Final = 500
_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class Segment:
    """A group of leads that is sold to alike: its name in figures, its traits, and its other names."""

    segment: str
    description: str = ""
    also_known_as: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """By what senders know it."""
        return (self.segment, *self.also_known_as)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineSource:
    """Where leads come from that no link tells: by a code in print or on air, or by what the lead says.

    `code` is told as the campaign, `self_report` as the source; letter case and outer spaces aside.
    It counts for inquiries from `start_time` on and before `end_time`; None is no bound.
    """

    code: str = ""
    self_report: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    source_channel: SourceChannel
    campaign: str = ""
    """What the campaign is called in figures; empty leaves what was told."""

    def counts_at(self, at: datetime) -> bool:
        """Tell whether it counts for an inquiry at an instant."""
        return (not self.start_time or at >= self.start_time) and (not self.end_time or at < self.end_time)


@dataclass(frozen=True)
class Vocabulary:
    """The words of one tenant, looked up at the same cost however many there are."""

    segments: tuple[Segment, ...] = ()
    offline_sources: tuple[OfflineSource, ...] = ()

    def segment_of(self, name: str) -> str:
        """Return what the segment of this name is called here; the name itself where nobody named it."""
        return self._segments.get(_word(name), name)

    def understood(self, told: Qualification, at: datetime) -> Qualification:
        """Return what is meant by what was told of an inquiry at an instant.

        A channel that the sender knows is theirs to say; the first offline source that is meant decides else.
        """
        if (segment := self.segment_of(told.segment)) != told.segment:
            told = replace(told, segment=segment)
        if told.source_channel is not SourceChannel.UNMAPPED:
            return told
        meant = (*self._codes.get(_word(told.campaign), ()), *self._reports.get(_word(told.source or ""), ()))
        first = min((place for place in meant if self.offline_sources[place].counts_at(at)), default=None)
        if first is None:
            return told
        source = self.offline_sources[first]
        return replace(told, source_channel=source.source_channel, campaign=source.campaign or told.campaign)

    @cached_property
    def _segments(self) -> dict[str, str]:
        return {_word(name): each.segment for each in reversed(self.segments) for name in each.names}

    @cached_property
    def _codes(self) -> dict[str, list[int]]:
        return _places(each.code for each in self.offline_sources)

    @cached_property
    def _reports(self) -> dict[str, list[int]]:
        return _places(each.self_report for each in self.offline_sources)

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with these words."""
        yield from _segment_faults(self.segments)
        yield from _offline_faults(self.offline_sources)


def _segment_faults(segments: tuple[Segment, ...]) -> Iterator[Fault]:
    if len(segments) > MOST_SEGMENTS:
        yield Fault("segments", f"must hold at most {MOST_SEGMENTS} segments")
    seen: set[str] = set()
    for index, each in enumerate(segments):
        for field, name in (
            ("segment", each.segment),
            *(("also_known_as", name) for name in each.also_known_as),
        ):
            if not _is_sound(name):
                yield Fault(f"segments[{index}].{field}", f"must be 1 to {_LONGEST} printable characters")
            elif _word(name) in seen:
                yield Fault(f"segments[{index}].{field}", f"must not name two segments: {name}")
            seen.add(_word(name))


def _offline_faults(sources: tuple[OfflineSource, ...]) -> Iterator[Fault]:
    if len(sources) > MOST_OFFLINE_SOURCES:
        yield Fault("offline_sources", f"must hold at most {MOST_OFFLINE_SOURCES} sources")
    for index, each in enumerate(sources):
        path = f"offline_sources[{index}]"
        if not each.code and not each.self_report:
            yield Fault(f"{path}.code", "must be there, or a self_report")
        for field in ("code", "self_report", "campaign"):
            if getattr(each, field) and not _is_sound(getattr(each, field)):
                yield Fault(f"{path}.{field}", f"must be at most {_LONGEST} printable characters")
        if each.source_channel is SourceChannel.UNMAPPED:
            yield Fault(f"{path}.source_channel", "must be a channel")
        if each.start_time and each.end_time and each.end_time <= each.start_time:
            yield Fault(f"{path}.end_time", "must be after the start_time")


def _places(words: Iterable[str]) -> dict[str, list[int]]:
    """Return where in the order each word stands; what is empty is no word."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        if word:
            places.setdefault(_word(word), []).append(place)
    return places


def _word(text: str) -> str:
    return text.strip().casefold()


def _is_sound(name: str) -> bool:
    return bool(name.strip()) and len(name) <= _LONGEST and name.isprintable()
