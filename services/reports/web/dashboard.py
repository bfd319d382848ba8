"""The pages of the product, and their tables as files. They compute nothing: they ask, and show."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.reports.domain.as_of import AskedAsOf
from services.reports.domain.errors import AsOfBusy, AsOfInvalid, AsOfOutOfReach, LogUnreachable
from services.reports.domain.periods import micros_of
from services.reports.domain.reports import Matter
from services.reports.usecases.past_states import PastStates
from services.reports.web.choices import Choice, PeriodChoice, as_of_of, choice_of
from services.reports.web.funnel import SHOWN_STAGES
from services.reports.web.matters import ReportPage, figures_file, report_page
from services.reports.web.page import Page, Viewed, frame_of, page_of, tables_of
from services.reports.web.reading import Facts, Reader, ReportFacts, Wish
from services.reports.web.tables import Table, csv_of, json_of
from services.reports.web.texts import Texts
from smarketing.server.auth import ANY_TENANT, Caller
from smarketing.server.errors import Refusal
from smarketing.server.languages import Language, language_of, remember
from smarketing.server.policy import Policy, check_role, check_tenant
from smarketing.sql import ReadersBusy, Writer

__all__ = ["Access", "dashboard"]

_HERE: Final = Path(__file__).parent
_SERVICE: Final = "/smarketing.api.reports.v1.ReportService"
_SHOWS: Final = (
    *("GetScorecard", "GetFunnel", "GetCompliance", "GetResponseTimes", "QueryKpi"),
    *("GetLeadQuality", "GetRoi", "GetPipeline", "GetForecast"),
)
"""The pages show what these answer, so they ask for the right to each."""
_DEFAULT_TENANT: Final = "default"
_AT_ONCE: Final = 4
"""So many pages are read at once at most; readers are left for everybody else."""
_WAIT_SECONDS: Final = 10.0
_NO_SUCH_PAST: Final = (AsOfInvalid, AsOfOutOfReach)
_PASSING: Final = (ReadersBusy, TimeoutError, AsOfBusy, LogUnreachable)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may see what, as the RPCs decide it: their policy, and the side a caller is limited to."""

    policy: Policy
    own_side_of: Callable[[Caller], str]

    def check(self, caller: Caller, tenant: str) -> str:
        """Return the only party whose promises the caller sees, empty for both.

        Raises:
            Refusal: the caller may not see figures of this tenant.
        """
        for method in _SHOWS:
            check_role(caller, self.policy[f"{_SERVICE}/{method}"])
        check_tenant(caller, f"tenants/{tenant}", "tenant")
        return self.own_side_of(caller)


def dashboard(
    writer: Writer,
    reader: Reader,
    *,
    access: Access,
    now: Callable[[], datetime],
    age: Callable[[], timedelta],
    past: PastStates | None = None,
) -> Starlette:
    """Return the dashboard; `age` is for how long its figures have not been certainly complete.

    Without `past` states it shows the present alone.
    """
    pages = _Pages(writer, reader, access=access, now=now, age=age, past=past)
    return Starlette(
        routes=[
            Route("/", pages.show, methods=["GET"]),
            Route("/tables/{key}.{kind}", pages.take, methods=["GET"]),
            Route("/reports/{matter}", pages.show_report, methods=["GET"]),
            Route("/reports/{matter}/figures.{kind}", pages.take_report, methods=["GET"]),
            Route("/dashboard.css", pages.style, methods=["GET"]),
        ]
    )


class _Pages:
    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        *,
        access: Access,
        now: Callable[[], datetime],
        age: Callable[[], timedelta],
        past: PastStates | None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._access = access
        self._now = now
        self._age = age
        self._past = past
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._style = (_HERE / "static" / "dashboard.css").read_bytes()
        templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = templates.get_template("dashboard.html")
        self._report = templates.get_template("report.html")
        self._denied = templates.get_template("denied.html")
        # The style's address changes with its content, so that a browser may keep it.
        self._style_address = f"/dashboard.css?v={hashlib.sha256(self._style).hexdigest()[:12]}"

    async def show(self, request: Request) -> Response:
        """Answer with the first page."""
        return await self._shown(request, None)

    async def show_report(self, request: Request) -> Response:
        """Answer with the page of a report about one matter."""
        matter = _matter_of(request)
        return _not_found() if matter is None else await self._shown(request, matter)

    async def _shown(self, request: Request, matter: Matter | None) -> Response:
        texts = _texts_of(request)
        response = await self._page(request, texts, matter)
        remember(texts.language, response, request)
        return response

    async def _page(self, request: Request, texts: Texts, matter: Matter | None) -> Response:
        try:
            viewed, faulty = self._viewed(request, texts)
        except Refusal:
            return HTMLResponse(self._render_denied(request, texts), 403)
        if faulty:
            return HTMLResponse(self._render(viewed, matter, None, fault=texts(faulty)), 400)
        try:
            facts = await self._facts(viewed, matter)
        except _NO_SUCH_PAST:
            return HTMLResponse(self._render(viewed, matter, None, fault=texts("as_of_invalid")), 400)
        except _PASSING:
            return PlainTextResponse(texts("busy"), 503, {"retry-after": "2"})
        age = self._age() if viewed.as_of is None else timedelta()
        page = await asyncio.to_thread(_page_of, facts, viewed, age)
        return HTMLResponse(await asyncio.to_thread(self._render, viewed, matter, page))

    async def take(self, request: Request) -> Response:
        """Answer with one table of the first page as a file."""
        return await self._taken(request, None)

    async def take_report(self, request: Request) -> Response:
        """Answer with all figures of a report as a file."""
        matter = _matter_of(request)
        return _not_found() if matter is None else await self._taken(request, matter)

    async def _taken(self, request: Request, matter: Matter | None) -> Response:
        texts = _texts_of(request)
        try:
            viewed, faulty = self._viewed(request, texts)
        except Refusal:
            return PlainTextResponse(texts("denied"), 403)
        if faulty:
            return PlainTextResponse(texts(faulty), 400)
        try:
            facts = await self._facts(viewed, matter)
        except _NO_SUCH_PAST:
            return PlainTextResponse(texts("as_of_invalid"), 400)
        except _PASSING:
            return PlainTextResponse(texts("busy"), 503, {"retry-after": "2"})
        if isinstance(facts, ReportFacts):
            table: Table | None = figures_file(facts, texts)
        else:
            table = tables_of(facts, viewed).get(request.path_params["key"])
        return _file_of(table, request.path_params["kind"], facts)

    async def style(self, request: Request) -> Response:
        """Answer with the style sheet."""
        del request
        keep = {"cache-control": "private, max-age=86400"}
        return Response(self._style, media_type="text/css", headers=keep)

    def _viewed(self, request: Request, texts: Texts) -> tuple[Viewed, str]:
        """Return what is asked for, and the key of the text that says what is wrong with it, if anything is.

        Raises:
            Refusal: the caller may not see it.
        """
        caller: Caller = request.state.caller
        home = _DEFAULT_TENANT if caller.tenant == ANY_TENANT else caller.tenant
        tenant = request.query_params.get("tenant", home)
        party = self._access.check(caller, tenant)
        choice, as_of, faulty = choice_of(request.query_params), None, ""
        try:
            as_of = as_of_of(request.query_params)
        except ValueError:
            faulty = "as_of_invalid"
        viewed = Viewed(
            texts=texts,
            tenant=tenant,
            foreign=caller.tenant == ANY_TENANT,
            party=party,
            choice=choice or PeriodChoice(Choice.THIS_MONTH),
            csrf_token=request.state.csrf_token,
            as_of=as_of,
        )
        return viewed, faulty if choice is not None else "period_invalid"

    async def _facts(self, viewed: Viewed, matter: Matter | None) -> Facts | ReportFacts:
        wish = Wish(
            tenant=f"tenants/{viewed.tenant}",
            party=viewed.party,
            choice=viewed.choice,
            now=micros_of(viewed.as_of or self._now()),
            above_tenants=viewed.foreign,
        )

        def read(connection: Any) -> Facts | ReportFacts:
            if matter is None:
                return self._reader.read(connection, wish)
            return self._reader.read_report(connection, wish, matter)

        async with asyncio.timeout(_WAIT_SECONDS), self._turns:
            if viewed.as_of is None:
                return await self._writer.read(read)
            if self._past is None:
                raise AsOfOutOfReach("as_of", "no past state: none is kept here")
            now, asked = micros_of(self._now()), AskedAsOf(wish.now)
            return await self._past.read(wish.tenant, asked, read, now=now, above=viewed.foreign)

    def _render(
        self, viewed: Viewed, matter: Matter | None, page: Page | ReportPage | None, *, fault: str = ""
    ) -> str:
        template = self._template if matter is None else self._report
        return template.render(
            t=viewed.texts,
            frame=frame_of(viewed, matter),
            page=page,
            query=viewed.query(),
            fault=fault,
            style=self._style_address,
            stages=SHOWN_STAGES,
        )

    def _render_denied(self, request: Request, texts: Texts) -> str:
        """Return a page that names no tenant: whether there is such a one is not theirs to learn."""
        other = Language.ENGLISH if texts.language is Language.KOREAN else Language.KOREAN
        return self._denied.render(
            t=texts,
            other_language_code=other.value,
            csrf_token=request.state.csrf_token,
            style=self._style_address,
        )


def _texts_of(request: Request) -> Texts:
    return Texts(language_of(request))


def _matter_of(request: Request) -> Matter | None:
    return next((matter for matter in Matter if matter == request.path_params["matter"]), None)


def _page_of(facts: Facts | ReportFacts, viewed: Viewed, age: timedelta) -> Page | ReportPage:
    if isinstance(facts, Facts):
        return page_of(facts, viewed, age=age)
    return report_page(facts, viewed.texts, past=viewed.as_of is not None, age=age)


def _file_of(table: Table | None, kind: str, facts: Facts | ReportFacts) -> Response:
    if table is None or kind not in ("csv", "json"):
        return _not_found()
    headers = {"content-disposition": f'attachment; filename="{table.key}.{kind}"'}
    if kind == "csv":
        return Response(csv_of(table), media_type="text/csv", headers=headers)
    return JSONResponse({"as_of": _as_of(facts), "rows": json_of(table)}, headers=headers)


def _not_found() -> Response:
    return PlainTextResponse("Not found.", 404)


def _as_of(facts: Facts | ReportFacts) -> Mapping[str, Any]:
    return {
        "as_of_seconds": facts.wish.now / 1_000_000,
        "positions": [
            {"service": log.service, "log_id": log.log_id, "position": log.position} for log in facts.folded
        ],
    }
