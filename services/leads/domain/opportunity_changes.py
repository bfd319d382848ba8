"""How an opportunity came to be what it is: every change with all that held after it."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import IntEnum

from services.leads.domain.errors import FieldInvalid, StateForbids
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.playbook import Playbook
from services.leads.domain.terms import Money


class ChangeKind(IntEnum):
    """What it was, numbered as in the contract."""

    UPDATED = 1
    PROPOSAL_SENT = 2
    CONTRACT_SENT = 3
    CONTRACT_SIGNED = 4
    CONTRACT_DECLINED = 5
    CONTRACT_EXPIRED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class OpportunityChange:
    """One change, or one step outside."""

    number: int
    kind: ChangeKind
    occur_time: datetime
    record_time: datetime
    person: str
    stage: str
    amount: Money | None
    probability_percent: int | None
    expected_close_date: date | None
    external_id: str = ""
    """The document's id: told to those who may see personal data, absent everywhere else."""
    sealed_external_id: bytes = b""
    """The same as it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What shall be different; None and empty leave it as it is."""

    stage: str = ""
    amount: Money | None = None
    probability_percent: int | None = None
    expected_close_date: date | None = None


def updated(opportunity: Opportunity, wanted: Wanted, playbook: Playbook) -> Opportunity:
    """Return the opportunity changed; a new stage brings its own probability unless one is given.

    Raises:
        StateForbids: it is closed.
        FieldInvalid: there is no such stage.
    """
    if opportunity.state is not OpportunityState.OPEN:
        raise StateForbids(opportunity.name, opportunity.state.name, opportunity.etag)
    percent = wanted.probability_percent
    if wanted.stage and wanted.stage != opportunity.stage:
        stage = playbook.stage(wanted.stage)
        if stage is None:
            raise FieldInvalid("stage", "one of " + ", ".join(each.stage for each in playbook.stages))
        percent = stage.probability_percent if percent is None else percent
    changed = replace(
        opportunity,
        stage=wanted.stage or opportunity.stage,
        amount=wanted.amount or opportunity.amount,
        probability_percent=opportunity.probability_percent if percent is None else percent,
        expected_close_date=wanted.expected_close_date or opportunity.expected_close_date,
    )
    return opportunity if changed == opportunity else replace(changed, version=opportunity.version + 1)


def change_of(
    opportunity: Opportunity,
    kind: ChangeKind,
    *,
    number: int,
    person: str,
    occur_time: datetime,
    now: datetime,
    amount: Money | None = None,
    external_id: str = "",
) -> OpportunityChange:
    """Return the entry of the history that says what holds now."""
    return OpportunityChange(
        number=number,
        kind=kind,
        occur_time=occur_time,
        record_time=now,
        person=person,
        stage=opportunity.stage,
        amount=amount or opportunity.amount,
        probability_percent=opportunity.probability_percent,
        expected_close_date=opportunity.expected_close_date,
        external_id=external_id,
    )
