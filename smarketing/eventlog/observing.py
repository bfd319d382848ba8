"""Who is told what a consumer does."""

from typing import Protocol

__all__ = ["ConsumerObserver", "UnobservedConsumer"]


class ConsumerObserver(Protocol):
    """Is told what a consumer does, on the event loop."""

    def events_handled(self, consumer: str, outcome: str, count: int) -> None:
        """So many events were `applied`, met again as `duplicate`, or another partition's: `passed_over`."""

    def batch_applied(self, consumer: str, delay_seconds: float) -> None:
        """A batch was committed, so long after its oldest event had been recorded."""

    def gap_met(self, consumer: str) -> None:
        """Events were missing and are asked for."""

    def log_regressed(self, consumer: str) -> None:
        """The log went back, and the consumer stops."""


class UnobservedConsumer:
    """Notes nothing."""

    def events_handled(self, consumer: str, outcome: str, count: int) -> None:
        """Do nothing."""

    def batch_applied(self, consumer: str, delay_seconds: float) -> None:
        """Do nothing."""

    def gap_met(self, consumer: str) -> None:
        """Do nothing."""

    def log_regressed(self, consumer: str) -> None:
        """Do nothing."""
