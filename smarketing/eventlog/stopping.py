"""Why a consumer cannot go on, however long it waits."""


class ConsumerStopped(Exception):
    """The consumer cannot go on by itself; everything up to `position` is done and stays so."""

    def __init__(self, consumer: str, position: int, why: str) -> None:
        super().__init__(f"consumer {consumer} stopped behind position {position}: {why}")
        self.consumer = consumer
        self.position = position


class UnknownPayload(ConsumerStopped):
    """The next event is of a type that this build does not know and may not skip: start a newer build."""


class PoisonEvent(ConsumerStopped):
    """The next event failed at every attempt: mend its handling.

    One that ended the process at every attempt also needs `reset_checkpoint`, lest it does so again.
    """


class UnfillableGap(ConsumerStopped):
    """The log itself did not return the event behind `position`: it breaks its own promise."""
