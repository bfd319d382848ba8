"""Ends connections to a server that took a question and says nothing, longer than any answer may take.

The server itself ends a statement that takes too long, and the operating system a connection whose peer is
gone. Between them lies a peer that acknowledges every byte and answers none, as a proxy whose own far end
is dead: who asked it would wait for ever.
"""

import os
import socket
import struct
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Engine, event

_log = structlog.get_logger(__name__)

_LOOKS_EVERY_SECONDS: Final = 1.0
_INFO: Final = struct.Struct("=8B12I")
_LAST_SENT: Final = 8 + 9
_LAST_RECEIVED: Final = 8 + 11
_WAITS: Final = "ACTIVE"
"""What the driver calls a connection on which something was asked and not answered to its end."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A second handle of a connection's socket, so that its number is nobody else's meanwhile."""

    connection: Any
    """The driver's."""
    socket: socket.socket
    patience: timedelta

    def is_silent(self) -> bool:
        """Whether an answer is waited for, and nothing was sent or received for long.

        Which of the two was last does not tell: a question that follows an answer at once went out, by the
        system's clock, in the moment in which that came in.
        """
        if self.connection.info.transaction_status.name != _WAITS or self._is_unread():
            return False
        info = _INFO.unpack(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size))
        quiet = min(info[_LAST_SENT], info[_LAST_RECEIVED])
        return bool(quiet > self.patience / timedelta(milliseconds=1))

    def _is_unread(self) -> bool:
        """Whether something came in that nobody looked at yet, as where this process was stopped."""
        try:
            self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True


class SilenceWatch:
    """Watches the connections of engines over TCP, where the system tells when they spoke last."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._watched: dict[int, _Watched] = {}
        self._changing = threading.Lock()
        self._looking = False

    def over(self, engine: Engine) -> None:
        """Watch the connections that an engine makes from now on, until it closes them."""
        event.listen(engine, "connect", self._attend)
        event.listen(engine, "close", self._dismiss)

    def be_patient(self, connection: Any, patience: timedelta) -> None:
        """Let the server be silent for so long on a connection of the driver's that is watched."""
        with self._changing:
            watched = self._watched.get(id(connection))
            if watched is not None:
                self._watched[id(connection)] = replace(watched, patience=patience)

    def _attend(self, connection: Any, _record: object) -> None:
        if not hasattr(socket, "TCP_INFO"):
            return  # this system does not tell
        duplicate = socket.socket(fileno=os.dup(connection.fileno()))
        if duplicate.family not in (socket.AF_INET, socket.AF_INET6):
            duplicate.close()  # no road lies between
            return
        with self._changing:
            self._watched[id(connection)] = _Watched(connection, duplicate, self._patience)
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look, name="silence", daemon=True).start()

    def _dismiss(self, connection: Any, _record: object) -> None:
        with self._changing:
            watched = self._watched.pop(id(connection), None)
        if watched is not None:
            watched.socket.close()

    def _look(self) -> None:
        """Look at all of them again and again, until there are none."""
        pause = threading.Event()
        while True:
            pause.wait(min(_LOOKS_EVERY_SECONDS, self._patience.total_seconds() / 2))
            with self._changing:
                if not self._watched:
                    self._looking = False
                    return
                for watched in self._watched.values():
                    self._end_if_silent(watched)

    @staticmethod
    def _end_if_silent(watched: _Watched) -> None:
        try:
            if watched.is_silent():
                _log.warning("database_silent", patience_seconds=watched.patience.total_seconds())
                watched.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # its peer closed it in this moment, and who waits for it learns that
