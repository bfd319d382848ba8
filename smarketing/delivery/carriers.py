"""By which way a message goes to somebody: an endpoint's `url` is an address, or names a way to a sealed one.

A tenant's webhook has its address in `url`. A person's address is a personal datum: `url` says only by which
way it goes (`email:`), and the address is sealed as signing secrets are.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

import orjson

from smarketing.delivery.queue import Attempted, DueMessage


class Way(StrEnum):
    """How a person is told; the value is what stands in an endpoint's `url`."""

    EMAIL = "email:"
    WEBHOOK = "webhook:"
    CHAT = "chat:"


WAYS: Final = frozenset(way.value for way in Way)


class Carrier(Protocol):
    """Takes a message to a sealed address that was opened."""

    async def carry(self, message: DueMessage, address: str, *, now: datetime) -> Attempted:
        """Try once and say what came of it; never raises for what the other side does.

        What it says of a failure never holds the address.
        """


def personal_webhook(url: str, secret: str) -> str:
    """Return address and signing secret of a person's webhook as one text to seal."""
    return orjson.dumps([url, secret]).decode()


def personal_webhook_of(sealed: str) -> tuple[str, str]:
    """Return address and signing secret that `personal_webhook` joined."""
    url, secret = orjson.loads(sealed)
    return str(url), str(secret)
