"""What the people of a month intend: which leads come when, and what each rep would do with each.

Pure and seeded: the same seed and period give the same month. Nobody here knows to whom routing will
offer a lead, so a story says what is done at the first offer, at the second, and so on; whoever has it
then does that. Intentions only: what becomes of them the services decide.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from services.demo.cast import REJECTIONS, SOURCES, URGENT, contact_of
from services.leads.domain.lead import Qualification, Submission
from services.leads.domain.terms import FollowUpChannel
from smarketing.businesstime import BusinessTime, Calendar, Openings

__all__ = ["Answer", "Deal", "Echo", "Ending", "OfferAnswer", "Outcome", "Story", "Touch", "month"]

TENANT: Final = "default"
SOURCE_SYSTEM: Final = "website"
_LEADS_ON: Final = (32, 35, 34, 31, 27, 8, 9)
"""Inquiries on an ordinary Monday, Tuesday …"""
_BY_HOUR: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 22, 26, 24, 18, 20, 24, 23, 20, 16, 12, 11, 10, 8, 5, 3)
"""How inquiries spread over the hours of a day."""
_SEGMENTS: Final = (("clinic", 30), ("retail", 45), ("factory", 25))
_REGIONS: Final = (("north", 40), ("south", 35), ("east", 25))
_WORTH: Final = {"clinic": 14_000, "retail": 4_500, "factory": 26_000}
"""About what a deal in a segment is worth, in euros."""

_AT_ONCE: Final = BusinessTime()

Wait = BusinessTime | timedelta
"""Time until something is done: of working hours, or of the clock on the wall."""


class Answer(StrEnum):
    """What a rep does with an offer."""

    ACCEPT = "accept"
    DECLINE = "decline"
    REJECT = "reject"
    IGNORE = "ignore"


class Outcome(StrEnum):
    """To what an owner brings a handoff."""

    OPEN = "open"
    QUALIFY = "qualify"
    DISQUALIFY = "disqualify"
    RECYCLE = "recycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAnswer:
    """One answer to one offer."""

    answer: Answer
    after: Wait
    reason_code: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """An attempt to reach the lead; `after` counts from ownership, or from the touch before."""

    after: Wait
    channel: FollowUpChannel
    contact: bool
    confirmed: bool
    """Told by the dialler, not by the person."""
    told_after: BusinessTime = _AT_ONCE
    """How much later it was entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """An opportunity; `won` is None while it is open."""

    after: BusinessTime
    amount_cents: int
    percent: int
    won: bool | None
    close_after: BusinessTime
    reason_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the owner decides, counted from the last touch, or from ownership."""

    outcome: Outcome
    after: BusinessTime
    reason_code: str = ""
    rest: timedelta = timedelta()
    """How long a recycled lead is left alone."""
    deal: Deal | None = None


class Echo(StrEnum):
    """How a lead comes once more while its handoff is open."""

    SAME = "same"
    REVISED = "revised"
    ANOTHER_FORM = "another form"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One submission, and what everybody would do about it."""

    number: int
    submission: Submission
    submit_time: datetime
    answers: tuple[OfferAnswer, ...]
    """To the first offer, the second …; the last one goes for all that follow."""
    from_queue: OfferAnswer
    """What whoever takes from the queue does."""
    touches: tuple[Touch, ...]
    ending: Ending
    echo: Echo | None = None
    echo_after: timedelta = timedelta()
    comes_back: bool = False
    """Whether the lead, once recycled, is qualified again."""

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for a call."""
        return self.submission.qualification.source_channel is URGENT.channel


def month(*, seed: int, start: datetime, end: datetime, calendar: Calendar) -> list[Story]:
    """Return the stories of every lead that inquires between two instants, in order of submission.

    Whoever wants to be called at once can ask for it only while the office of `calendar` is open.
    """
    openings = Openings(calendar)
    stories = []
    for number, inquired in enumerate(_inquiries(seed, start, end, ZoneInfo(calendar.zone)), 1):
        story = story_of(seed, number, inquired, staffed=openings.is_open(inquired))
        if story.submit_time < end:
            stories.append(story)
    return sorted(stories, key=lambda story: (story.submit_time, story.number))


def story_of(seed: int, number: int, inquired: datetime, *, staffed: bool) -> Story:
    """Return one lead's story; each has dice of its own, so that none depends on another."""
    dice = _dice(seed, number)
    sources = [each for each in SOURCES if staffed or not each.is_urgent]
    source = dice.choices(sources, [each.weight for each in sources])[0]
    score = round(min(99, max(5, dice.gauss(source.score, 17))))
    segment = _one_of(dice, _SEGMENTS)
    submission = Submission(
        tenant=TENANT,
        source_system=SOURCE_SYSTEM,
        external_id=f"inquiry-{number:05}",
        contact=contact_of(dice, number),
        qualification=Qualification(
            source=source.word,
            source_channel=source.channel,
            campaign=source.campaign,
            segment=segment,
            region=_one_of(dice, _REGIONS),
            score=score,
            inquire_time=inquired,
            definition="mql-3",
        ),
    )
    urgent = source.is_urgent
    echo = dice.choices([None, *Echo], [88, 5, 4, 3])[0]
    return Story(
        number=number,
        submission=submission,
        submit_time=inquired + _handed_over_after(dice, urgent),
        answers=tuple(_answer(dice, urgent) for _ in range(2)),
        from_queue=_queue_answer(dice),
        touches=_touches(dice, hot=score >= 80, urgent=urgent),
        ending=_ending(dice, segment, score),
        echo=echo,
        echo_after=timedelta(minutes=dice.uniform(5, 600)),
        comes_back=dice.random() < 0.5,
    )


def next_story(seed: int, story: Story, requalified: datetime) -> Story:
    """Return what happens with a recycled lead that marketing qualified once more."""
    told = story.submission.qualification
    score = min(99, (told.score or 0) + 20)
    again = story_of(seed, story.number + 100_000, requalified, staffed=False)
    submission = replace(
        story.submission,
        revision=story.submission.revision + 2,
        qualification=replace(told, score=score, inquire_time=requalified),
    )
    return replace(again, number=story.number, submission=submission, echo=None, comes_back=False)


def _inquiries(seed: int, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    day = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[datetime] = []
    while day < end:
        dice = _dice(seed, f"{day:%Y-%m-%d}")
        count = round(dice.gauss(_LEADS_ON[day.weekday()], 4))
        for _ in range(max(2, count)):
            hour = dice.choices(range(24), _BY_HOUR)[0]
            second = dice.randrange(3600)
            local = day.replace(hour=hour, minute=second // 60, second=second % 60)
            found.append(local.astimezone(start.tzinfo).replace(microsecond=dice.randrange(1_000_000)))
        day += timedelta(days=1)
    return iter(sorted(each for each in found if start <= each < end))


def _handed_over_after(dice: Random, urgent: bool) -> timedelta:
    if urgent:
        return timedelta(seconds=dice.uniform(2, 9))
    if dice.random() < 0.07:
        # A nightly synchronisation that failed, a list from a fair that lay about.
        return timedelta(minutes=dice.uniform(66, 900))
    return timedelta(minutes=min(58.0, dice.lognormvariate(1.6, 1.0)))


def _answer(dice: Random, urgent: bool) -> OfferAnswer:
    answer = dice.choices(list(Answer), [76, 6, 10, 8])[0]
    if urgent:
        return OfferAnswer(answer=Answer.ACCEPT, after=timedelta(seconds=dice.uniform(4, 40)))
    return _with_reason(dice, answer, _minutes(dice, 22, spread=1.15))


def _queue_answer(dice: Random) -> OfferAnswer:
    answer = dice.choices([Answer.ACCEPT, Answer.REJECT, Answer.IGNORE], [88, 10, 2])[0]
    return _with_reason(dice, answer, _minutes(dice, 35, spread=0.9))


def _with_reason(dice: Random, answer: Answer, after: BusinessTime) -> OfferAnswer:
    if answer is Answer.REJECT:
        code, evidence = dice.choices(REJECTIONS, [each.weight for each in REJECTIONS])[0].told
        return OfferAnswer(answer=answer, after=after, reason_code=code, evidence=evidence)
    if answer is Answer.DECLINE:
        code = dice.choice(("AWAY", "TOO_MANY", "CONFLICT", "OTHER_SKILL"))
        return OfferAnswer(answer=answer, after=after, reason_code=code)
    return OfferAnswer(answer=answer, after=after)


def _touches(dice: Random, *, hot: bool, urgent: bool) -> tuple[Touch, ...]:
    if dice.random() < (0.02 if urgent else 0.07):
        return ()
    first = _urgent_touch(dice) if urgent else _first_touch(dice, target_minutes=60 if hot else 480)
    more = [
        Touch(
            after=BusinessTime.of(minutes=round(dice.uniform(90, 900))),
            channel=_channel(dice),
            contact=dice.random() < 0.45,
            confirmed=dice.random() < 0.5,
        )
        for _ in range(dice.choices(range(5), [30, 30, 20, 12, 8])[0])
    ]
    return (first, *more)


def _urgent_touch(dice: Random) -> Touch:
    in_time = dice.random() < 0.86
    return Touch(
        after=timedelta(seconds=dice.uniform(15, 110) if in_time else dice.uniform(125, 1500)),
        channel=FollowUpChannel.CALL,
        contact=dice.random() < 0.6,
        confirmed=True,
    )


def _first_touch(dice: Random, *, target_minutes: int) -> Touch:
    kind = dice.choices(("in time", "late", "told late", "told too late"), [80, 12, 6, 2])[0]
    share = dice.uniform(1.05, 2.6) if kind == "late" else min(0.93, dice.lognormvariate(-1.3, 0.8))
    told_after = BusinessTime()
    if kind == "told late":
        # In time, and entered after the clock had run out: the evidence takes the breach back.
        told_after = BusinessTime.of(minutes=target_minutes + round(dice.uniform(10, 200)))
    elif kind == "told too late":
        # Beyond what the agreement lets anybody enter afterwards.
        told_after = BusinessTime.of(minutes=round(dice.uniform(19.5, 24) * 60))
    return Touch(
        after=BusinessTime.of(seconds=round(share * target_minutes * 60)),
        channel=_channel(dice),
        contact=dice.random() < 0.4,
        confirmed=kind in {"in time", "late"} and dice.random() < 0.55,
        told_after=told_after,
    )


def _ending(dice: Random, segment: str, score: int) -> Ending:
    qualify = 24 + score // 4
    outcome = dice.choices(
        [Outcome.QUALIFY, Outcome.DISQUALIFY, Outcome.RECYCLE, Outcome.OPEN], [qualify, 22, 15, 20]
    )[0]
    after = _minutes(dice, 700, spread=0.8)
    if outcome is Outcome.DISQUALIFY:
        codes = ("NO_NEED", "NO_BUDGET", "NO_AUTHORITY", "UNREACHABLE", "CHOSE_ANOTHER")
        return Ending(outcome=outcome, after=after, reason_code=dice.choice(codes))
    if outcome is Outcome.RECYCLE:
        code = dice.choice(("NOT_NOW", "NOT_READY", "NO_ANSWER"))
        return Ending(outcome=outcome, after=after, reason_code=code, rest=timedelta(days=dice.uniform(2, 9)))
    deal = _deal(dice, segment) if outcome is Outcome.QUALIFY and dice.random() < 0.62 else None
    return Ending(outcome=outcome, after=after, deal=deal)


def _deal(dice: Random, segment: str) -> Deal:
    won = dice.choices([True, False, None], [38, 30, 32])[0]
    code = dice.choice(("PRICE", "COMPETITOR", "NO_DECISION", "PRODUCT_GAP")) if won is False else ""
    euros = _WORTH[segment] * dice.lognormvariate(0, 0.5)
    return Deal(
        after=_minutes(dice, 900, spread=0.7),
        amount_cents=round(euros / 50) * 50 * 100,
        percent=dice.choice((20, 35, 50, 70)),
        won=won,
        close_after=_minutes(dice, 2600, spread=0.6),
        reason_code=code,
    )


def _minutes(dice: Random, median: float, *, spread: float) -> BusinessTime:
    return BusinessTime.of(seconds=round(60 * dice.lognormvariate(math.log(median), spread)))


def _channel(dice: Random) -> FollowUpChannel:
    channels = (FollowUpChannel.CALL, FollowUpChannel.EMAIL, FollowUpChannel.MEETING_ONLINE)
    return dice.choices(channels, [60, 30, 10])[0]


def _one_of(dice: Random, weighted: Sequence[tuple[str, int]]) -> str:
    return dice.choices([word for word, _ in weighted], [weight for _, weight in weighted])[0]


def _dice(seed: int, what: object) -> Random:
    return Random(f"{seed}/{what}")  # noqa: S311 -- a month to look at, not a secret
