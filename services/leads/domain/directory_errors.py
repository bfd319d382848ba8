"""What the directory alone refuses; the rest of the tree is drawn in `errors.py`."""

from collections.abc import Sequence

from services.leads.domain.directory_faults import Fault
from services.leads.domain.errors import LeadError, NotFound

__all__ = ["DirectoryInvalid", "PrincipalUnknown", "TokenUnknown"]


class DirectoryInvalid(LeadError):
    """The wanted directory cannot be: `faults` has everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"the directory has {len(faults)} faults")
        self.faults = tuple(faults)


class PrincipalUnknown(NotFound):
    """There is no such person or system, or it is inactive."""


class TokenUnknown(NotFound):
    """There never was such a token."""
