"""What every command shares and nothing heavy needs: the forms of output, and what a run ends with."""

import enum

__all__ = ["Exit", "Format"]


class Exit(enum.IntEnum):
    """What the command ends with."""

    OK = 0
    REFUSED = 1
    """A rule said no."""
    USAGE = 2
    """The command line or a file is wrong; nothing was sent."""
    DENIED = 3
    """The caller is unknown or may not."""
    UNAVAILABLE = 4
    """No answer, or too late."""
    PARTLY = 5
    """Some rows were rejected; the others were taken."""


class Format(enum.StrEnum):
    """How answers are written."""

    TABLE = "table"
    JSON = "json"
