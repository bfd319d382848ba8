"""Chat systems, through the library that knows their addresses; installed with the extra `chat`."""

import asyncio
import importlib
import importlib.util
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from smarketing.delivery.addresses import AddressForbidden, AddressPolicy, resolve
from smarketing.delivery.queue import Attempted, DueMessage

__all__ = ["ChatCarrier", "check_chat_address", "is_chat_installed"]

_HOSTED: Final = frozenset({"discord", "gchat", "msteams", "slack", "tgram", "wxteams", "line", "zulip"})
"""Their hosts are fixed by the library; nothing in the address chooses one."""
_OWN_HOST: Final = frozenset({"mmosts", "rockets", "nctalks", "workflows"})
"""The address names a host, always reached over TLS: the same guard as for webhooks."""
_OWN_HOST_PLAIN: Final = {"mmost": "mmosts"}
"""Their plain forms, for this machine alone."""


def is_chat_installed() -> bool:
    """Tell whether the library is there."""
    return importlib.util.find_spec("apprise") is not None


async def check_chat_address(url: str, policy: AddressPolicy) -> None:
    """Refuse an address of a chat system that may not be reached.

    The library has many more ways to send, some of which run programs or reach any host: only those named
    here are taken.

    Raises:
        AddressForbidden: saying why, without the address in the words.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AddressForbidden("", "this is no address") from None
    if parts.scheme in _HOSTED:
        await _check_form(url)
        return
    plain = parts.scheme in _OWN_HOST_PLAIN and policy.allow_loopback
    if parts.scheme not in _OWN_HOST and not plain:
        known = ", ".join(sorted(_HOSTED | _OWN_HOST))
        raise AddressForbidden("", f"an address of a chat system begins with one of: {known}")
    web = f"{'http' if plain else 'https'}://{host or ''}{f':{port}' if port else ''}"
    try:
        await resolve(web, policy)
    except AddressForbidden as error:
        raise AddressForbidden("", error.why) from None
    await _check_form(url)


async def _check_form(url: str) -> None:
    if is_chat_installed() and not await asyncio.to_thread(_understood, url):
        raise AddressForbidden("", "the chat system's address is not complete")


def _understood(url: str) -> bool:
    return bool(_library().Apprise().add(url))


def _library() -> Any:
    # Late: importing it loads every system it knows, and who sends no chat needs none of that.
    return importlib.import_module("apprise")


class ChatCarrier:
    """Sends by the library, in a thread of its own: it knows no asyncio."""

    def __init__(self, policy: AddressPolicy, *, timeout_seconds: float = 15.0) -> None:
        self._policy = policy
        self._timeout_seconds = timeout_seconds

    async def carry(self, message: DueMessage, address: str, *, now: datetime) -> Attempted:
        """Post a message; its id stands at its end, so that a repetition is known by it."""
        del now
        problem = ""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await check_chat_address(address, self._policy)
                if not await asyncio.to_thread(_notify, address, message):
                    problem = "the chat system refused it"
        except AddressForbidden as error:
            problem = error.why
        except TimeoutError:
            problem = "no answer in time"
        except Exception as error:  # noqa: BLE001 -- whatever the library makes of an address must not stop the queue
            problem = type(error).__name__
        return Attempted(message=message, delivered=not problem, problem=problem)


def _notify(address: str, message: DueMessage) -> bool:
    content = orjson.loads(message.payload)
    library = _library()
    room = library.Apprise()
    if not room.add(address):
        return False
    body = f"{content['text']}\n[{message.message_id}]"
    return bool(room.notify(body=body, title=content["subject"], body_format=library.NotifyFormat.TEXT))
