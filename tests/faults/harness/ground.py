"""What the second shape stands on, and what may be taken away: PostgreSQL and three NATS nodes."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psycopg

from smarketing.eventlog.link import stream_of
from smarketing.sql.local_server import OWNER
from tests.builders.nats_servers import NatsServer, cluster
from tests.faults.harness.database_keeper import Keeper

_ROLE: Final = "smarketing"
PARTITIONS: Final = 3
TENANTS: Final = ("default", "bern", "berlin")
"""One in each partition, where logs are divided."""


@dataclass(frozen=True)
class Ground:
    """What the services of the second shape stand on."""

    database: Keeper
    nodes: list[NatsServer]

    def url(self, service: str) -> str:
        """Return where the rows of a service are."""
        return f"{self._url}&schema={service}"

    def connections(self) -> int:
        """Return how many connections the services hold."""
        with self._as_owner() as connection:
            [found] = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [_ROLE]
            ).fetchall()
        return int(str(found[0]))

    def end_transactions(self) -> int:
        """End the connections that are in the middle of something; return how many there were."""
        with self._as_owner() as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = %s AND state <> 'idle'",
                [_ROLE],
            ).fetchall()
        return len(ended)

    def _as_owner(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.database.url("postgres", user=OWNER), autocommit=True)

    @property
    def _url(self) -> str:
        return self.database.url("smarketing", user=_ROLE)

    @property
    def told(self) -> Mapping[str, str]:
        """What the services are told of it."""
        return {
            "SMARKETING_DATABASE_URL": self._url,
            "SMARKETING_BUS": ",".join(node.url for node in self.nodes),
            "SMARKETING_NATS_MONITORS": ",".join(node.monitor for node in self.nodes),
            "SMARKETING_NATS_REPLICAS": str(len(self.nodes)),
            "SMARKETING_NATS_MAX_BYTES": "100000000",
        }


@contextmanager
def standing_ground(_folder: Path) -> Iterator[Ground]:
    """Start a server that waits for its disk, and three nodes that do."""
    # Not below the test's folder: the path of a socket is short, and the server runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="smarketing-ground-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = stack.enter_context(Keeper(folder / "pg"))
        with psycopg.connect(database.url("postgres", user=OWNER), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {_ROLE} LOGIN")
            connection.execute(f"CREATE DATABASE smarketing OWNER {_ROLE}")
        nodes = cluster(folder)
        for node in nodes:
            stack.callback(node.kill)
            node.start()
        yield Ground(database, nodes)


class Grounds:
    """Remembers the ground under each data folder, for whoever knows only the folder."""

    def __init__(self) -> None:
        self._under: dict[Path, Ground] = {}

    def under(self, data_dir: Path) -> Ground:
        """Return the ground of a folder whose services were started."""
        return self._under[data_dir]

    @contextmanager
    def surroundings(self, data_dir: Path) -> Iterator[Mapping[str, str]]:
        """Start what the services of a folder need, and give what they are told of it."""
        with standing_ground(data_dir) as ground:
            self._under[data_dir] = ground
            yield ground.told

    @contextmanager
    def divided_surroundings(self, data_dir: Path) -> Iterator[Mapping[str, str]]:
        """Start the same, and have followed logs divided in three."""
        with self.surroundings(data_dir) as told:
            yield {
                **told,
                "SMARKETING_PARTITIONS": str(PARTITIONS),
                "SMARKETING_METRIC_TENANTS": ",".join(TENANTS),
            }

    def url(self, data_dir: Path, service: str) -> str:
        """Return where the rows of a service of a folder are."""
        return self.under(data_dir).url(service)


def is_well(node: NatsServer) -> bool:
    """Whether a node says that it has all that the others have."""
    try:
        return httpx.get(f"{node.monitor}/healthz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def leader_of(nodes: list[NatsServer]) -> NatsServer | None:
    """Return the node that leads the stream of leads; None when nobody knows."""
    for node in nodes:
        try:
            said = httpx.get(f"{node.monitor}/jsz", params={"streams": 1}, timeout=2, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            continue
        for account in said.get("account_details", ()):
            for stream in account.get("stream_detail", ()):
                if stream["name"] == stream_of("leads"):
                    leads = stream.get("cluster", {}).get("leader", "")
                    return next((each for each in nodes if each.name == leads), None)
    return None
