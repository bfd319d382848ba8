"""Named places in the code at which a test makes the process fail; nothing at all without `FAILPOINTS`.

`FAILPOINTS` holds entries separated by `;`, each `[service/]place=action[@count][%chance]`:

    writer.before_commit=exit@7            ends the process, as SIGKILL does, at the seventh visit
    sla/consumer.after_apply=exit%0.02     the same at one visit in fifty, in the service `sla` alone
    sender.after_delivery=sleep:0.5        stands still for so many seconds
    writer.after_commit=pause:hold@3       stands still while the file `hold` exists, and makes `hold.reached`
    outbox.after_append=raise              raises `FailpointReached`

Every process reads it once, when it starts, and says on standard error that it is set.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

__all__ = ["PLACES", "FailpointReached", "failpoint", "planned"]

PLACES: Final = {
    "outbox.after_append": "events are inserted, the rest of the transaction is not",
    "writer.before_commit": "everything of a transaction is written, nothing committed",
    "writer.after_commit": "a transaction is committed, nobody answered",
    "consumer.after_apply": "events of another log are applied, the checkpoint is not written",
    "sender.after_delivery": "a receiver said yes, which is not recorded",
}
"""Every place, and what is true there."""

_PAUSE_POLL_SECONDS: Final = 0.005


class FailpointReached(RuntimeError):
    """What the action `raise` raises."""


_Action = Callable[[], None]
_Plan = Mapping[str, _Action]


def planned(text: str, service: str) -> dict[str, _Action] | None:
    """Return what a value of the variable makes of a process of this service; None for nothing.

    Raises:
        ValueError: naming the entry that cannot be read.
    """
    plan: dict[str, _Action] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        target, _, action = entry.partition("=")
        owner, _, place = target.rpartition("/")
        if place not in PLACES:
            raise ValueError(f"FAILPOINTS: {entry!r} names no place; there are {', '.join(PLACES)}")
        if owner in ("", service):
            plan[place] = _counted(entry, action)
    return plan or None


def _counted(entry: str, action: str) -> _Action:
    action, _, chance = action.partition("%")
    action, _, count = action.partition("@")
    act = _action(entry, *action.partition(":")[::2])
    wanted = _number(entry, count) if count else None
    share = _number(entry, chance) if chance else None
    visits = 0

    def visit() -> None:
        nonlocal visits
        visits += 1
        if wanted is not None and visits != wanted:
            return
        # Chance decides when a test fails, never what is secret.
        if share is not None and random.random() >= share:  # noqa: S311
            return
        act()

    return visit


def _action(entry: str, name: str, argument: str) -> _Action:
    match name:
        case "exit":
            return lambda: os.kill(os.getpid(), signal.SIGKILL)
        case "sleep":
            seconds = _number(entry, argument)
            return lambda: time.sleep(seconds)
        case "pause":
            return lambda: _pause(Path(argument))
        case "raise":
            return _raise
    raise ValueError(f"FAILPOINTS: {entry!r} has no action: exit, sleep:SECONDS, pause:FILE or raise")


def _number(entry: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"FAILPOINTS: {entry!r} needs a number and has {text!r}") from None


def _pause(file: Path) -> None:
    file.with_name(f"{file.name}.reached").touch()
    while file.exists():
        time.sleep(_PAUSE_POLL_SECONDS)


def _raise() -> None:
    raise FailpointReached


def _of_this_process() -> _Plan | None:
    text = os.environ.get("FAILPOINTS", "")
    if not text:
        return None
    # `python -m services.supervised services.leads`: the last one is what runs.
    modules = [word for word in sys.orig_argv if word.startswith("services.")]
    plan = planned(text, modules[-1].removeprefix("services.") if modules else "")
    if plan is not None:
        # Before there is any logging: whoever finds this in production has something to take away.
        sys.stderr.write(f"FAILPOINTS is set, this process fails on purpose at: {', '.join(sorted(plan))}\n")
    return plan


# Read at import, so that a place which is visited a thousand times a second costs one comparison.
_plan = _of_this_process()


def failpoint(place: str) -> None:
    """Do what was planned for this place, which is nothing outside of fault tests."""
    if _plan is not None and place in _plan:
        _plan[place]()
