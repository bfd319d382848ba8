"""One question to a vendor's API: at the address that was checked, within bounds, followed nowhere."""

import asyncio
from typing import Final

import httpx

from smarketing.delivery.addresses import AddressForbidden, AddressPolicy, resolve

__all__ = ["FetchFailed", "fetch"]

_LARGEST_ANSWER_BYTES: Final = 1024 * 1024
_FINAL: Final = frozenset({400, 404, 410})


class FetchFailed(Exception):
    """Nothing came back: `problem` says why, without content, and `final` whether asking again is idle."""

    def __init__(self, problem: str, *, final: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.final = final


async def fetch(
    client: httpx.AsyncClient, url: str, *, token: str, policy: AddressPolicy, timeout_seconds: float = 10.0
) -> bytes:
    """Return what is behind a URL, asked for with a bearer token.

    Raises:
        FetchFailed: the address is forbidden, nobody answered in time, or not with success.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            target = await resolve(url, policy)
            parsed = httpx.URL(url)
            headers = {
                "accept": "application/json",
                # What is not packed cannot unpack to a thousand times its size.
                "accept-encoding": "identity",
                "host": parsed.netloc.decode("ascii"),
                "user-agent": "smarketing-intake/1",
            }
            if token:
                headers["authorization"] = f"Bearer {token}"
            return await _answer(
                client, parsed.copy_with(host=str(target.address)), headers, server_name=target.host
            )
    except AddressForbidden as forbidden:
        raise FetchFailed(forbidden.why, final=True) from None
    except TimeoutError:
        raise FetchFailed("no answer in time") from None
    except httpx.HTTPError as error:
        raise FetchFailed(type(error).__name__) from None


async def _answer(
    client: httpx.AsyncClient, url: httpx.URL, headers: dict[str, str], *, server_name: str
) -> bytes:
    # Connected by address, verified by name: the certificate must still be the host's.
    extensions = {"sni_hostname": server_name}
    async with client.stream("GET", url, headers=headers, extensions=extensions) as response:
        if not 200 <= response.status_code < 300:
            status = response.status_code
            raise FetchFailed(f"answered {status}", final=status in _FINAL)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchFailed("answered in an encoding that was not asked for", final=True)
        received = bytearray()
        async for chunk in response.aiter_raw():
            received += chunk
            if len(received) > _LARGEST_ANSWER_BYTES:
                raise FetchFailed("answered more than 1 MiB", final=True)
        return bytes(received)
