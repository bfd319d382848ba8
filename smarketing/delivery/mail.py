"""E-mail by one SMTP server: the queue's second way out, with the queue's own retries."""

import ipaddress
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path

import aiosmtplib
import orjson

from smarketing.config import Secret
from smarketing.delivery.queue import Attempted, DueMessage

__all__ = ["MailCarrier", "MailSecurity", "MailSettings", "mail_payload"]


class MailSecurity(StrEnum):
    """How the connection to the mail server is kept from others."""

    STARTTLS = "starttls"
    """It begins plain and must turn to TLS before anything is said; a server that cannot is not used."""
    TLS = "tls"
    NONE = "none"
    """Plain text, to this machine alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """The mail server; `smtp_host` is read from `SMARKETING_SMTP_HOST`, and so on. No host: no e-mail."""

    smtp_host: str = ""
    smtp_port: int = field(default=587, metadata={"at_least": 1, "at_most": 65_535})
    smtp_security: MailSecurity = MailSecurity.STARTTLS
    smtp_username: str = ""
    smtp_password: Secret | None = None
    smtp_ca: Path | None = None
    """PEM file that signed the server's certificate; None trusts whom the system trusts."""
    smtp_sender: str = ""
    """The address that mail comes from."""

    def __post_init__(self) -> None:
        if not self.smtp_host:
            return
        if self.smtp_sender.count("@") != 1:
            raise ValueError("SMARKETING_SMTP_SENDER must be the address that mail comes from.")
        if self.smtp_security is MailSecurity.NONE and not _is_this_machine(self.smtp_host):
            raise ValueError("SMARKETING_SMTP_SECURITY is starttls or tls; none is for this machine only.")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def mail_payload(subject: str, text: str, *, language: str, now: datetime) -> bytes:
    """Return a mail as it waits in the queue: without anybody's address."""
    return orjson.dumps(
        {"subject": subject, "text": text, "language": language, "date": format_datetime(now)}
    )


class MailCarrier:
    """Sends by the one server of the settings.

    The Message-ID is made of the message's own id, so every repetition is known by it.
    """

    def __init__(self, settings: MailSettings, *, timeout_seconds: float = 15.0) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds

    async def carry(self, message: DueMessage, address: str, *, now: datetime) -> Attempted:
        """Hand a mail to the server; delivered means that the server has taken it."""
        del now
        problem = ""
        try:
            await self._send(self._mail(message, address), address)
        except aiosmtplib.SMTPRecipientsRefused as error:
            # Only the code: the server's words repeat the address.
            problem = f"answered {error.recipients[0].code}" if error.recipients else "recipient refused"
        except aiosmtplib.SMTPResponseException as error:
            problem = f"answered {error.code}"
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            problem = "no answer in time"
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            problem = type(error).__name__
        return Attempted(message=message, delivered=not problem, problem=problem)

    def _mail(self, message: DueMessage, address: str) -> EmailMessage:
        content = orjson.loads(message.payload)
        mail = EmailMessage(policy=SMTP)
        mail["From"] = Address(addr_spec=self._settings.smtp_sender)
        mail["To"] = Address(addr_spec=address)
        mail["Subject"] = content["subject"]
        mail["Date"] = content["date"]
        mail["Message-ID"] = f"<{message.message_id}@{self._settings.smtp_sender.split('@')[1]}>"
        mail["Content-Language"] = content["language"]
        # So that no out-of-office reply comes back.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(content["text"])
        return mail

    async def _send(self, mail: EmailMessage, address: str) -> None:
        settings = self._settings
        password = settings.smtp_password.reveal() if settings.smtp_password else None
        await aiosmtplib.send(
            mail,
            sender=settings.smtp_sender,
            recipients=[address],
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username or None,
            password=password,
            use_tls=settings.smtp_security is MailSecurity.TLS,
            start_tls=settings.smtp_security is MailSecurity.STARTTLS,
            tls_context=self._context(),
            timeout=self._timeout_seconds,
        )

    def _context(self) -> ssl.SSLContext | None:
        if self._settings.smtp_security is MailSecurity.NONE:
            return None
        ca = self._settings.smtp_ca
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
