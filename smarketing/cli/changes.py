"""What an apply changes, and how it is shown."""

import dataclasses
from collections.abc import Sequence

from rich.console import RenderableType

from smarketing.cli.output import id_of, table
from smarketing.cli.session import Session

__all__ = ["Change", "changes_view", "show_changes"]


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One difference between what is wanted and what there is, or what was done about it."""

    kind: str
    resource: str
    change: str
    """`added`, `changed`, `removed`, `activated`."""
    fields: tuple[str, ...] = ()
    secret: str = ""
    """A webhook's signing secret, shown once."""


def show_changes(session: Session, changes: Sequence[Change], *, applied: bool) -> None:
    """Write what differs or was changed, and each secret once."""
    if session.wants_json:
        document = [dataclasses.asdict(change) | {"fields": list(change.fields)} for change in changes]
        session.show_document({"applied": applied, "changes": document})
        return
    if not changes:
        session.note("Nothing differs.")
        return
    session.out.print(changes_view(changes))
    for change in changes:
        if change.secret:
            session.out.print(f"Secret of {change.resource}, shown this once: {change.secret}")


def changes_view(changes: Sequence[Change]) -> RenderableType:
    """Return changes as a table."""
    return table(
        ("kind", "resource", "change", "fields"),
        [
            (change.kind, id_of(change.resource), change.change, ", ".join(change.fields))
            for change in changes
        ],
    )
