"""A mail server on loopback that keeps what it was sent, refuses as told, and can go away and come back."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail, as it came over the wire."""

    recipients: tuple[str, ...]
    was_encrypted: bool
    message: EmailMessage

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"]).strip()

    @property
    def text(self) -> str:
        return str(self.message.get_content())


@dataclass
class MailServer:
    """`answer` maps the number of the mail to a reply; `login` is the one that is let in.

    With `dies_after_taking` the connection ends once a mail was taken, before anybody hears of it.
    """

    answer: Callable[[int], str] = lambda _number: "250 OK"
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    dies_after_taking: bool = False
    port: int = 0
    received: list[Mail] = field(default_factory=list)
    seen: int = 0
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> "MailServer":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the port of the time before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hear nobody any more."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- aiosmtpd's name
        self.seen += 1
        reply = self.answer(self.seen)
        if reply.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            message = message_from_bytes(content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.received.append(
                Mail(
                    recipients=tuple(envelope.rcpt_tos),
                    was_encrypted=session.ssl is not None,
                    message=message,
                )
            )
        if self.dies_after_taking:
            server.transport.abort()
        return reply

    def _session(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.test",
            tls_context=self.tls,
            require_starttls=self.tls is not None,
            auth_required=self.login is not None,
            authenticator=self._authenticate if self.login else None,
            enable_SMTPUTF8=True,
        )

    def _authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _how: str, offered: Any
    ) -> AuthResult:
        assert isinstance(offered, LoginPassword)
        given = (offered.login.decode(), offered.password.decode())
        return AuthResult(success=given == self.login)
