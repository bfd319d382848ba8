"""The sign-in page, in English or Korean: it needs no script, and leads back to what was asked for."""

import enum
from dataclasses import dataclass
from html import escape
from string import Template
from typing import Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from smarketing.server.languages import LANGUAGE_PARAMETER, Language, language_named, language_of

__all__ = ["Fault", "SignInPage"]

_PAGE: Final = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>smarketing · $title</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="$style">
</head>
<body>
<header class="top">
  <p class="brand">smarketing</p>
  <a href="$other_address" lang="$other_language" hreflang="$other_language">$other_label</a>
</header>
<main>
<h1>$title</h1>
<p class="lead">$lead</p>
$fault
<form class="card" method="post" action="/sign-in?lang=$language">
  <input type="hidden" name="next" value="$next_path">
  <label for="token">$label</label>
  <input id="token" name="token" type="password" required autofocus autocomplete="current-password"
    spellcheck="false" aria-describedby="origin$described" $invalid>
  <button>$button</button>
</form>
<p class="notes" id="origin">$origin</p>
</main>
</body>
</html>
""")

_WORDS: Final = {
    Language.ENGLISH: {
        "title": "Sign in",
        "lead": "Marketing and sales, one set of figures.",
        "label": "API token",
        "button": "Sign in",
        "other_label": "한국어",
        "origin": (
            "Your token comes from whoever runs smarketing for you; "
            "they make it with <code>smarketing tokens issue</code>. "
            "After <code>make demo</code> it is in the file that the terminal names "
            "under the dashboard's address."
        ),
    },
    Language.KOREAN: {
        "title": "로그인",
        "lead": "마케팅과 영업, 하나의 지표.",
        "label": "API 토큰",
        "button": "로그인",
        "other_label": "English",
        "origin": (
            "토큰은 smarketing 운영 담당자에게 받으세요. "
            "담당자는 <code>smarketing tokens issue</code> 명령으로 토큰을 발급합니다. "
            "<code>make demo</code>로 시작했다면 터미널에서 대시보드 주소 아래에 안내된 파일에 있습니다."
        ),
    },
}


class Fault(enum.Enum):
    """Why nobody was signed in: the status of the answer, and what to do in English and Korean."""

    TOKEN = (
        401,
        "This token is wrong, expired or revoked. Check that you pasted all of it, or ask for a new one.",
        "토큰이 올바르지 않거나 만료 또는 폐기되었습니다. 모두 붙여넣었는지 확인하거나 새 토큰을 요청하세요.",
    )
    TOO_MANY = (
        429,
        "There were too many attempts. Wait a minute, then try again.",
        "시도 횟수가 너무 많습니다. 1분 뒤에 다시 시도하세요.",
    )
    NOT_READY = (
        503,
        "The service is still starting. Try again in a moment; your token was not judged.",
        "서비스가 아직 시작하는 중입니다. 토큰은 아직 확인하지 않았으니 잠시 후 다시 시도하세요.",
    )
    FOREIGN = (
        403,
        "This was not sent from our own page. Try again here.",
        "이 페이지에서 보낸 요청이 아닙니다. 여기에서 다시 시도하세요.",
    )


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The page as one browser sees it."""

    language: Language
    next_path: str
    """Where it leads: a page of ours, with its query."""
    style: str

    @classmethod
    def of(cls, request: Request, *, next_path: str, style: str) -> Self:
        """Return the page in the language asked for, here or on the page that sent people here."""
        chosen = language_named(request.query_params.get(LANGUAGE_PARAMETER))
        wanted = chosen or language_named(dict(_query_of(next_path)).get(LANGUAGE_PARAMETER))
        language = wanted or language_of(request)
        return cls(language, _in_language(next_path, language), style)

    def response(self, fault: Fault | None = None, *, retry_seconds: int = 0) -> Response:
        """Return the answer, with what went wrong."""
        status = 200 if fault is None else fault.value[0]
        headers = {"retry-after": str(retry_seconds)} if retry_seconds else None
        return HTMLResponse(self._html(fault), status, headers)

    def _html(self, fault: Fault | None) -> str:
        other = Language.ENGLISH if self.language is Language.KOREAN else Language.KOREAN
        other_query = urlencode({"next": self.next_path, LANGUAGE_PARAMETER: other.value})
        said = "" if fault is None else fault.value[2 if self.language is Language.KOREAN else 1]
        return _PAGE.substitute(
            _WORDS[self.language],
            language=self.language.value,
            style=self.style,
            other_language=other.value,
            other_address=escape(f"/sign-in?{other_query}"),
            next_path=escape(self.next_path),
            fault=f'<p class="banner" id="fault" role="alert">{said}</p>' if said else "",
            described=" fault" if said else "",
            invalid='aria-invalid="true"' if fault is Fault.TOKEN else "",
        )


def _query_of(address: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)


def _in_language(address: str, language: Language) -> str:
    """Return the address in this language, if it names one: a choice made at sign-in outlives it."""
    query = dict(_query_of(address))
    if query.get(LANGUAGE_PARAMETER, language) == language:
        return address
    return f"{urlsplit(address).path}?{urlencode(query | {LANGUAGE_PARAMETER: language.value})}"
