"""The smallest log on which a figure's right reading and a plausible wrong one differ."""

from dataclasses import dataclass
from datetime import date
from itertools import count as numbers
from typing import Any, Final

from services.reports.domain.agreements import MarketingQuota
from services.reports.domain.field_notes import FeedbackGiven
from services.reports.domain.figures import Figure
from services.reports.domain.inputs import InputEntry, InputKind
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.labels import Dimension
from services.reports.domain.opportunities import OpportunityStep
from services.reports.domain.periods import Period
from services.reports.domain.words import FollowedUp
from services.reports.store.fold import LeadWord, SlaWord
from tests.builders.reports import TENANT, at, handoff

HOUR = 3_600_000_000
DAY = 24 * HOUR
NOW = at(days=100)
_number: Final = numbers(1)
MARCH, APRIL = Period.month(2026, 3), Period.month(2026, 4)
NORTH = f"{TENANT}/teams/north"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is told, what is asked, what the figure is, and what somebody might have taken it for."""

    wrongly: str
    """How the wrong reading is come by."""
    right: Any
    wrong: Any
    code: str = ""
    """The edge code that names the wrong reading, where one does."""
    leads: tuple[LeadWord, ...] = ()
    sla: tuple[SlaWord, ...] = ()
    inputs: tuple[InputEntry, ...] = ()
    quotas: tuple[MarketingQuota, ...] = ()
    basis: Basis | None = None
    period: Period | None = None
    group_by: tuple[Dimension, ...] = ()
    group: tuple[str | None, ...] = ()
    absent: tuple[tuple[str | None, ...], ...] = ()
    """Groups that a wrong reading would answer for, and the right one does not."""
    now: int = NOW


def shown(figure: Figure) -> Any:
    """Return what a figure says, in as few words as tell it from another."""
    if figure.undefined is not None:
        return figure.undefined
    if figure.scalar is not None:
        return figure.scalar
    if figure.amount is not None:
        return figure.amount.currency, figure.amount.minor_units
    if figure.ratio is not None and figure.numerator is not None:
        return figure.numerator, figure.denominator
    if figure.ratio is not None:
        return figure.ratio
    return figure.duration if figure.count is None else figure.count


def head(number: int, **when: Any) -> tuple[str, str, int]:
    """Return with what every word about a handoff begins."""
    return TENANT, handoff(number), at(**when)


def touch(number: int, *, contact: bool = False, grade: str = "confirmed", **when: Any) -> FollowedUp:
    """Return a call to the lead of a handoff."""
    return FollowedUp(*head(number, **when), contact, grade != "back_dated", "call", grade)


def deal(number: int, kind: str, **told: Any) -> OpportunityStep:
    """Return a step of the opportunity of a handoff, so many days after Monday."""
    days = told.pop("days", 0)
    amount = told.pop("amount", None)
    return OpportunityStep(
        *head(number, days=days),
        f"{handoff(number)}/opportunity",
        kind,
        currency="EUR" if amount is not None else "",
        minor_units=amount or 0,
        **told,
    )


def heard(feedback: str, theme: str, **when: Any) -> FeedbackGiven:
    """Return something that the field told."""
    return FeedbackGiven(*head(1, **when), feedback, "price", theme)


def recorded(kind: InputKind, word: str, number: int, **told: Any) -> InputEntry:
    """Return an input about all of March 2026, or from `first` to the day before `last`."""
    first, last = told.pop("first", date(2026, 3, 1)), told.pop("last", date(2026, 4, 1))
    values: dict[str, Any] = {"source_system": "desk", "external_id": str(next(_number))}
    return InputEntry(
        tenant=TENANT,
        kind=kind,
        word=word,
        number=number,
        first_day=first.toordinal(),
        last_day=last.toordinal(),
        **values | told,
    )


def cost(minor_units: int, word: str = "media", **told: Any) -> InputEntry:
    """Return money spent, in euros where nothing else is told."""
    return recorded(InputKind.COST, word, minor_units, **{"currency": "EUR"} | told)


def goal(minor_units: int, word: str = "revenue", **told: Any) -> InputEntry:
    """Return what is to be reached."""
    return recorded(InputKind.GOAL, word, minor_units, **{"currency": "EUR"} | told)


def earned(minor_units: int, sold: int | None = None, word: str = "new", **told: Any) -> InputEntry:
    """Return revenue, and what the goods sold had cost."""
    return recorded(InputKind.REVENUE, word, minor_units, second=sold, **{"currency": "EUR"} | told)


def counted(number: int, series: str, **told: Any) -> InputEntry:
    """Return a count."""
    return recorded(InputKind.COUNT, series, number, **told)


def answered(survey: str, score: int, number: int = 1, **told: Any) -> InputEntry:
    """Return how many gave a score."""
    return recorded(InputKind.ANSWERS, survey, number, second=score, **told)


def touchpoint(campaign: str, day: date, journey: str = "order-1") -> InputEntry:
    """Return a marketing contact on a way."""
    first, last = day, date.fromordinal(day.toordinal() + 1)
    return recorded(InputKind.TOUCHPOINT, "", 1, first=first, last=last, campaign=campaign, journey=journey)
