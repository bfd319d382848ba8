"""One served method, with everything about it looked up beforehand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message

from smarketing.server.policy import Allow, Resource
from smarketing.server.telemetry import MethodMeter

__all__ = ["CallLimits", "Method"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How large and how long a call may be."""

    request_bytes: int = 1024 * 1024
    default_deadline: timedelta = timedelta(seconds=10)
    """For unary calls whose client sets none."""
    longest_deadline: timedelta = timedelta(seconds=30)
    """For unary calls whose client sets a longer one."""
    stream_write: timedelta = timedelta(seconds=30)
    """A reader that takes nothing for so long is let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method as the edge serves it."""

    name: str
    """`/package.Service/Method`."""
    line: Allow
    resource: Resource
    resource_field: str
    """Where in the request `resource` stands, for refusals."""
    parse: Callable[[bytes], Message]
    serialize: Callable[[Any], bytes]
    meter: MethodMeter
