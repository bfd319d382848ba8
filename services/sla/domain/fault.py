"""What is wrong with terms that somebody wrote."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that cannot be agreed to: where it stands, and what a right value looks like."""

    path: str
    description: str
