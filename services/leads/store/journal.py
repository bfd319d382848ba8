"""Whom this installation forgot, beside the database: one that is restored forgets them again."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from services.leads.domain.privacy import Cause, Erasure
from services.leads.store.people import LeadKey

__all__ = ["ErasureJournal"]

_CAUSES: Final = {cause.name: cause for cause in Cause}


class ErasureJournal:
    """A file with a line for each erasure: tenant, lead and cause; ids alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[LeadKey, Cause] = {}

    def read(self) -> dict[LeadKey, Cause]:
        """Return whom the file names; a last line that a crash cut off is none."""
        if self._path.exists():
            for line in self._path.read_text(encoding="ascii", errors="replace").split("\n")[:-1]:
                tenant, lead, cause = (*line.split(" "), "", "")[:3]
                if cause in _CAUSES:
                    self._known[tenant, lead] = _CAUSES[cause]
        return dict(self._known)

    def append(self, erasures: Iterable[Erasure]) -> None:
        """Add whom it does not name yet; they are on the disk when this returns."""
        given = {(each.tenant, each.lead): each.cause for each in erasures}
        new = {lead: cause for lead, cause in given.items() if lead not in self._known}
        if not new:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            # Behind whatever a crash cut off, on a line of its own.
            file.write("\n" if self._path.stat().st_size else "")
            file.writelines(f"{tenant} {lead} {cause.name}\n" for (tenant, lead), cause in new.items())
            file.flush()
            os.fsync(descriptor)
        self._known |= new
