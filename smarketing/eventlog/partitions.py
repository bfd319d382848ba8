"""Divides a followed log among replicas: a partition is of some tenants, and one replica follows it."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

__all__ = ["WHOLE", "Partition", "partitions"]


@dataclass(frozen=True, slots=True)
class Partition:
    """One of `count` parts of a log: the events of tenants whose hash falls on its `number`, from 0 on."""

    number: int = 0
    count: int = 1

    def has(self, tenant: str) -> bool:
        """Whether events of a tenant, or of `tenants/-`, are in this partition."""
        return self.count == 1 or _hash_of(tenant) % self.count == self.number

    def member_of(self, group: str) -> str:
        """Return under which name the consumer of this partition keeps its place in a group."""
        return group if self.count == 1 else f"{group}.{self.number}of{self.count}"

    def named_on_the_bus(self, group: str) -> str:
        """Return what the consumer of this partition is called on the bus: alike in every division."""
        return group if self.count == 1 else f"{group}.{self.number}"


WHOLE: Final = Partition()
"""The log undivided."""


def partitions(count: int) -> tuple[Partition, ...]:
    """Return all parts of a log divided so."""
    return tuple(Partition(number, count) for number in range(count))


@lru_cache(maxsize=100_000)
def _hash_of(tenant: str) -> int:
    # Not the interpreter's own hash, which differs from process to process.
    return int.from_bytes(hashlib.blake2b(tenant.encode(), digest_size=8).digest())
