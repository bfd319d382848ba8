"""A new tenant is measured after one command, and nothing that anybody made is touched by it."""

import re
import shlex
from pathlib import Path
from typing import Any, Final

from tests.builders.processes import ROOT, Installation
from tests.e2e.company import settled_in

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")


def the_line() -> list[str]:
    """Return what the README says to type, as a script would: nobody is there to ask."""
    line = re.search(r"^smarketing (apply --defaults)$", README, re.MULTILINE)
    assert line is not None
    return [*shlex.split(line[1]), "--yes"]


def kinds(answer: Any) -> list[tuple[str, str]]:
    return [(change["kind"], change["change"]) for change in answer["changes"]]


async def test_a_tenant_of_nobody_has_a_manager_hours_and_an_observing_agreement_at_once(
    installation: Installation,
) -> None:
    operator, tenant = installation.operator, "newborn"

    async def ask(*words: str) -> Any:
        return await installation.json(*words, token=operator, tenant=tenant)

    await ask("tenants", "create", tenant, "--time-zone", "Asia/Seoul", "--currency", "KRW")
    looked = await ask("apply", "--defaults", "--dry-run")
    begun = await ask(*the_line())
    again = await ask(*the_line())
    versions = (await ask("sla", "agreements"))["agreement_versions"]
    directory = await ask("directory", "get")
    tokens = (await ask("tokens", "list", "manager"))["tokens"]

    wanted = [("Directory", "added"), ("Calendar", "added"), ("Agreement", "added")]
    assert (looked["applied"], kinds(looked)) == (False, wanted)
    assert kinds(begun) == [*wanted, ("Agreement", "activated")]
    assert again["changes"] == []
    # Of both parties by one person, in force, and alerting nobody.
    assert [(each["state"], each["mode"], each["consent"]) for each in versions] == [
        ("STATE_ACTIVE", "MODE_OBSERVE", "CONSENT_ONE_PERSON_FOR_BOTH")
    ]
    assert (directory["time_zone"], directory["currency_code"]) == ("Asia/Seoul", "KRW")
    assert {each["manager"] for each in directory["teams"] + directory["queues"]} == {
        f"tenants/{tenant}/people/manager"
    }
    # What the word was given with is no way in any more.
    assert ["revoke_time" in token for token in tokens] == [True]


async def test_a_company_that_is_there_is_left_as_it_is(installation: Installation, tmp_path: Path) -> None:
    company = await settled_in(installation, "settled", tmp_path)
    token, tenant = installation.operator, company.tenant
    before = await installation.json("directory", "get", token=token, tenant=tenant)

    begun = await installation.json(*the_line(), token=token, tenant=tenant)
    after = await installation.json("directory", "get", token=token, tenant=tenant)

    assert begun["changes"] == []
    assert after == before
