"""API tokens: what is known of one, never its text."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

__all__ = ["Token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of a person or system."""

    name: str
    """`{principal}/tokens/{token}`."""
    display_name: str = ""
    create_time: datetime
    expire_time: datetime | None = None
    """When it ends by itself; None when never."""
    revoke_time: datetime | None = None
    """When it was ended; None while it works."""

    @property
    def principal(self) -> str:
        """Whose it is."""
        return self.name.rsplit("/", 2)[0]

    @property
    def token_id(self) -> str:
        """The last segment of its name."""
        return self.name.rsplit("/", 1)[1]

    def works(self, *, now: datetime) -> bool:
        """Whether it proves anything at `now`."""
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)

    def revoke(self, *, now: datetime) -> Self:
        """Return the token, ended; one that was ended before stays as it is."""
        return self if self.revoke_time is not None else replace(self, revoke_time=now)
