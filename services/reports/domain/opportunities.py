"""Opportunities as the leads log tells of them: how each stands, and every step that brought it there."""

from dataclasses import dataclass
from typing import NamedTuple

from services.reports.domain.periods import Days, Micros

__all__ = ["OpportunityFact", "OpportunityStep", "StepRow", "begin_opportunity", "fold_opportunity"]


class OpportunityStep(NamedTuple):
    """Something happened to an opportunity."""

    tenant: str
    handoff: str
    time: Micros
    opportunity: str
    kind: str
    """`opened`, `changed`, `proposed`, `won`, `lost` or `reopened`."""
    owner: str = ""
    stage: str = ""
    currency: str = ""
    """Empty where no amount is known; the known one then stays."""
    minor_units: int = 0
    probability: int | None = None
    close_day: Days | None = None
    """When it is expected to close."""


class StepRow(NamedTuple):
    """A step as it is kept: with all that held after it."""

    step: str
    opportunity: str
    number: int
    tenant: str
    time: Micros
    kind: str
    stage: str
    previous_stage: str
    previous_stage_time: Micros
    currency: str
    minor_units: int
    probability: int | None
    close_day: Days | None


@dataclass(slots=True)
class OpportunityFact:
    """The accumulator of the fold; its fields are the columns of the table, in this order."""

    opportunity: str
    tenant: str
    handoff: str
    create_time: Micros
    stage_time: Micros
    """When it came to its present stage."""
    state: str = "open"
    owner: str = ""
    stage: str = ""
    currency: str = ""
    minor_units: int = 0
    probability: int | None = None
    close_day: Days | None = None
    close_time: Micros | None = None
    reopen_count: int = 0
    step_count: int = 0
    visits: str | None = None
    """The stages that it came to, with when: `DISCOVERY@1772442000000000;…`."""
    proposal_time: Micros | None = None
    """Of the first proposal."""


def begin_opportunity(step: OpportunityStep) -> OpportunityFact:
    """Return the fact of an opportunity of which nothing was known, before its first step is folded in."""
    return OpportunityFact(step.opportunity, step.tenant, step.handoff, step.time, step.time)


def fold_opportunity(fact: OpportunityFact, step: OpportunityStep) -> StepRow:
    """Take one step into the fact, and return the step as it is kept."""
    previous_stage, previous_stage_time = fact.stage, fact.stage_time
    fact.step_count += 1
    fact.owner = step.owner or fact.owner
    if step.stage and step.stage != fact.stage:
        fact.stage, fact.stage_time = step.stage, step.time
        visit = f"{step.stage}@{step.time}"
        fact.visits = f"{fact.visits};{visit}" if fact.visits else visit
    if step.kind == "proposed" and fact.proposal_time is None:
        fact.proposal_time = step.time
    if step.currency:
        fact.currency, fact.minor_units = step.currency, step.minor_units
    fact.probability = fact.probability if step.probability is None else step.probability
    fact.close_day = fact.close_day if step.close_day is None else step.close_day
    _settle(fact, step)
    return StepRow(
        f"{fact.opportunity}#{fact.step_count}",
        fact.opportunity,
        fact.step_count,
        fact.tenant,
        step.time,
        step.kind,
        fact.stage,
        previous_stage,
        previous_stage_time,
        fact.currency,
        fact.minor_units,
        fact.probability,
        fact.close_day,
    )


def _settle(fact: OpportunityFact, step: OpportunityStep) -> None:
    if step.kind in ("won", "lost"):
        fact.state, fact.close_time = step.kind, step.time
    elif step.kind in ("opened", "reopened"):
        fact.state, fact.close_time = "open", None
    if step.kind == "reopened":
        fact.reopen_count += 1
