"""The language of a page: asked for in its address, remembered from the last visit, or the browser's."""

import enum
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

__all__ = ["LANGUAGE_COOKIE", "LANGUAGE_PARAMETER", "Language", "language_named", "language_of", "remember"]

LANGUAGE_PARAMETER: Final = "lang"
LANGUAGE_COOKIE: Final = "smarketing_language"
"""Says nothing but a language, so every service of a host shares it."""

_REMEMBERED_SECONDS: Final = 365 * 24 * 60 * 60


class Language(enum.StrEnum):
    """A language of the pages."""

    ENGLISH = "en"
    KOREAN = "ko"


def language_named(code: str | None) -> Language | None:
    """Return the language of this code, `None` where it is none of ours."""
    return Language(code) if code in (Language.ENGLISH, Language.KOREAN) else None


def language_of(connection: HTTPConnection) -> Language:
    """Return the language of the address, else the remembered one, else the browser's, else English."""
    return (
        language_named(connection.query_params.get(LANGUAGE_PARAMETER))
        or language_named(connection.cookies.get(LANGUAGE_COOKIE))
        or _accepted(connection.headers.get("accept-language", ""))
        or Language.ENGLISH
    )


def remember(language: Language, response: Response, connection: HTTPConnection) -> None:
    """Have the browser keep a language that was chosen in an address; one that was not is no choice."""
    chosen = language_named(connection.query_params.get(LANGUAGE_PARAMETER)) is language
    if chosen and connection.cookies.get(LANGUAGE_COOKIE) != language:
        response.set_cookie(
            LANGUAGE_COOKIE,
            language.value,
            max_age=_REMEMBERED_SECONDS,
            httponly=True,
            samesite="lax",
            secure=connection.url.scheme == "https",
            path="/",
        )


def _accepted(header: str) -> Language | None:
    # Browsers name the dearest first, so their weights say nothing more.
    codes = (part.partition(";")[0].strip().partition("-")[0].lower() for part in header.split(","))
    return next((found for found in map(language_named, codes) if found), None)
