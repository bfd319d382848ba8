"""Why scoring says no."""

from collections.abc import Sequence

from services.leads.domain.errors import Fault, LeadError, NotFound

__all__ = ["MqlDefinitionInvalid", "MqlDefinitionUnknown", "ScoreModelInvalid", "ScoreModelUnknown"]


class ScoreModelUnknown(NotFound):
    """The tenant has no such version, or none is active."""


class MqlDefinitionUnknown(NotFound):
    """The tenant has no such version."""


class ScoreModelInvalid(LeadError):
    """The model cannot rate; every fault is named."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults in the score model")
        self.faults = tuple(faults)


class MqlDefinitionInvalid(LeadError):
    """The definition cannot be put in force; every fault is named."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults in the MQL definition")
        self.faults = tuple(faults)
