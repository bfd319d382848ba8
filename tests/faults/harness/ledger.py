"""What the load asked for and what it was told, in a file that outlives whoever wrote it.

Each call writes `invoke` before it goes out and afterwards `ok`, `fail` or `info`: what was `ok` must be
found, what failed must not, and of `info` nobody knows until the same request was asked for again.
"""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from smarketing import wallclock

_SYNC_SECONDS = 0.05


@dataclass(slots=True)
class Operation:
    """One request, whatever it took to get an answer to it."""

    request_id: str
    kind: str
    key: str
    """What it is about; of a submission its external id."""
    digest: str
    """Of the request's content."""
    invoked: int = 0
    answers: list[str] = field(default_factory=list)
    """A digest for each time it was answered `ok`."""
    handoff: str = ""
    """The handoff that the answer names."""
    refusals: list[str] = field(default_factory=list)
    """Reasons for which it failed."""
    unknown: list[str] = field(default_factory=list)
    """Codes after which nobody knows."""
    last_refused: bool = False

    @property
    def outcome(self) -> str:
        """`ok` when any attempt was; `fail` when the last was refused, which tells of all; else `info`."""
        if self.answers:
            return "ok"
        attempts = len(self.refusals) + len(self.unknown)
        return "fail" if self.last_refused and self.invoked == attempts else "info"


def digest_of(content: bytes) -> str:
    """Return what tells contents apart."""
    return hashlib.sha256(content).hexdigest()[:24]


class Ledger:
    """Appends to the file, which a thread makes durable a batch at a time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lines: list[bytes] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sync, name="ledger")
        self._thread.start()
        self.under_way = 0
        """Calls that went out and have not come back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._file.close()

    def invoke(self, request_id: str, kind: str, key: str, digest: str) -> None:
        """Write that a call is about to go out."""
        self.under_way += 1
        self._append({"what": "invoke", "id": request_id, "kind": kind, "key": key, "digest": digest})

    def ok(self, request_id: str, answer: bytes, handoff: str) -> None:
        """Write that it was answered."""
        self._back({"what": "ok", "id": request_id, "answer": digest_of(answer), "handoff": handoff})

    def fail(self, request_id: str, reason: str) -> None:
        """Write that it was refused: it must have had no effect."""
        self._back({"what": "fail", "id": request_id, "reason": reason})

    def info(self, request_id: str, reason: str) -> None:
        """Write that nobody knows what became of it."""
        self._back({"what": "info", "id": request_id, "reason": reason})

    def _back(self, entry: dict[str, str]) -> None:
        self.under_way -= 1
        self._append(entry)

    def _append(self, entry: dict[str, str]) -> None:
        stamped = {**entry, "at": wallclock.utc_now(), "mono": wallclock.monotonic()}
        with self._lock:
            self._lines.append(orjson.dumps(stamped, option=orjson.OPT_APPEND_NEWLINE))

    def _sync(self) -> None:
        while not self._ended.wait(_SYNC_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            self._file.write(b"".join(lines))
            os.fsync(self._file.fileno())


def operations(path: Path) -> dict[str, Operation]:
    """Return every request of a ledger by its id, in the order in which they first went out."""
    found: dict[str, Operation] = {}
    for entry in _entries(path):
        request_id = entry["id"]
        match entry["what"]:
            case "invoke":
                new = Operation(request_id, entry["kind"], entry["key"], entry["digest"])
                found.setdefault(request_id, new).invoked += 1
            case "ok":
                found[request_id].answers.append(entry["answer"])
                found[request_id].handoff = entry["handoff"]
            case "fail":
                found[request_id].refusals.append(entry["reason"])
                found[request_id].last_refused = True
            case _:
                found[request_id].unknown.append(entry["reason"])
                found[request_id].last_refused = False
    return found


def summary(found: dict[str, Operation]) -> Counter[str]:
    """Count requests by how they ended."""
    return Counter(operation.outcome for operation in found.values())


def _entries(path: Path) -> Iterator[dict[str, str]]:
    for line in path.read_bytes().splitlines():
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            return  # the writer died within its last line
