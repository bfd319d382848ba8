"""How a vendor proves that a webhook is its own: described in the mapping, verified here."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from smarketing.mapping.texts import duration_of
from smarketing.mapping.yamltext import Element

__all__ = ["Scheme", "SignatureWrong", "Signed", "read_schemes", "verify"]

_KINDS: Final = ("hmac", "hash", "token", "basic")
_ALGORITHMS: Final = ("sha256", "sha1", "sha512")
_ENCODINGS: Final = ("hex", "base64")
_WORDS: Final = ("method", "url", "body", "secret")
_UNITS: Final = {"seconds": 1, "milliseconds": 1000}
_MOST_SIGNATURES: Final = 10
_LONGEST_STAMP: Final = 15


class SignatureWrong(Exception):
    """A request is not proved to be its vendor's; the reason is for the audit trail, not for the sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What can be signed of a request."""

    method: str
    url: str
    headers: Mapping[str, str]
    """By name in lower case."""
    query: Mapping[str, str]
    body: bytes
    columns: Mapping[str, str] = field(default_factory=dict)
    """Of the body, where the proof stands in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One way in which a vendor signs."""

    kind: str
    header: str = ""
    query: str = ""
    column: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    separator: str = ""
    """Between several signatures in one header."""
    signs: tuple[str, ...] = ("body",)
    """In order: method, url, body, secret, `header NAME`, or `text …`."""
    is_standard: bool = False
    """The secret is `whsec_` and base64, as Standard Webhooks has it."""
    when: tuple[tuple[str, frozenset[str]], ...] = ()
    """Headers, and the values of them with which it is meant."""
    stamp: str = ""
    """The header with the instant of signing."""
    stamp_unit: int = 1
    tolerance: timedelta = timedelta(minutes=5)

    def applies(self, request: Signed) -> bool:
        """Whether the request is signed in this way, rightly or not."""
        return bool(self._given(request)) and all(
            request.headers.get(name, "") in values for name, values in self.when
        )

    def holds(self, request: Signed, secret: str) -> bool:
        """Whether the request was signed with the secret."""
        given = self._given(request)
        if self.kind == "token":
            told = given.removeprefix(self.prefix)
            return hmac.compare_digest(told.encode(), secret.encode())
        if self.kind == "basic":
            return hmac.compare_digest(_password(given).encode(), secret.encode())
        signatures = given.split(self.separator) if self.separator else [given]
        expected = self._signature(request, secret)
        return any(
            hmac.compare_digest(each.encode(), expected.encode()) for each in signatures[:_MOST_SIGNATURES]
        )

    def is_timely(self, request: Signed, now: datetime) -> bool:
        """Whether it was signed just now; always, where the vendor does not say when."""
        if not self.stamp:
            return True
        text = request.headers.get(self.stamp, "")
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_STAMP):
            return False
        age = now.timestamp() - int(text) / self.stamp_unit
        return abs(age) <= self.tolerance.total_seconds()

    def _given(self, request: Signed) -> str:
        if self.header:
            return request.headers.get(self.header, "")
        return request.query.get(self.query, "") if self.query else request.columns.get(self.column, "")

    def _signature(self, request: Signed, secret: str) -> str:
        key = _standard_key(secret) if self.is_standard else secret.encode()
        text = b"".join(self._part(part, request, secret) for part in self.signs)
        made = (
            hashlib.new(self.algorithm, text).digest()
            if self.kind == "hash"
            else hmac.digest(key, text, self.algorithm)
        )
        spelled = made.hex() if self.encoding == "hex" else base64.b64encode(made).decode()
        return self.prefix + spelled

    def _part(self, part: str, request: Signed, secret: str) -> bytes:
        word, _, rest = part.partition(" ")
        if word == "header":
            return request.headers.get(rest, "").encode()
        if word == "text":
            return rest.encode()
        return {
            "method": request.method.encode(),
            "url": request.url.encode(),
            "secret": secret.encode(),
            "body": request.body,
        }[word]


def verify(schemes: Sequence[Scheme], request: Signed, secrets: Sequence[str], *, now: datetime) -> None:
    """See that a request is signed with one of the secrets.

    The first scheme that the request uses decides, so that a wrong strong signature is not made good by
    a right weak one.

    Raises:
        SignatureWrong: it is not.
    """
    scheme = next((each for each in schemes if each.applies(request)), None)
    if scheme is None:
        raise SignatureWrong("SIGNATURE_MISSING")
    if not scheme.is_timely(request, now):
        raise SignatureWrong("SIGNATURE_OUTDATED")
    if not any(scheme.holds(request, secret) for secret in secrets):
        raise SignatureWrong("SIGNATURE_WRONG")


def read_schemes(signatures: Element) -> tuple[Scheme, ...]:
    """Return the schemes in a mapping's `signatures`, the strongest first as they are written."""
    return tuple(_scheme(each) for each in signatures.items())


def _scheme(element: Element) -> Scheme:
    words = ("header", "query", "column", "algorithm", "encoding", "prefix", "separator", "signs", "secret")
    told = element.fields("scheme", *words, "when", "timestamp", required=("scheme",))
    if len([name for name in ("header", "query", "column") if name in told]) != 1:
        element.fault("must have one of header, query, column")
    stamp, unit, tolerance = _stamp(told["timestamp"]) if "timestamp" in told else ("", 1, timedelta(0))
    signs = [part for part in told["signs"].items() if _is_part(part)] if "signs" in told else []
    return Scheme(
        kind=_word(told, "scheme", _KINDS, "hmac"),
        header=_text(told, "header").lower(),
        query=_text(told, "query"),
        column=_text(told, "column"),
        algorithm=_word(told, "algorithm", _ALGORITHMS, "sha256"),
        encoding=_word(told, "encoding", _ENCODINGS, "hex"),
        prefix=_text(told, "prefix"),
        separator=_text(told, "separator"),
        signs=tuple(_lowered(part.text()) for part in signs) or ("body",),
        is_standard=_word(told, "secret", ("plain", "whsec"), "plain") == "whsec",
        when=tuple(
            (name.lower(), frozenset(value.text() for value in values.items()))
            for name, values in (told["when"].entries().items() if "when" in told else ())
        ),
        stamp=stamp,
        stamp_unit=unit,
        tolerance=tolerance,
    )


def _stamp(element: Element) -> tuple[str, int, timedelta]:
    told = element.fields("header", "unit", "tolerance", required=("header", "tolerance"))
    unit = _UNITS[_word(told, "unit", tuple(_UNITS), "seconds")]
    nothing = timedelta(0)
    tolerance = told["tolerance"].parsed(duration_of, nothing) if "tolerance" in told else nothing
    return _text(told, "header").lower(), unit, tolerance


def _is_part(part: Element) -> bool:
    word = part.text().partition(" ")[0]
    if word not in {*_WORDS, "header", "text"}:
        part.fault(f"must be one of {', '.join(_WORDS)}, `header NAME`, `text …`")
        return False
    return True


def _lowered(part: str) -> str:
    return part.lower() if part.startswith("header ") else part


def _word(told: Mapping[str, Element], name: str, known: Sequence[str], default: str) -> str:
    if name not in told:
        return default
    text = told[name].text()
    if text not in known:
        told[name].fault(f"must be one of {', '.join(known)}")
        return default
    return text


def _text(told: Mapping[str, Element], name: str) -> str:
    return told[name].text() if name in told else ""


def _standard_key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


def _password(given: str) -> str:
    """Return the password of `Basic …` credentials."""
    try:
        decoded = base64.b64decode(given.removeprefix("Basic "), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]
