"""What a tenant calls marketing-qualified, and whether a lead was when it was submitted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum

from services.leads.domain.intake import BehaviourKind
from services.leads.domain.lead_fields import Facts, is_filled, reader_of
from services.leads.domain.routing_rules import word
from services.leads.domain.scoring import Behaved, ScoreModel, VersionState
from services.leads.domain.terms import SourceChannel

__all__ = ["Conformance", "HandRaise", "MqlDefinition", "Shortfall"]


class Shortfall(IntEnum):
    """What a definition asks for and a lead had not, numbered as in the contract."""

    FIT = 1
    ENGAGEMENT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HandRaise:
    """What says that a lead asks for sales. Any of these does."""

    lead_types: tuple[str, ...] = ()
    source_channels: tuple[SourceChannel, ...] = ()
    behaviours: tuple[BehaviourKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """Whether a lead met the definition at its submission, and how complete it was."""

    version: int
    conforming: bool
    shortfalls: tuple[Shortfall, ...] = ()
    hand_raised: bool = False
    fit_points: int = 0
    engagement_points: int = 0
    required_field_count: int = 0
    missing_fields: tuple[str, ...] = ()
    """By name; never what they say."""

    @property
    def filled_field_count(self) -> int:
        """How many of the required fields say something."""
        return self.required_field_count - len(self.missing_fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class MqlDefinition:
    """A version: points of fit and of engagement within a window, or an explicit hand-raise."""

    version: int = 0
    state: VersionState = VersionState.PROPOSED
    display_name: str = ""
    model_version: int = 0
    """By which score model points are counted; 0 when none are asked for."""
    min_fit_points: int = 0
    min_engagement_points: int = 0
    engagement_window: timedelta | None = None
    hand_raise: HandRaise = field(default_factory=HandRaise)
    required_fields: tuple[str, ...] = ()
    create_time: datetime | None = None
    activate_time: datetime | None = None
    retire_time: datetime | None = None

    def verdict(
        self, model: ScoreModel | None, facts: Facts, behaved: Sequence[Behaved], *, as_of: datetime
    ) -> Conformance:
        """Return whether a lead meets this at an instant; `model` is that of `model_version`.

        A behaviour counts in the window as in any score: once more than a half-life old it counts for less.
        """
        within = self._within_window(behaved, as_of)
        fit = 0 if model is None else model.fit_points(facts)
        engagement = 0 if model is None else model.engagement_points(within, as_of=as_of)
        raised = self._is_raised(facts, within)
        short = (
            (Shortfall.FIT, fit < self.min_fit_points),
            (Shortfall.ENGAGEMENT, engagement < self.min_engagement_points),
        )
        shortfalls = () if raised else tuple(what for what, lacks in short if lacks)
        return Conformance(
            version=self.version,
            conforming=not shortfalls,
            shortfalls=shortfalls,
            hand_raised=raised,
            fit_points=fit,
            engagement_points=engagement,
            required_field_count=len(self.required_fields),
            missing_fields=tuple(name for name in self.required_fields if not _says(facts, name)),
        )

    def activated(self, now: datetime) -> "MqlDefinition":
        """Return the version that is in force from now on."""
        return replace(self, state=VersionState.ACTIVE, activate_time=now, retire_time=None)

    def retired(self, now: datetime) -> "MqlDefinition":
        """Return the version that is in force no more."""
        return replace(self, state=VersionState.RETIRED, retire_time=now)

    def _within_window(self, behaved: Sequence[Behaved], as_of: datetime) -> list[Behaved]:
        window = self.engagement_window
        first = None if window is None else as_of - window
        return [
            each for each in behaved if (at := each.occur_time) <= as_of and (first is None or at >= first)
        ]

    def _is_raised(self, facts: Facts, within: Sequence[Behaved]) -> bool:
        raises = self.hand_raise
        lead_type = word(facts.told.lead_type)
        return (
            (bool(lead_type) and any(lead_type == word(each) for each in raises.lead_types))
            or facts.told.source_channel in raises.source_channels
            or any(each.kind in raises.behaviours for each in within)
        )


def _says(facts: Facts, name: str) -> bool:
    read = reader_of(name)
    return read is not None and is_filled(read(facts))
