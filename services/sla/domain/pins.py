"""By what single clocks are measured since they were moved to other versions: a fact of the handoff."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.sla.domain.history import History
from services.sla.domain.timeline import Fact, FactKind

ClockOf = tuple[str, str, int]
"""Agreement, commitment, and which of its clocks on the handoff."""


@dataclass(frozen=True, slots=True)
class Pin:
    """An agreement version and a calendar version, by name; no calendar: whichever the agreement gives."""

    agreement_version: str
    calendar_version: str = ""

    @property
    def agreement(self) -> str:
        """The agreement's id."""
        return self.agreement_version.rsplit("/", 3)[1]

    @property
    def text(self) -> str:
        """Both names as one, as a fact keeps them as its reason."""
        return f"{self.agreement_version} {self.calendar_version}".strip()

    @classmethod
    def of(cls, fact: Fact) -> "Pin":
        """Return what a fact of the kind `REASSESSED` says."""
        version, _, calendar = (fact.reason or "").partition(" ")
        return cls(version, calendar)


def pins_of(facts: Iterable[Fact]) -> Mapping[ClockOf, Pin]:
    """Return by what each clock that was moved is measured; the last word counts."""
    found: dict[ClockOf, Pin] = {}
    for fact in sorted(facts, key=lambda each: (each.record_time, each.position)):
        if fact.kind is FactKind.REASSESSED and fact.commitment is not None:
            pin = Pin.of(fact)
            found[pin.agreement, fact.commitment, fact.about or 0] = pin
    return found


def without_pins(history: History) -> History:
    """Return a history in which no clock was moved: what is supposed of an agreement holds for them all."""
    return History.of(
        history.handoff, (each for each in history.told if each.fact.kind is not FactKind.REASSESSED)
    )
