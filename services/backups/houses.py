"""Which databases an installation has, and whose logs each of them follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

__all__ = ["HOUSES", "KEY_FILES", "TOKENS", "House", "key_files_in"]


@dataclass(frozen=True, slots=True)
class House:
    """One service's database in the data folder."""

    service: str
    follows: Mapping[str, str]
    """The name of its consumer → the service whose log that one reads."""

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.service}.db"

    @property
    def migrations(self) -> str:
        """The package that holds its migrations."""
        return f"services.{self.service}.store.migrations"

    @property
    def schema(self) -> str:
        """The newest schema that this build knows: the number of the last migration."""
        return max(each.name[:4] for each in files(self.migrations).iterdir() if each.name[:4].isdigit())


HOUSES: Final = (
    House("leads", {"sla": "sla"}),
    House("sla", {"sla.leads": "leads"}),
    House("reports", {"reports.leads": "leads", "reports.sla": "sla"}),
)

KEY_FILES: Final = "*.key"
TOKENS: Final = "tokens"
"""The folder of the tokens by which the services call one another, and the operator calls them."""


def key_files_in(folder: Path) -> list[Path]:
    """Return the files that open what is sealed or let somebody in, by their paths below `folder`."""
    found = [*folder.glob(KEY_FILES), *(folder / TOKENS).glob("*.token")]
    return sorted(path.relative_to(folder) for path in found)
