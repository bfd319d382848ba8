"""The service `leads` in each shape that is loaded: on a file or on PostgreSQL, on either engine."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from smarketing.api.leads.v1.directory_pb2 import Directory
from smarketing.server.settings import GrpcEngine
from tests.bench.durable_postgres import DurablePostgres, durable_postgres
from tests.bench.loading import Loaded
from tests.bench.ours import Ours

SQLITE, SQLITE_NATIVE = "sqlite", "sqlite native"
POSTGRES, POSTGRES_NATIVE = "postgresql", "postgresql native"
SHAPES: Final = (SQLITE, SQLITE_NATIVE, POSTGRES, POSTGRES_NATIVE)


@dataclass(frozen=True, slots=True)
class Running:
    """Replicas of one shape that serve."""

    replicas: Sequence[Ours]
    postgres: DurablePostgres | None

    @property
    def loaded(self) -> Loaded:
        """How to load them, all in turn."""
        server = [each.process_id for each in self.replicas]
        database = {} if self.postgres is None else {"database": self.postgres.process_ids}
        return Loaded(
            targets=[each.target for each in self.replicas],
            token=self.replicas[0].token,
            process_ids={"server": server, **database},
        )


@contextmanager
def running(
    shapes: Sequence[str], *, replicas: int = 1, directory: Directory | None = None
) -> Iterator[dict[str, Running]]:
    """Start these shapes, each on a database of its own, and end them; what is not installed is left out."""
    with TemporaryDirectory(prefix="smarketing-bench-") as folder, ExitStack() as stack:
        data = Path(folder)
        # PostgreSQL may run as another account, which has to get to its own folder below.
        data.chmod(0o711)
        postgres = None
        if any(shape.startswith(POSTGRES) for shape in shapes):
            postgres = stack.enter_context(durable_postgres(data / "postgres"))
        house = _House(data, postgres, replicas, directory, stack)
        wanted = [each for each in shapes if not each.endswith("native") or find_spec("pygrpc_native")]
        started = {shape: house.started(shape) for shape in wanted}
        for each in started.values():
            for replica in each.replicas:
                if not replica.token:
                    replica.prepare()
        yield started


@dataclass(frozen=True, slots=True)
class _House:
    data: Path
    postgres: DurablePostgres | None
    replicas: int
    directory: Directory | None
    stack: ExitStack

    def started(self, shape: str) -> Running:
        """Start the replicas of a shape; they end with the stack."""
        engine = GrpcEngine.NATIVE if shape.endswith("native") else GrpcEngine.GRPCIO
        on_postgres = self.postgres if shape.startswith(POSTGRES) else None
        name = shape.replace(" ", "_")
        url = "" if on_postgres is None else on_postgres.database(name)
        started = []
        for _ in range(self.replicas):
            # One folder for all: replicas share keys and tokens.
            ours = Ours(self.data / name, engine, database_url=url, directory=self.directory)
            self.stack.callback(ours.stop)
            started.append(ours)
            if self.replicas > 1:
                # The first makes the keys and the schema that the others find.
                ours.prepare()
        return Running(started, on_postgres)
