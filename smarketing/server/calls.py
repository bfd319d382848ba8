"""The call being answered, for the code that answers it."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smarketing import wallclock
from smarketing.server.auth import Caller
from smarketing.sql.tenancy import confine_to

if TYPE_CHECKING:
    import grpc.aio

__all__ = ["CurrentCall", "current_call", "enter_call"]


@dataclass(slots=True, kw_only=True)
class CurrentCall:
    """What the edge knows of a call once it let it in.

    In a request stream `tenant` and `resource` are those of the newest message that names one.
    """

    method: str
    """`/package.Service/Method`."""
    caller: Caller
    tenant: str
    """Id of the tenant the request is about, `-` for all; the caller's own where the request names none."""
    resource: str
    """The resource name that the request is about, as its policy line says where to find it."""
    deadline: float
    """On the monotonic clock, in seconds; infinite for streams without one."""
    traceparent: str
    """W3C trace context as the client sent it; empty when it sent none, or nonsense."""
    context: "grpc.aio.ServicerContext[Any, Any]"

    def remaining_seconds(self) -> float:
        """Return how long the caller still waits; never negative."""
        return max(0.0, self.deadline - wallclock.monotonic())


_current: ContextVar[CurrentCall] = ContextVar("smarketing_current_call")


def current_call() -> CurrentCall:
    """Return the call that this task answers.

    Raises:
        LookupError: outside of a call; there is nobody to act for.
    """
    return _current.get()


def enter_call(call: CurrentCall) -> None:
    """Make `call` the one that this task, and all it starts, answers, confined to the caller's tenant."""
    _current.set(call)
    confine_to(call.caller.tenant)
