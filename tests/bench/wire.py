"""As little of a gRPC client as makes unary calls: it leaves the machine to the server that is measured.

grpcio's own client takes as much processor time a call as its server, so on two processors it would be
half of what is measured. This one knows one method, sends ready messages, and of an answer reads how the
call ended. It speaks HTTP/2 as RFC 9113 and RFC 7541 have it, to servers that it trusts.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from itertools import product
from struct import Struct
from typing import Final, TypeAlias, cast

OK: Final = 0
DEADLINE_EXCEEDED: Final = 4
RESOURCE_EXHAUSTED: Final = 8
UNAVAILABLE: Final = 14
UNANSWERED: Final = -1

Ended: TypeAlias = Callable[[int, int, bytes], None]
"""Told of each call by its number: the status it ended with, and the answer's bytes."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_FRAME: Final = Struct(">IBI")
"""Length and kind in one number, flags, stream."""
_FRAME_BYTES: Final = 9
_SETTING: Final = Struct(">HI")
_NUMBER: Final = Struct(">I")
_TABLE_SIZE, _PUSH, _STREAMS, _STREAM_WINDOW = 1, 2, 3, 4
_WINDOW_AT_FIRST: Final = 65_535
_LARGEST: Final = 2**31 - 1
_STREAMS_AT_FIRST: Final = 100
_MESSAGE_HEAD: Final = 5
"""Bytes before a message: whether it is compressed, and its length."""
_INDEXED: Final = 0x80
_FIRST_OF_OURS: Final = 62
"""Where the table of headers that both sides remember begins, behind the 61 that everybody knows."""


class Calls(asyncio.Protocol):
    """One connection. `send` puts a call in line, `flush` hands everything in line to the network."""

    def __init__(self, authority: str, method: str, token: str, ended: Ended, *, seconds: int = 10) -> None:
        own = {
            ":path": method,
            ":authority": authority,
            "content-type": "application/grpc",
            "te": "trailers",
            "grpc-timeout": f"{seconds}S",
            **({"authorization": f"Bearer {token}"} if token else {}),
        }
        # The first call teaches the server these headers; every later one names them by their place.
        self._first_head = b"\x83\x86" + b"".join(map(_taught, own, own.values()))
        self._head = b"\x83\x86" + bytes(_INDEXED | _FIRST_OF_OURS + nth for nth in reversed(range(len(own))))
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._out: list[bytes] = []
        self._line: deque[tuple[int, bytes]] = deque()
        self._running: dict[int, int] = {}
        self._answers: dict[int, bytes] = {}
        self._stream = 1
        self._room = _WINDOW_AT_FIRST
        self._most = _STREAMS_AT_FIRST
        self._left = b""

    async def opened(self) -> None:
        """Wait until the server has said what it takes."""
        await self._ready

    def send(self, number: int, message: bytes) -> None:
        """Put a call in line."""
        self._line.append((number, message))

    def flush(self) -> None:
        """Send as many of those in line as the server takes at present."""
        while self._line and len(self._running) < self._most and len(self._line[0][1]) < self._room:
            number, message = self._line.popleft()
            head, self._first_head = self._first_head or self._head, b""
            length = _MESSAGE_HEAD + len(message)
            self._out += (
                _FRAME.pack(len(head) << 8 | _HEADERS, _END_HEADERS, self._stream),
                head,
                _FRAME.pack(length << 8 | _DATA, _END_STREAM, self._stream),
                b"\0",
                _NUMBER.pack(len(message)),
                message,
            )
            self._running[self._stream] = number
            self._room -= length
            self._stream += 2
        if self._out and self._transport is not None:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet: nothing is remembered of the server's headers, and all it answers is taken at once."""
        self._transport = cast("asyncio.Transport", transport)
        ours = ((_TABLE_SIZE, 0), (_PUSH, 0), (_STREAM_WINDOW, _LARGEST))
        settings = b"".join(_SETTING.pack(*each) for each in ours)
        self._out += (_PREFACE, _FRAME.pack(len(settings) << 8 | _SETTINGS, 0, 0), settings)
        self._out.append(_FRAME.pack(4 << 8 | _WINDOW, 0, 0) + _NUMBER.pack(_LARGEST - _WINDOW_AT_FIRST))
        self.flush()

    def connection_lost(self, _error: Exception | None) -> None:
        """Answer what was not: nobody else will."""
        for number in [*self._running.values(), *(number for number, _ in self._line)]:
            self._ended(number, UNAVAILABLE, b"")
        self._running.clear()
        self._line.clear()
        if not self._ready.done():
            self._ready.set_exception(ConnectionError("the server hung up at once"))

    def data_received(self, data: bytes) -> None:
        """Take whole frames, and keep what is left of one for the next time."""
        data = self._left + data
        at, end = 0, len(data)
        while end - at >= _FRAME_BYTES:
            head, flags, stream = _FRAME.unpack_from(data, at)
            behind = at + _FRAME_BYTES + (head >> 8)
            if behind > end:
                break
            self._take(head & 0xFF, flags, stream, data[at + _FRAME_BYTES : behind])
            at = behind
        self._left = data[at:]
        self.flush()

    def _take(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        if kind == _DATA:
            self._answers[stream] = self._answers.get(stream, b"") + content
        elif kind == _HEADERS and flags & _END_STREAM:
            self._end(stream, _status_of(content))
        elif kind == _RESET:
            self._end(stream, UNAVAILABLE)
        elif kind == _WINDOW and stream == 0:
            self._room += _NUMBER.unpack(content)[0]
        elif kind == _PING and not flags & _ACK:
            self._out.append(_FRAME.pack(8 << 8 | _PING, _ACK, 0) + content)
        elif kind == _SETTINGS and not flags & _ACK:
            self._out.append(_FRAME.pack(_SETTINGS, _ACK, 0))
            theirs = dict(cast("Iterator[tuple[int, int]]", _SETTING.iter_unpack(content)))
            self._most = theirs.get(_STREAMS, self._most)
            if not self._ready.done():
                self._ready.set_result(None)

    def _end(self, stream: int, status: int) -> None:
        number = self._running.pop(stream, None)
        if number is not None:
            self._ended(number, status, self._answers.pop(stream, b"")[_MESSAGE_HEAD:])


async def connected(address: str, method: str, token: str, ended: Ended) -> Calls:
    """Return a connection to `host:port` that is ready for calls."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, calls = await loop.create_connection(
        lambda: Calls(address, method, token, ended), host or "127.0.0.1", int(port)
    )
    await calls.opened()
    return calls


# Headers.


def _taught(name: str, value: str) -> bytes:
    """Return a header as a literal that the server adds to its table."""
    return b"\x40" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) < 0x7F:
        return bytes((len(encoded),)) + encoded
    left, rest = len(encoded) - 0x7F, b""
    while left >= 0x80:
        rest += bytes((left & 0x7F | 0x80,))
        left >>= 7
    return b"\x7f" + rest + bytes((left,)) + encoded


_CODES: Final = {
    "-": "010110",
    "a": "00011",
    "c": "00100",
    "g": "100110",
    "p": "101011",
    "r": "101100",
    "s": "01000",
    "t": "01001",
    "u": "101101",
    # Digits: 0 to 2 in five bits, the others in six.
    **{str(digit): f"{digit:05b}" for digit in range(3)},
    **{str(digit): f"{0x16 + digit:06b}" for digit in range(3, 10)},
}
"""The part of the Huffman code of headers that the name and the number of a status need."""


def _coded(text: str) -> bytes:
    bits = "".join(map(_CODES.__getitem__, text))
    bits += "1" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8)
    return bytes((0x80 | len(packed),)) + packed


_STATUSES: Final = {
    name("grpc-status") + value(str(code)): code
    for code in range(17)
    for name, value in product((_text, _coded), repeat=2)
}
"""How a server may write each status: it was told to write everything out."""

_known: dict[bytes, int] = {}
"""Blocks of headers seen before; those of calls that ended well are all alike."""


def _status_of(block: bytes) -> int:
    status = _known.get(block)
    if status is None:
        status = next((code for written, code in _STATUSES.items() if written in block), UNANSWERED)
        if len(_known) < 1000:
            _known[block] = status
    return status
