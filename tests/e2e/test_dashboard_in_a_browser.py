"""The dashboard as people meet it: in a browser that runs no script of ours and talks to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from smarketing.server.http import HttpHost
from smarketing.server.settings import ServerConfig
from tests.contract.web.board import a_board, token_of

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_MARCH = "/?period=custom&from=2026-03-01&to=2026-03-31&lang=en"
_QUALITY = f"/reports/lead-quality{_MARCH[1:]}"
_CHARTS = "[...document.querySelectorAll('svg[role=img]')].map(svg => svg.getBoundingClientRect())"
_MARKS = """
[...document.querySelectorAll('rect.fill, rect.step, path.line')].map(mark => mark.getBoundingClientRect())
"""


class Visit:
    """A browser at the dashboard, with all that it complained of and all that it asked for."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.errors: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    async def sign_in(self, name: str) -> None:
        await self.page.goto(f"{self.origin}/")
        await self.page.fill("#token", token_of(name))
        await self.page.click("button")
        await self.page.wait_for_selector("#scorecard")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Start one browser for all tests here: each visits in a context of its own, which holds all it keeps."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def _visit(
    browser: Browser, folder: Path, *, width: int = 1280, scheme: str = "light"
) -> AsyncIterator[Visit]:
    async with a_board(folder) as board:
        host = HttpHost(ServerConfig(http_listen="127.0.0.1:0", data_dir=folder), board.app)
        serving = asyncio.ensure_future(host.run())
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            locale="en-US",
        )
        try:
            yield Visit(await context.new_page(), f"http://127.0.0.1:{host.port}")
        finally:
            await context.close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def test_who_signs_in_sees_both_scorecards_and_charts_that_are_drawn(
    browser: Browser, tmp_path: Path
) -> None:
    async with _visit(browser, tmp_path) as visit:
        await visit.sign_in("lee")
        await visit.page.goto(visit.origin + _MARCH)

        assert await visit.page.locator(".party h3").filter(visible=True).first.inner_text() == "Marketing"
        assert await visit.page.locator("[data-party=sales]").is_visible()
        charts = await visit.page.evaluate(_CHARTS)
        assert len(charts) >= 8
        assert all(chart["width"] > 100 and chart["height"] > 20 for chart in charts)
        marks = await visit.page.evaluate(_MARKS)
        assert any(mark["width"] > 50 for mark in marks)


async def test_the_page_is_quiet_and_asks_nobody_but_its_own_server(browser: Browser, tmp_path: Path) -> None:
    async with _visit(browser, tmp_path) as visit:
        await visit.sign_in("lee")
        await visit.page.goto(visit.origin + _MARCH)
        await visit.page.wait_for_load_state("networkidle")

        assert visit.errors == []
        assert visit.asked
        assert [url for url in visit.asked if not url.startswith((visit.origin, "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_seriously_keeps_anybody_from_reading_it(
    browser: Browser, tmp_path: Path, scheme: str
) -> None:
    async with _visit(browser, tmp_path, scheme=scheme) as visit:
        await visit.sign_in("lee")
        await visit.page.goto(visit.origin + _MARCH)
        await visit.page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
        first = await Axe().run(visit.page)
        await visit.page.goto(visit.origin + _QUALITY)
        report = await Axe().run(visit.page)

    serious = [
        (found["id"], found["nodes"][0]["html"])
        for found in first.response["violations"] + report.response["violations"]
        if found["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_sign_in_page_keeps_nobody_out_and_fits_a_phone(
    browser: Browser, tmp_path: Path, scheme: str
) -> None:
    async with _visit(browser, tmp_path, width=320, scheme=scheme) as visit:
        await visit.page.goto(visit.origin + _MARCH)
        await visit.page.fill("#token", "smk_not_a_token")
        await visit.page.click("button")
        await visit.page.wait_for_selector("[role=alert]")
        results = await Axe().run(visit.page)

        assert await visit.page.evaluate("document.documentElement.scrollWidth") == 320
        # The policy let the style in, and nothing else was asked for.
        ground = await visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(18, 22, 24)" if scheme == "dark" else "rgb(248, 247, 244)")
        assert [url for url in visit.asked if not url.startswith((visit.origin, "data:"))] == []
    found = results.response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


async def test_who_was_sent_to_sign_in_comes_back_to_the_very_page(browser: Browser, tmp_path: Path) -> None:
    async with _visit(browser, tmp_path) as visit:
        await visit.page.goto(visit.origin + _MARCH)
        await visit.page.click("text=한국어")
        await visit.page.fill("#token", token_of("lee"))
        await visit.page.click("button")
        await visit.page.wait_for_selector("#scorecard")

        assert visit.page.url == visit.origin + _MARCH.replace("lang=en", "lang=ko")


async def test_one_click_turns_the_page_korean_and_keeps_the_period(browser: Browser, tmp_path: Path) -> None:
    async with _visit(browser, tmp_path) as visit:
        await visit.sign_in("lee")
        await visit.page.goto(visit.origin + _MARCH)
        await visit.page.click("text=한국어")
        await visit.page.wait_for_selector("html[lang=ko]")

        assert await visit.page.locator("#scorecard").inner_text() == "스코어카드"
        assert "2026-03-01 ~ 2026-03-31" in await visit.page.locator(".dates").inner_text()


@pytest.mark.parametrize("width", [320, 375])
async def test_on_a_phone_the_page_does_not_move_sideways(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    async with _visit(browser, tmp_path, width=width) as visit:
        await visit.sign_in("lee")
        await visit.page.goto(visit.origin + _MARCH)
        await visit.page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")

        assert width == await visit.page.evaluate("document.documentElement.scrollWidth")
        await visit.page.goto(visit.origin + _QUALITY)
        assert width == await visit.page.evaluate("document.documentElement.scrollWidth")


async def test_a_hostile_source_is_read_as_text_and_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    async with _visit(browser, tmp_path) as visit:
        dialogs: list[str] = []
        visit.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        await visit.sign_in("lee")
        await visit.page.goto(visit.origin + _MARCH)

        labels = await visit.page.locator(".tall svg.chart text").all_text_contents()
        assert any(label.startswith("<script>") for label in labels)
        assert await visit.page.locator("main script").count() == 0
        assert dialogs == []


async def test_signing_out_leaves_no_figure_behind(browser: Browser, tmp_path: Path) -> None:
    async with _visit(browser, tmp_path) as visit:
        await visit.sign_in("lee")
        await visit.page.click("text=Sign out")
        await visit.page.wait_for_selector("#token")
        await visit.page.goto(visit.origin + _MARCH)

        assert await visit.page.locator("#token").is_visible()
        assert await visit.page.locator("#scorecard").count() == 0
