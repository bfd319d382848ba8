"""In what shape the services run under faults: the seam by which another database, bus or count joins.

A row of tests takes a `Shape` and asks nothing else. To add one, write its entry in `SHAPES`: what its
services are told besides the usual, how many there are of each, and where a stopped service's rows are.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.harness.ground import Grounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the three services are run."""

    name: str
    surroundings: Callable[[Path], AbstractContextManager[Mapping[str, str]]]
    """Starts what the services need, such as a server, and gives what they are told of it."""
    database_url: Callable[[Path, str], str]
    """Where the rows of a service are, of which nothing runs at the time."""
    replicas: int = 1
    """Processes of each service."""


def _embedded_url(data_dir: Path, service: str) -> str:
    return f"sqlite:///{data_dir / f'{service}.db'}"


EMBEDDED: Final = Shape(
    name="embedded", surroundings=lambda _folder: nullcontext({}), database_url=_embedded_url
)
SECOND_GROUNDS: Final = Grounds()
SECOND: Final = Shape(
    name="postgres", surroundings=SECOND_GROUNDS.surroundings, database_url=SECOND_GROUNDS.url
)
DIVIDED: Final = Shape(
    name="divided", surroundings=SECOND_GROUNDS.divided_surroundings, database_url=SECOND_GROUNDS.url
)
"""The second one, whose logs are divided among the replicas."""
SHAPES: Final = {shape.name: shape for shape in (EMBEDDED, SECOND, DIVIDED)}


def shape_in_use() -> Shape:
    """Return the shape that `SHAPE` names; the embedded one unless it is set."""
    return SHAPES[os.environ.get("SHAPE", EMBEDDED.name)]
