"""What the dashboard shows, to whom, and what it never shows."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from services.reports.domain.agreements import TenantSet
from services.reports.domain.clocks import ClockChange
from services.reports.web.texts import TEXTS
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from tests.builders.reports import TENANT, Ledger, at, clock_event, submitted
from tests.contract.reports.house import a_house
from tests.contract.web.board import HOSTILE, TURNING, Board, a_board

MARCH = "/?period=custom&from=2026-03-01&to=2026-03-31"


class _Words(HTMLParser):
    """Collects text by the `data-…` value of the element around it, and every element met."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _words(html: str) -> str:
    parser = _Words()
    parser.feed(html)
    return " ".join(" ".join(parser.text).split())


def _part(html: str, mark: str, *, end: str = "") -> str:
    """Return the words from the element with this attribute on, up to `end`, or the next of its kind."""
    start = html.index(mark)
    stop = html.find(end or mark.split("=", maxsplit=1)[0] + "=", start + len(mark))
    return _words("<p " + html[start : stop if stop > 0 else None])


def _commitment(html: str, commitment_id: str) -> str:
    return _part(html, f'data-commitment="{commitment_id}"', end="</dl>")


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    async with a_board(tmp_path) as running:
        yield running


async def test_signed_out_there_is_a_way_to_sign_in_and_no_figure(board: Board) -> None:
    async with board.visitor() as browser:
        for path in ("/", "/tables/sources.csv", "/dashboard.css"):
            answer = await browser.get(path)

            assert (answer.status_code, answer.text) == (303, "")
            assert answer.headers["location"].startswith("/sign-in?next=")


async def test_leadership_sees_both_parties_each_with_its_own_promises(board: Board) -> None:
    page = await board.page("lee", MARCH)

    marketing, sales = (_part(page, f'data-party="{party}"') for party in ("marketing", "sales"))
    assert "Hand over in time" in marketing
    assert "First follow-up" not in marketing
    assert "First follow-up" in sales
    assert "Hand over in time" not in sales


async def test_a_commitment_shows_its_share_its_objective_and_every_count(board: Board) -> None:
    page = await board.page("lee", MARCH)

    shown = _commitment(page, "first-follow-up")
    # One met and one missed are a half; Wilson's interval of 1 in 2 is 9.5 % to 90.5 %.
    assert "50%" in shown
    assert "objective 90%" in shown
    assert "95% interval 9.5% to 90.5%" in shown
    assert "Met 1 Breached 1 Excused 0 Void 0 Open 1 Overdue 1" in shown


async def test_a_few_clocks_whose_interval_holds_the_objective_are_not_judged(board: Board) -> None:
    page = await board.page("lee", MARCH)

    assert "too few to tell" in _commitment(page, "first-follow-up")


async def test_an_undefined_ratio_is_a_dash_with_its_reason_and_no_bar(board: Board) -> None:
    page = await board.page("lee", MARCH)

    shown = _commitment(page, "unheard-of")
    assert "— nothing to measure yet" in shown
    assert "%" not in shown.replace("objective 95%", "")
    start = page.index('data-commitment="unheard-of"')
    assert 'class="bullet' not in page[start : page.index('class="counts"', start)]


async def test_a_period_without_anything_has_no_percentage_but_the_objectives(board: Board) -> None:
    words = _words(await board.page("lee", "/?period=custom&from=2020-01-01&to=2020-01-31"))

    assert {"90%", "80%", "95%"} == set(re.findall(r"[\d.]+%(?! by)", words))
    assert "No handoff was submitted in this period." in words


async def test_a_quantile_beyond_what_was_observed_is_said_in_words(board: Board) -> None:
    page = await board.page("lee", MARCH)

    # One of five followed up, one rejected: half never gets there.
    shown = _part(page, 'data-measure="S11"')
    assert "Half by not reached" in shown
    assert "5 counted · 3 still waiting" in shown


async def test_no_source_stands_apart_from_a_source_called_unknown(board: Board) -> None:
    async with board.visitor("lee") as browser:
        rows = (await browser.get("/tables/sources.json" + MARCH[1:])).json()["rows"]

    found = [row["source"] for row in rows]
    assert found.count(None) == 1
    assert found.count("unknown") == 1
    page = await board.page("lee", MARCH)
    assert '<text class="label absent"' in page
    assert "(no source)" in _words(page)


async def test_what_a_sender_called_its_source_is_never_markup(board: Board) -> None:
    page = await board.page("lee", MARCH)

    parser = _Words()
    parser.feed(page)
    assert "script" not in {tag for tag, _ in parser.tags}
    assert HOSTILE not in page
    assert "<script>" in "".join(parser.text)


async def test_signs_that_turn_the_direction_of_a_line_are_made_visible(board: Board) -> None:
    page = await board.page("lee", MARCH)

    assert "\u202e" not in page
    assert TURNING.replace("\u202e", "\ufffd") in page


async def test_the_page_needs_no_script_and_no_style_that_the_policy_forbids(board: Board) -> None:
    async with board.visitor("lee") as browser:
        answer = await browser.get(MARCH)

    parser = _Words()
    parser.feed(answer.text)
    assert "script" not in {tag for tag, _ in parser.tags}
    assert "style" not in {tag for tag, _ in parser.tags}
    assert not [name for _, attributes in parser.tags for name in attributes if name.startswith("on")]
    assert not [tag for tag, attributes in parser.tags if "style" in attributes]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_every_chart_says_in_words_what_it_is(board: Board) -> None:
    parser = _Words()
    parser.feed(await board.page("lee", MARCH))

    charts = [
        attributes for tag, attributes in parser.tags if tag == "svg" and attributes.get("role") == "img"
    ]
    assert len(charts) >= 8
    assert all(attributes["aria-label"] for attributes in charts)


async def test_a_rep_sees_the_promises_of_sales_only(board: Board) -> None:
    page = await board.page("kim", MARCH)

    assert 'data-party="sales"' in page
    assert 'data-party="marketing"' not in page
    assert "Hand over in time" not in page
    assert "hand-over" not in page


async def test_lists_hold_only_promises_of_the_side_that_the_viewer_may_see(board: Board) -> None:
    async with board.visitor("mia") as browser:
        overdue = (await browser.get("/tables/overdue.json")).json()["rows"]
        due = (await browser.get("/tables/due-next.json")).json()["rows"]

    assert (overdue, due) == ([], [])


async def test_overdue_and_due_next_name_the_handoff_its_owner_and_its_instant(board: Board) -> None:
    async with board.visitor("lee") as browser:
        [overdue] = (await browser.get("/tables/overdue.json")).json()["rows"]
        [due] = (await browser.get("/tables/due-next.json")).json()["rows"]

    assert overdue == {
        "due_time": at(hours=8) / 1_000_000,
        "handoff": f"{TENANT}/leads/l3/handoffs/1",
        "commitment_id": "first-follow-up",
        "owner": f"{TENANT}/people/kim",
        "team": f"{TENANT}/teams/north",
    }
    assert due["handoff"] == f"{TENANT}/leads/l5/handoffs/1"
    # 09:00 UTC and eight hours, on the wall in Seoul.
    assert "2026-03-03 02:00" in _part(await board.page("lee"), 'data-list="overdue"')


async def test_a_role_that_may_not_ask_for_figures_is_shown_none(board: Board) -> None:
    async with board.visitor("pat") as browser:
        page, table = await browser.get(MARCH), await browser.get("/tables/sources.csv")

    assert (page.status_code, table.status_code) == (403, 403)
    assert "data-" not in page.text + table.text


async def test_who_may_see_nothing_here_can_still_sign_out_and_take_another_token(board: Board) -> None:
    async with board.visitor("pat") as browser:
        denied = await browser.get(MARCH)
        await browser.post("/sign-out")
        after = await browser.get(MARCH)

    assert 'action="/sign-out"' in denied.text
    assert after.status_code == 303


async def test_a_language_once_chosen_is_remembered_until_another_is(board: Board) -> None:
    async with board.visitor("lee") as browser:
        first = await browser.get("/", headers={"accept-language": "en"})
        chosen = await browser.get("/?lang=ko")
        later = await browser.get("/", headers={"accept-language": "en"})
        file = await browser.get("/tables/sources.csv?lang=en")
        back = await browser.get("/?lang=en")
        last = await browser.get("/", headers={"accept-language": "ko"})

    assert [
        re.findall(r'<html lang="(..)">', page.text)[0] for page in (first, chosen, later, back, last)
    ] == ["en", "ko", "ko", "en", "en"]
    assert "set-cookie" not in first.headers
    assert "set-cookie" not in file.headers
    assert "max-age=" in chosen.headers["set-cookie"].lower()


async def test_another_tenants_token_shows_nothing_of_this_tenant(board: Board) -> None:
    own = await board.page("eve", MARCH)
    async with board.visitor("eve") as browser:
        asked, absent = await browser.get("/?tenant=default"), await browser.get("/?tenant=nobody")

    assert "First follow-up" not in own
    assert "unknown" not in _words(own)
    assert "secret-of-the-other" in own
    assert "secret-of-the-other" not in await board.page("lee", MARCH)
    assert asked.status_code == 403
    assert (asked.text, asked.status_code) == (absent.text, absent.status_code)


async def test_who_stands_above_tenants_chooses_one_and_keeps_it_in_every_address(board: Board) -> None:
    page = await board.page("ops", "/?tenant=other&period=all")

    assert "secret-of-the-other" in page
    parser = _Words()
    parser.feed(page)
    addresses = [attributes["href"] for tag, attributes in parser.tags if tag == "a" and "href" in attributes]
    ours = [address for address in addresses if address and "?" in address]
    assert ours
    assert all("tenant=other" in address for address in ours)


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-03-31&to=2026-03-01",
        "from=x&to=2026-03-01",
        "",
        "from=0001-01-01&to=9999-12-31",
        "from=٢&to=٣",
    ],
)
async def test_a_period_that_is_none_is_said_so_and_shows_no_figure(board: Board, query: str) -> None:
    async with board.visitor("lee") as browser:
        answer = await browser.get(f"/?period=custom&{query}")

    assert answer.status_code == 400
    assert "This is no period" in answer.text
    assert "data-kpi" not in answer.text


async def test_the_last_day_of_a_custom_period_is_in_it(tmp_path: Path) -> None:
    def story(ledger: Ledger) -> None:
        # 14:00 UTC is 23:00 in Seoul, 16:00 UTC the day after.
        ledger.leads(
            TenantSet(TENANT, "Asia/Seoul", "EUR"),
            submitted(1, at(hours=5), source="in"),
            submitted(2, at(hours=7), source="out"),
        )

    async with a_board(tmp_path, story=story) as board, board.visitor("lee") as browser:
        path = "/tables/sources.json?period=custom&from=2026-03-01&to=2026-03-02"
        rows = (await browser.get(path)).json()["rows"]

    assert [row["source"] for row in rows] == ["in"]


async def test_a_file_for_a_spreadsheet_starts_no_formula(board: Board) -> None:
    async with board.visitor("lee") as browser:
        answer = await browser.get("/tables/sources.csv" + MARCH[1:])

    assert answer.headers["content-disposition"] == 'attachment; filename="sources.csv"'
    sources = [row["source"] for row in csv.DictReader(io.StringIO(answer.text))]
    assert "'=1+1" in sources
    assert not [source for source in sources if source.startswith("=")]


async def test_figures_older_than_a_minute_come_with_a_banner(board: Board) -> None:
    board.age = timedelta(seconds=60)
    fresh = await board.page("lee", MARCH)
    board.age = timedelta(seconds=61)
    stale = await board.page("lee", MARCH)

    assert 'role="alert"' not in fresh
    assert 'role="alert"' in stale
    assert "These figures may be behind: for 1 min" in _words(stale)


async def test_the_language_is_the_one_asked_for_else_the_browsers(board: Board) -> None:
    async with board.visitor("lee") as browser:
        browser.headers["accept-language"] = "ko-KR,ko;q=0.9"
        korean, english = await browser.get(MARCH), await browser.get(MARCH + "&lang=en")

    assert '<html lang="ko">' in korean.text
    assert "스코어카드" in korean.text
    assert "Scorecard" not in korean.text
    assert '<html lang="en">' in english.text
    assert "Scorecard" in english.text


def test_every_text_has_the_same_gaps_in_both_languages() -> None:
    gaps = re.compile(r"\{(\w+)\}")
    differing = [
        key
        for key, (en, ko) in TEXTS.items()
        if set(gaps.findall(en)) != set(gaps.findall(ko)) or not (en and ko)
    ]

    assert differing == []


async def test_a_page_stays_bounded_however_many_sources_there_are(tmp_path: Path) -> None:
    def story(ledger: Ledger) -> None:
        ledger.leads(*(submitted(number, at(), source=f"source-{number}") for number in range(1, 1501)))
        ledger.sla(
            *(clock_event(ClockChange.STARTED, at(), number) for number in range(1, 1501)),
            *(clock_event(ClockChange.BREACHED, at(hours=8), number) for number in range(1, 1501)),
        )

    async with a_board(tmp_path, story=story) as board:
        page = await board.page("lee", MARCH)

    assert len(page) < 200_000
    # Nine sources have a bar of their own; what is summed for the others is still everything.
    assert "1,491 further sources" in page
    assert "1,401 further sources" in page


async def test_the_process_serves_the_dashboard_on_its_http_port(tmp_path: Path) -> None:
    import httpx

    async with a_house(tmp_path) as house:
        await house.hire("lee", directorypb.ROLE_LEADERSHIP)
        await house.settle()
        origin = f"http://127.0.0.1:{house.process.http.port}"
        async with httpx.AsyncClient(base_url=origin, trust_env=False, follow_redirects=True) as browser:
            browser.headers["origin"] = origin
            page = await browser.post("/sign-in", data={"token": house.tokens["lee"]})

    assert page.status_code == 200
    assert 'data-party="marketing"' in page.text
    assert re.search(r"leads\s+\d", _words(page.text.split('id="as-of"')[1]))
