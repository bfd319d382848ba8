"""What the kernel says of processes that are measured: processor time and memory, asked from outside."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB: Final = 1024.0


def cpu_seconds(process_ids: Iterable[int]) -> float:
    """Return the processor time of processes that live, in steps of a hundredth of a second."""
    return sum(map(_cpu_seconds, process_ids))


def memory_mib(process_ids: Iterable[int]) -> float:
    """Return the memory that processes hold; what several of them share is counted for each."""
    return sum(map(_memory_mib, process_ids))


def with_children(process_id: int) -> list[int]:
    """Return a process and those that it started and that live."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children")
    return [process_id, *map(int, children.read_text().split())] if children.exists() else [process_id]


def exact_cpu_seconds(process_id: int) -> float:
    """Return the processor time of a process' living threads to the nanosecond, for a call by itself."""
    spent = 0
    for thread in Path(f"/proc/{process_id}/task").iterdir():
        try:
            spent += int((thread / "schedstat").read_text().split()[0])
        except OSError:  # it ended meanwhile
            continue
    return spent / 1e9


def _cpu_seconds(process_id: int) -> float:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mib(process_id: int) -> float:
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0.0
    kib = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(kib[0]) / _KIB_PER_MIB if kib else 0.0
