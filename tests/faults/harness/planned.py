"""What a row of the plan of faults says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SECOND_SHAPE: Final = "tests/faults/test_second_shape_under_load.py"
IMPORT: Final = "tests/faults/test_import_on_the_second_shape.py"
ROLLING: Final = "tests/faults/test_rolling_restart.py"
DIVIDED: Final = "tests/faults/test_divided_logs.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One row of the plan."""

    id: str
    fault: str
    tests: Sequence[str] = ()
    """Files, or single tests of one."""
    mutants: Sequence[str] = ()
    """Which of the seeded faults its tests have caught."""
    missing: str = ""
    """What no test shows yet, and why."""

    @property
    def is_killing(self) -> bool:
        """Whether it runs in parts of its own."""
        return self.id in ("F1", "F2", "F3", "F4")

    @property
    def is_on_the_second_shape(self) -> bool:
        """Whether it runs under load on PostgreSQL and NATS, in a part of its own."""
        return SECOND_SHAPE in self.tests
