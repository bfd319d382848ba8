"""A copy differs in what was changed, and in nothing else."""

from dataclasses import FrozenInstanceError, replace

import pytest

from services.leads.domain.copying import changed
from services.leads.domain.states import HandoffState
from tests.builders.leads import an_accepted_handoff


def test_a_copy_is_what_replace_makes() -> None:
    handoff = an_accepted_handoff()

    assert changed(handoff) == handoff
    assert changed(handoff, state=HandoffState.LOST, owner="") == replace(
        handoff, state=HandoffState.LOST, owner=""
    )
    assert handoff == an_accepted_handoff()


def test_a_copy_is_frozen_and_knows_its_fields() -> None:
    handoff = an_accepted_handoff()

    with pytest.raises(FrozenInstanceError):
        changed(handoff).owner = "x"  # type: ignore[misc]  # that it is refused is the point
    with pytest.raises(TypeError, match="no colour"):
        changed(handoff, colour="red")
