"""Real NATS servers on loopback, one or a cluster, with their stores in a folder of the test's."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

BINARY = Path(sys.executable).parent / "nats-server"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]


def listening(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when a server takes connections."""
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-2000:]) from None
            time.sleep(0.01)  # another process begins to listen, and tells nobody
        else:
            return


class NatsServer:
    """One server; it may be killed, paused and started again on its port, with or without its store."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "one",
        ports: Sequence[int] = (),
        routes: Sequence[int] = (),
        synced: bool = True,
        max_payload: int = 1024 * 1024,
        advertised: int = 0,
        within: Sequence[str] = (),
    ) -> None:
        """Routes are to the cluster ports of others, who learn of `advertised` where that is another.

        `within` is a command that runs the server, as one that gives it a disk of its own.
        """
        self.name = name
        self.store = folder / name
        self.port, self.monitor_port, self.cluster_port = ports or free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [*within, str(BINARY), "-c"]
        self._config = folder / f"{name}.conf"
        self._log = folder / f"{name}.log"
        cluster = ""
        if routes:
            urls = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
            told = f'advertise: "127.0.0.1:{advertised}",' if advertised else ""
            listen = f'listen: "127.0.0.1:{self.cluster_port}"'
            cluster = f"cluster {{ name: test, {told} {listen}, routes: [{urls}] }}"
        self._config.write_text(
            f"""
            server_name: {name}
            listen: "127.0.0.1:{self.port}"
            http: "127.0.0.1:{self.monitor_port}"
            max_payload: {max_payload}
            jetstream {{ store_dir: "{self.store}", max_file_store: 512MB, max_memory_store: 16MB
              {"sync_interval: always" if synced else ""} }}
            {cluster}
            """,
            encoding="utf-8",
        )

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor(self) -> str:
        """Where it says how it is."""
        return f"http://127.0.0.1:{self.monitor_port}"

    @property
    def pid(self) -> int:
        """The process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; return when it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*self._command, str(self._config)], stdout=log, stderr=log)
        listening(self.port, self._process, self._log)

    def kill(self) -> None:
        """End it as a power cut ends a process."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let it do nothing, and its connections stay."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(timeout=20)


def cluster(folder: Path, size: int = 3) -> list[NatsServer]:
    """Return the servers of a cluster, not started."""
    ports = free_ports(3 * size)
    routes = ports[2::3]
    return [
        NatsServer(folder, name=f"node{n}", ports=ports[3 * n : 3 * n + 3], routes=routes)
        for n in range(size)
    ]
