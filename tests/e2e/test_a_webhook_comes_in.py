"""A source is connected on the command line, and what it sends survives the process that took it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from smarketing import wallclock
from tests.builders.processes import an_installation, until
from tests.e2e.company import settled_in

pytestmark = pytest.mark.timeout(180)

LEAD = json.dumps(
    {
        "type": "lead.submitted",
        "data": {
            "external_id": "w-1",
            "contact": {"given_name": "Kim", "email": "kim@example.com"},
            "utm_source": "newsletter",
            "utm_medium": "email",
        },
    }
)
UNKNOWN = json.dumps({"type": "lead.sneezed", "data": {"external_id": "w-1"}})


def _signed(secret: str, body: str) -> dict[str, str]:
    at = datetime.fromtimestamp(int(wallclock.utc_now().timestamp()), tz=UTC)
    return {
        "content-type": "application/json",
        "webhook-id": "msg",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg", at, body),
    }


async def test_a_webhook_is_a_lead_for_ever_and_what_nobody_knows_is_set_aside(tmp_path: Path) -> None:
    with an_installation(tmp_path / "data") as installation:
        company = await settled_in(installation, "acme", tmp_path)
        mara = company.tokens["mara"]

        async def run(*arguments: str) -> Any:
            return await installation.json(*arguments, token=mara, tenant="acme")

        created = await run("sources", "create", "website", "generic")
        source, secret = created["source"], created["secret"]
        url = f"http://{installation.addresses['leads']['http']}{source['path']}"

        async def post(body: str) -> int:
            async with httpx.AsyncClient(trust_env=False) as http:
                try:
                    return (await http.post(url, content=body, headers=_signed(secret, body))).status_code
                except httpx.TransportError:
                    return 0

        assert await post(LEAD) == 200
        assert await post(UNKNOWN) == 200
        assert installation.kill("leads")
        await until(lambda: post(LEAD), lambda status: status == 200)

        listed = await run("leads", "list")
        [handoff] = listed["handoffs"]
        assert handoff["qualification"]["source_channel"] == "SOURCE_CHANNEL_EMAIL"
        [kept] = (await run("sources", "set-aside", source["name"]))["set_aside"]
        assert (kept["type"], kept["reason"]) == ("lead.sneezed", "TYPE_UNKNOWN")
        assert await run("sources", "replay", source["name"]) == {"tried_count": 1, "taken_count": 0}
        [shown] = (await run("sources", "list"))["sources"]
        assert shown["system"] == "tenants/acme/systems/website"
        assert "secret" not in json.dumps(shown)
        assert (await run("sources", "delete", source["name"]))["delete_time"]
        assert await post(LEAD) == 404
