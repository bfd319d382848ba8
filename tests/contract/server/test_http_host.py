"""Pages, signed in and out, over a real port."""

import asyncio
import re
import socket
import ssl
from contextlib import asynccontextmanager
from html import unescape
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from smarketing.server.auth import Authenticator, Directory
from smarketing.server.http import HttpHost, Room, http_app, sessions_in
from smarketing.server.settings import ServerConfig
from smarketing.server.telemetry import Telemetry
from tests.contract.server.certificates import Authority
from tests.contract.server.echo import DIRECTORY, NOW, SECRET, TOKENS

TOKEN = f"smk_minaminamina_{SECRET}"


async def whoami(request):
    return PlainTextResponse(f"{request.state.caller.principal} {request.state.csrf_token}")


async def rename(request):
    form = await request.form()
    return PlainTextResponse(f"{request.state.caller.principal} says {form['word']}")


async def hook(request):
    return PlainTextResponse((await request.body()).decode())


ROOMS = [
    Room("", Starlette(routes=[Route("/me", whoami), Route("/me", rename, methods=["POST"])])),
    Room("/hooks", Starlette(routes=[Route("/form", hook, methods=["POST"])]), signed_in=False),
]


@asynccontextmanager
async def hosting(tmp_path, *, config=None, verify=True):
    config = config or ServerConfig(http_listen="127.0.0.1:0", data_dir=tmp_path)
    authenticator, telemetry = Authenticator(now=lambda: NOW), Telemetry()
    authenticator.replace_directory(DIRECTORY)
    app = http_app(
        config,
        registry=telemetry.registry,
        authenticator=authenticator,
        sessions=sessions_in(tmp_path, authenticator),
        rooms=ROOMS,
    )
    host = HttpHost(config, app)
    running = asyncio.create_task(host.run())
    origin = f"{'https' if config.tls else 'http'}://127.0.0.1:{host.port}"
    async with httpx.AsyncClient(base_url=origin, verify=verify, trust_env=False) as browser:
        browser.headers["origin"] = origin
        yield SimpleNamespace(
            browser=browser,
            authenticator=authenticator,
            telemetry=telemetry,
            origin=origin,
            cookie=f"smarketing_session_{host.port}",
        )
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def sign_in(browser, token=TOKEN, **options):
    return await browser.post("/sign-in", data={"token": token, "next": "/me"}, **options)


async def test_a_pasted_token_signs_in_with_a_cookie_that_scripts_and_other_sites_cannot_use(tmp_path):
    async with hosting(tmp_path) as host:
        signed_in = await sign_in(host.browser)

        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/me")
        cookie = signed_in.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert SECRET not in cookie
        assert (await host.browser.get("/me")).text.startswith("tenants/default/people/mina ")


async def test_without_a_session_pages_lead_to_sign_in_and_forms_are_refused(tmp_path):
    async with hosting(tmp_path) as host:
        page, form = await host.browser.get("/me"), await host.browser.post("/me", data={"word": "hi"})

        assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/me")
        assert form.status_code == 401


async def test_a_forged_cookie_is_no_session(tmp_path):
    async with hosting(tmp_path) as host:
        await sign_in(host.browser)
        name = host.cookie
        value = host.browser.cookies[name]
        host.browser.cookies.clear()
        host.browser.cookies.set(name, ("A" if value[0] != "A" else "B") + value[1:])

        assert (await host.browser.get("/me")).status_code == 303


async def test_revoking_the_token_ends_the_session_at_the_next_request(tmp_path):
    async with hosting(tmp_path) as host:
        await sign_in(host.browser)
        host.authenticator.replace_directory(Directory(TOKENS[1:]))

        assert (await host.browser.get("/me")).status_code == 303
        host.authenticator.replace_directory(DIRECTORY)
        assert (await host.browser.get("/me")).status_code == 303


async def test_signing_out_ends_the_session_even_for_a_copied_cookie(tmp_path):
    async with hosting(tmp_path) as host:
        await sign_in(host.browser)
        copied = host.browser.cookies[host.cookie]
        await host.browser.post("/sign-out")
        host.browser.cookies.set(host.cookie, copied)

        assert (await host.browser.get("/me")).status_code == 303


async def test_a_form_needs_the_token_of_its_own_session_and_our_own_origin(tmp_path):
    async with hosting(tmp_path) as host:
        await sign_in(host.browser)
        csrf_token = (await host.browser.get("/me")).text.split()[1]
        good = {"word": "hi", "csrf_token": csrf_token}

        accepted = await host.browser.post("/me", data=good)
        by_header = await host.browser.post("/me", data={"word": "hi"}, headers={"x-csrf-token": csrf_token})
        refused = [
            await host.browser.post("/me", data={"word": "hi"}),
            await host.browser.post("/me", data=good | {"csrf_token": "x"}),
            await host.browser.post("/me", data=good, headers={"origin": "https://evil.example"}),
            await host.browser.post("/me", data=good, headers={"sec-fetch-site": "cross-site"}),
        ]

        assert accepted.text == by_header.text == "tenants/default/people/mina says hi"
        assert [each.status_code for each in refused] == [403] * 4


async def test_signing_in_from_another_site_is_refused(tmp_path):
    async with hosting(tmp_path) as host:
        assert (await sign_in(host.browser, headers={"origin": "https://evil.example"})).status_code == 403


async def test_sign_in_returns_to_the_page_and_the_query_that_were_asked_for(tmp_path):
    async with hosting(tmp_path) as host:
        asked = "/me?period=custom&from=2026-03-01&to=2026-03-31&source=a%26b&team=%EC%84%9C%EC%9A%B8"
        sent_away = await host.browser.get(asked)
        page = await host.browser.get(sent_away.headers["location"])
        next_path = unescape(re.search(r'name="next" value="([^"]*)"', page.text)[1])
        answer = await host.browser.post("/sign-in", data={"token": TOKEN, "next": next_path})

        assert answer.headers["location"] == asked


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ("", "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("", "fr-FR,ko;q=0.9,en;q=0.8", "ko"),
        ("", "kok-IN", "en"),
        ("?lang=en", "ko", "en"),
        ("?next=/me%3Flang%3Dko", "en", "ko"),
        ("?lang=xx", "ko", "ko"),
    ],
)
async def test_the_sign_in_page_speaks_the_language_asked_for_or_the_browsers(
    tmp_path, query, header, language
):
    async with hosting(tmp_path) as host:
        page = await host.browser.get(f"/sign-in{query}", headers={"accept-language": header})

        assert f'<html lang="{language}">' in page.text
        assert ("API 토큰" if language == "ko" else "API token") in page.text


async def test_a_language_chosen_at_sign_in_is_kept_for_the_page_and_the_next_visit(tmp_path):
    async with hosting(tmp_path) as host:
        chosen = await host.browser.get("/sign-in?next=/me%3Flang%3Den%26period%3Dall&lang=ko")
        again = await host.browser.get("/sign-in", headers={"accept-language": "en"})

        assert 'value="/me?lang=ko&amp;period=all"' in chosen.text
        assert '<html lang="ko">' in again.text


async def test_a_wrong_token_is_answered_kindly_and_the_way_back_is_not_lost(tmp_path):
    async with hosting(tmp_path) as host:
        wrong = {"token": "smk_pasted_by_mist", "next": "/me?period=all"}
        english = await host.browser.post("/sign-in?lang=en", data=wrong)
        korean = await host.browser.post("/sign-in?lang=ko", data=wrong)

        assert (english.status_code, korean.status_code) == (401, 401)
        assert "wrong, expired or revoked" in english.text
        assert "만료 또는 폐기" in korean.text
        assert 'value="/me?period=all"' in english.text
        assert "pasted_by_mist" not in english.text


async def test_a_service_that_cannot_judge_a_token_yet_does_not_call_it_wrong(tmp_path):
    async with hosting(tmp_path) as host:
        host.authenticator.replace_directory(None)
        early = [await sign_in(host.browser) for _ in range(6)]
        host.authenticator.replace_directory(DIRECTORY)

        assert [each.status_code for each in early] == [503] * 6
        assert "wrong" not in early[0].text
        assert (await sign_in(host.browser)).status_code == 303


async def test_the_sign_in_page_needs_no_script_and_everybody_may_have_its_style(tmp_path):
    async with hosting(tmp_path) as host:
        page = (await host.browser.get("/sign-in")).text
        style = await host.browser.get(re.search(r'<link rel="stylesheet" href="([^"]*)"', page)[1])

        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", page)
        assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_signing_in_at_one_service_ends_no_session_at_another_port_of_the_same_host(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with hosting(tmp_path / "a") as one, hosting(tmp_path / "b") as other:
        await sign_in(one.browser)
        # A browser's jar knows hosts, not ports.
        other.browser.cookies = one.browser.cookies
        await sign_in(other.browser)
        everything = other.browser.cookies

        for host in (one, other):
            host.browser.cookies = everything
            assert (await host.browser.get("/me")).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "evil.example:7103",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "0.0.0.0",
        "10.0.0.7",
        "[::2]",
        "127.0.0.1@evil.example",
        "",
    ],
)
async def test_on_loopback_a_name_that_was_pointed_at_us_reads_nothing(tmp_path, name):
    async with hosting(tmp_path) as host:
        await sign_in(host.browser)
        for path in ("/metrics", "/me", "/sign-in", "/hooks/form"):
            answer = await host.browser.get(path, headers={"host": name})

            assert (answer.status_code, "smarketing" in answer.text) == (421, False)


@pytest.mark.parametrize("name", ["localhost:1", "LOCALHOST", "127.0.0.1", "127.0.0.2:7103", "[::1]:7103"])
async def test_every_loopback_name_and_address_is_answered_whatever_port_was_forwarded(tmp_path, name):
    async with hosting(tmp_path) as host:
        assert (await host.browser.get("/metrics", headers={"host": name})).status_code == 200


async def test_where_others_can_reach_us_the_certificate_proves_the_name_instead(tmp_path):
    authority = Authority(tmp_path, "ours")
    pair = authority.sign("server")
    config = ServerConfig(
        http_listen="0.0.0.0:0", tls_certificate=pair.certificate, tls_key=pair.key, data_dir=tmp_path
    )
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    async with hosting(tmp_path, config=config, verify=trust) as host:
        page = await host.browser.get("/sign-in", headers={"host": "figures.example"})

        assert page.status_code == 200


async def test_guessing_is_slowed_down_and_even_the_right_token_must_wait_then(tmp_path):
    async with hosting(tmp_path) as host:
        wrong = [(await sign_in(host.browser, f"smk_minaminamina_{'x' * 64}")).status_code for _ in range(6)]
        right = await sign_in(host.browser)

        assert wrong == [401] * 5 + [429]
        assert right.status_code == 429
        assert 0 < int(right.headers["retry-after"]) <= 61


@pytest.mark.parametrize(
    "leads_to",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\r\nlocation: https://evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "me",
        "",
        "/sign-in?next=//evil.example",
        "/sign-out",
        f"/{'a' * 2000}",
    ],
)
async def test_sign_in_leads_nowhere_but_to_our_own_pages(tmp_path, leads_to):
    async with hosting(tmp_path) as host:
        answer = await host.browser.post("/sign-in", data={"token": TOKEN, "next": leads_to})

        assert answer.headers["location"] == "/"


async def test_words_in_the_address_are_not_html(tmp_path):
    async with hosting(tmp_path) as host:
        page = await host.browser.get("/sign-in", params={"next": '/"><script>alert(1)</script>'})

        assert "<script>" not in page.text


async def test_every_response_keeps_browsers_honest(tmp_path):
    async with hosting(tmp_path) as host:
        for path in ("/sign-in", "/me", "/metrics", "/nowhere"):
            headers = (await host.browser.get(path)).headers
            policy = headers["content-security-policy"]

            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers


async def test_a_room_that_proves_its_callers_itself_needs_no_session(tmp_path):
    async with hosting(tmp_path) as host:
        assert (await host.browser.post("/hooks/form", content=b"lead")).text == "lead"


async def test_a_form_over_the_limit_is_refused(tmp_path):
    async with hosting(tmp_path) as host:
        await sign_in(host.browser)

        assert (await host.browser.post("/me", content=b"x" * (1024 * 1024 + 1))).status_code == 413


async def test_metrics_hold_what_was_counted_and_no_created_series(tmp_path):
    async with hosting(tmp_path) as host:
        Counter("smarketing_probe_total", "A probe", registry=host.telemetry.registry).inc(3)
        text = (await host.browser.get("/metrics")).text

        assert re.search(r"^smarketing_probe_total 3\.0$", text, re.MULTILINE)
        assert 'smarketing_server_rejected_total{reason="draining"} 0.0' in text
        assert "_created" not in text


async def test_over_tls_the_cookie_is_secure_and_the_browser_told_to_stay(tmp_path):
    authority = Authority(tmp_path, "ours")
    pair = authority.sign("server")
    config = ServerConfig(
        http_listen="127.0.0.1:0", tls_certificate=pair.certificate, tls_key=pair.key, data_dir=tmp_path
    )
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    async with hosting(tmp_path, config=config, verify=trust) as host:
        signed_in = await sign_in(host.browser)

        assert "secure" in signed_in.headers["set-cookie"].lower()
        assert "strict-transport-security" in signed_in.headers


async def test_an_answer_is_not_held_back_until_its_head_is_acknowledged(tmp_path):
    host = HttpHost(ServerConfig(http_listen="127.0.0.1:0", data_dir=tmp_path), Starlette())
    with host._socket as listening:
        client = socket.create_connection(("127.0.0.1", host.port))
        accepted, _ = listening.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
