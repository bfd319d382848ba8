"""The commands of people who work leads, against the real service."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.leads.usecases.bootstrap import token_file
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.cli.app import app
from tests.contract.leads.office import MAX, MIA, QUEUE, TENANT, Office, an_accept, an_office

ARTICLE = "https://crm.example.com/notes/4"


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    async with an_office(tmp_path) as opened:
        monkeypatch.setenv("SMARKETING_LEADS", f"127.0.0.1:{opened.leads.running.port}")
        monkeypatch.setenv("SMARKETING_TENANT", "acme")
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.delenv("SMARKETING_TOKEN_FILE", raising=False)
        opened.tokens["operator"] = token_file(tmp_path, "operator").read_text().strip()
        yield opened


async def run(office: Office, who: str, *args: str, given: str = "") -> Result:
    environ = {"SMARKETING_TOKEN": office.tokens[who]}
    return await asyncio.to_thread(CliRunner().invoke, app, list(args), input=given, env=environ)


async def document(office: Office, who: str, *args: str, given: str = "") -> Any:
    ran = await run(office, who, *args, "--format", "json", given=given)
    assert ran.exit_code == 0, ran.stderr
    return json.loads(ran.stdout)


def lead_of(handoff: leadspb.Handoff) -> str:
    return handoff.name.split("/")[3]


async def accepted(office: Office, number: int) -> leadspb.Handoff:
    handoff = await office.submit(number)
    stub: Any = office.stub
    taken: leadspb.Handoff = await stub.AcceptOffer(
        an_accept(handoff), metadata=office.of(handoff.offer.assignee)
    )
    return taken


async def test_a_disputed_rejection_is_answered_by_the_team_that_rejected(office: Office) -> None:
    handoff = await office.submit(1)
    short = f"{lead_of(handoff)}/1"
    who = handoff.offer.assignee
    await document(office, who, "leads", "reject", short, "--reason", "NO_CAPACITY")
    await document(office, MAX, "leads", "dispute", short, "--evidence", ARTICLE)

    waiting = await document(office, MIA, "leads", "disputes", "--state", "open")
    answered = await document(office, MIA, "leads", "resolve", short, "overturned")
    again = await run(office, MIA, "leads", "resolve", short, "upheld")
    handed = await document(office, MIA, "leads", "get", short)

    assert [each["evidence"] for each in waiting["disputes"]] == [ARTICLE]
    assert answered["state"] == "STATE_OVERTURNED"
    assert handed["state"] == "STATE_OFFERED"
    assert handed["offer"]["assignee"] == QUEUE
    assert (again.exit_code, "DISPUTE_FINAL" in again.stderr) == (1, True)


async def test_leads_that_are_one_person_are_merged_and_parted_again(office: Office) -> None:
    kept, other = [lead_of(await office.submit(number)) for number in (1, 2)]

    merged = await document(office, MIA, "leads", "merge", kept, other)
    early = await run(office, MIA, "leads", "not-the-same", kept, other)
    await document(office, MIA, "leads", "unmerge", other)
    await document(office, MIA, "leads", "not-the-same", kept, other)
    refused = await run(office, MIA, "leads", "merge", kept, other)
    told = await document(office, MIA, "leads", "distinctions", other)
    await document(office, MIA, "leads", "not-the-same", other, kept, "--withdraw")

    assert merged["merged_handoffs"] == [f"{TENANT}/leads/{other}/handoffs/1"]
    assert (early.exit_code, "LEADS_MERGED" in early.stderr) == (1, True)
    assert (refused.exit_code, "LEADS_DISTINGUISHED" in refused.stderr) == (1, True)
    assert [each["person"] for each in told["distinctions"]] == [MIA]
    assert (await document(office, MIA, "leads", "distinctions"))["distinctions"] == []


async def test_work_is_planned_replied_to_and_told_as_a_story(office: Office) -> None:
    handoff = await accepted(office, 1)
    short, owner = f"{lead_of(handoff)}/1", handoff.owner

    early = await run(office, owner, "leads", "plan", short, "--due", "2020-01-05T09:00:00Z")
    await document(office, owner, "leads", "log", short, "--channel", "email")
    replied = await document(office, owner, "leads", "reply", short, "--channel", "email")
    upcoming = await document(office, owner, "leads", "next")
    story = await document(office, owner, "leads", "timeline", lead_of(handoff))

    assert early.exit_code == 1
    assert "due_time" in early.stderr
    assert replied["contact"] is True
    assert [each["handoff"] for each in upcoming["next_steps"]] == [handoff.name]
    assert [each["type"] for each in story["entries"]][:3] == [
        "HandoffSubmitted",
        "HandoffOffered",
        "HandoffAccepted",
    ]
    assert "kim1@example.com" not in (await run(office, owner, "leads", "timeline", lead_of(handoff))).stdout


async def test_an_erasure_wants_a_yes_and_an_export_is_for_its_owner_alone(
    office: Office, tmp_path: Path
) -> None:
    lead = lead_of(await office.submit(1))
    file = tmp_path / "kim.json"

    exported = await run(office, MAX, "leads", "export", lead, "--output", str(file))
    unsure = await run(office, MAX, "leads", "erase", "--email", "-", given="kim1@example.com\n")
    still_there = await document(office, MIA, "leads", "get", lead)
    erased = await document(
        office, MAX, "leads", "erase", "--email", "-", "--yes", given="KIM1@example.com\n"
    )
    gone = await document(office, MIA, "leads", "get", lead)

    assert json.loads(file.read_text())["leads"][0]["contact"]["email"] == "kim1@example.com"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (exported.stdout, unsure.exit_code, "--yes" in unsure.stderr) == ("", 2, True)
    assert still_there["contact"]["email"] == "kim1@example.com"
    assert [each["lead"] for each in erased["erasures"]] == [f"{TENANT}/leads/{lead}"]
    assert ("contact" in gone, "erase_time" in gone) == (False, True)


async def test_a_consent_is_recorded_and_its_note_is_on_no_table(office: Office) -> None:
    lead = lead_of(await office.submit(1))
    said = ("leads", "consent", lead, "marketing_email", "granted", "--source", "form", "--note", "-")
    await run(office, MAX, *said, given="ticked by Kim\n")

    told = await document(office, MAX, "leads", "consents", lead)
    shown = await run(office, MAX, "leads", "consents", lead)

    assert [(each["state"], each["note"]) for each in told["consents"]] == [
        ("STATE_GRANTED", "ticked by Kim")
    ]
    assert "marketing_email" in shown.stdout
    assert "Kim" not in shown.stdout


SCORE_MODEL = """kind: ScoreModel
display_name: First
fit_rules:
  - {rule_id: retail, field: segment, operator: one_of, values: [retail], points: 10}
max_fit_points: 10
engagement_rules:
  - {rule_id: visits, kinds: [page_visited], points: 5, max_points: 10}
max_engagement_points: 10
fit_grades: [{grade: A, from_points: 10}, {grade: B, from_points: 0}]
engagement_levels: [{level: "1", from_points: 5}, {level: "2", from_points: 0}]
cells:
  - {grade: A, level: "1", score: 90}
  - {grade: A, level: "2", score: 60}
  - {grade: B, level: "1", score: 50}
  - {grade: B, level: "2", score: 10}
bands: [{band: HOT, from_score: 80}, {band: COLD, from_score: 0}]
"""
BEHAVIOUR_MAP = """kind: Behaviours
fields:
  external_id: {column: id}
  kind: {column: kind, values: {visit: page_visited}}
  occur_time: {column: at}
  behaviour_external_id: {column: "no"}
"""


async def test_a_model_from_a_file_rates_by_what_another_file_says_leads_did(
    office: Office, tmp_path: Path
) -> None:
    lead = lead_of(await office.submit(1))
    for name, text in {
        "model.yaml": SCORE_MODEL,
        "map.yaml": BEHAVIOUR_MAP,
        "visits.csv": "id,kind,at,no\nform-1,visit,2026-01-01,1\nform-1,jump,2026-01-01,2\n",
    }.items():
        (tmp_path / name).write_text(text)
    paths = {name: str(tmp_path / name) for name in ("model.yaml", "map.yaml", "visits.csv")}

    proposed = await document(office, MAX, "leads", "score", "propose", paths["model.yaml"])
    active = await document(office, MAX, "leads", "score", "activate", "1")
    behaviour = ("leads", "behaviour", "import", paths["visits.csv"], "--map", paths["map.yaml"])
    imported = await run(office, MAX, *behaviour, "--source-system", "website", "--format", "json")
    explained = await document(office, MIA, "leads", "score", "explain", lead)
    shown = await run(office, MIA, "leads", "score", "explain", lead)
    listed = await document(office, MIA, "leads", "score", "models")

    report = json.loads(imported.stdout)
    assert (imported.exit_code, report["outcomes"], report["rejected"]) == (5, {"recorded": 1}, 1)
    assert proposed["state"] == "STATE_PROPOSED"
    assert active["etag"] != proposed["etag"]
    assert explained["fit_points"] == 10
    assert {each["rule_id"] for each in explained["reasons"]} == {"retail", "visits"}
    assert "+10" in shown.stdout
    assert [each["state"] for each in listed["score_models"]] == ["STATE_ACTIVE"]


async def test_marketing_proposes_what_is_qualified_and_sales_puts_it_in_force(
    office: Office, tmp_path: Path
) -> None:
    file = tmp_path / "mql.yaml"
    file.write_text("display_name: First\nhand_raise: {lead_types: [demo]}\nrequired_fields: [company]\n")

    await document(office, MAX, "leads", "mql", "propose", str(file))
    denied = await run(office, MAX, "leads", "mql", "activate", "1")
    active = await document(office, MIA, "leads", "mql", "activate", "1")

    assert (denied.exit_code, active["state"]) == (3, "STATE_ACTIVE")
    assert "company" in (await run(office, MIA, "leads", "mql", "show", "1")).stdout


async def test_an_opportunity_moves_through_stages_and_keeps_its_history(office: Office) -> None:
    handoff = await accepted(office, 1)
    short, owner = f"{lead_of(handoff)}/1", handoff.owner
    made = await document(office, owner, "leads", "convert", short, "--amount", "1000.00 EUR")
    name = made["name"].rpartition("/")[2]

    changed = await document(office, owner, "opportunities", "update", name, "--stage", "PROPOSAL")
    idle = await run(office, owner, "opportunities", "update", name)
    await document(office, owner, "opportunities", "milestone", name, "proposal_sent")
    await document(office, owner, "leads", "close", name, "lost", "--reason", "PRICE")
    opened = await document(office, owner, "opportunities", "reopen", name)
    history = await document(office, owner, "opportunities", "history", name)

    assert changed["stage"] == "PROPOSAL"
    assert idle.exit_code == 2
    assert opened["state"] == "STATE_OPEN"
    assert [each["kind"] for each in history["changes"]][:2] == ["KIND_UPDATED", "KIND_PROPOSAL_SENT"]


async def test_what_the_field_heard_is_listed_without_its_words(office: Office) -> None:
    handoff = await accepted(office, 1)
    heard = ("feedback", "record", f"{lead_of(handoff)}/1", "--type", "price", "--theme", "too-dear")
    kept = await document(office, handoff.owner, *heard, "--verbatim", "-", given="Kim says no\n")
    name = kept["name"].rpartition("/")[2]

    done = await document(office, MAX, "feedback", "status", name, "in-progress")
    shown = await run(office, MAX, "feedback", "list", "--status", "in_progress")

    assert done["status"] == "STATUS_IN_PROGRESS"
    assert "too-dear" in shown.stdout
    assert "Kim" not in shown.stdout


async def test_a_preview_tells_one_leads_fate_and_a_days_load(office: Office, tmp_path: Path) -> None:
    handoffs = [await office.submit(number) for number in range(4)]
    directory = await document(office, MIA, "directory", "get")
    day = handoffs[0].submit_time.ToJsonString()[:10]
    file = tmp_path / "lead.yaml"
    file.write_text("source_system: website\nexternal_id: new\ncontact: {email: new@example.com}\n")

    one = await document(office, MIA, "routing", "preview", "--lead-file", str(file))
    start, end = f"{day}T00:00:00Z", handoffs[-1].submit_time.ToJsonString()
    span = await document(office, MIA, "routing", "preview", "--start", start, "--end", end)
    today = await run(office, MIA, "routing", "preview", "--day", day)
    both = await run(office, MIA, "routing", "preview", "--day", day, "--start", start, "--end", end)
    load = await document(office, MIA, "routing", "load")

    assert directory["time_zone"] == "Europe/Berlin"
    assert one["assignee"] in {handoff.offer.assignee for handoff in handoffs}
    # The end is not included, and nothing was decided anew: four are there, and four turns were given.
    assert (span["handoff_count"], [rule["turn_count"] for rule in load["rules"]]) == (3, [4])
    assert today.exit_code == 0
    assert both.exit_code == 2


async def test_a_saved_playbook_applied_again_changes_nothing(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "playbook.json"
    shown = await run(office, "operator", "playbook", "show", "--format", "json")
    file.write_text(shown.stdout.replace('"max_takeovers": 2', '"max_takeovers": 4'))

    first = await run(office, "operator", "playbook", "apply", str(file))
    stale = await run(office, "operator", "playbook", "apply", str(file))
    file.write_text((await run(office, "operator", "playbook", "show", "--format", "json")).stdout)
    again = await run(office, "operator", "playbook", "apply", str(file))

    assert "max_takeovers" in first.stdout
    assert (stale.exit_code, "ETAG_STALE" in stale.stderr) == (1, True)
    assert (again.exit_code, "nothing" in again.stdout) == (0, True)


async def test_rules_of_intake_come_from_a_file_with_its_faults_told(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("utm_rules:\n  - {source: linkedin, medium: cpc, source_channel: pigeon}\n")
    faulty = await run(office, "operator", "intake", "apply", str(file))
    file.write_text(file.read_text().replace("pigeon", "social_paid"))
    await document(office, "operator", "intake", "apply", str(file))
    rules = await document(office, "operator", "intake", "rules")

    assert (faulty.exit_code, f"{file}:2: utm_rules[0].source_channel" in faulty.stderr) == (2, True)
    assert [each["source_channel"] for each in rules["utm_rules"]] == ["SOURCE_CHANNEL_SOCIAL_PAID"]


async def test_a_tenants_quota_changes_where_it_is_told_to(office: Office) -> None:
    made = ("tenants", "create", "globex", "--time-zone", "Asia/Seoul", "--currency", "KRW")
    await document(office, "operator", *made)
    await document(office, "operator", "tenants", "set-quota", "globex", "--leads-per-day", "100")
    await document(office, "operator", "tenants", "set-quota", "globex", "--streams", "5")

    shown = await document(office, "operator", "tenants", "show", "globex")
    listed = await document(office, "operator", "tenants", "list")
    denied = await run(office, MIA, "tenants", "list")

    assert shown["quota"] == {"calls_per_second": 0, "leads_per_day": 100, "streams": 5}
    assert "tenants/globex" in [each["name"] for each in listed["tenants"]]
    assert denied.exit_code == 3


async def test_who_leaves_hands_over_and_a_token_is_replaced(office: Office) -> None:
    handoff = await accepted(office, 1)
    person = handoff.owner.rpartition("/")[2]
    tokens = await document(office, "operator", "tokens", "list", person)
    token = tokens["tokens"][0]["name"]

    rotated = await run(office, "operator", "tokens", "rotate", token, "--overlap", "0s")
    looked = await document(office, "operator", "directory", "offboard", person, "--dry-run")
    unsure = await run(office, "operator", "directory", "offboard", person)
    office.tokens["fresh"] = rotated.stdout.strip()
    still = await run(office, "fresh", "leads", "offers")
    done = await document(office, "operator", "directory", "offboard", person, "--yes")

    assert [each["handoff"] for each in looked["moves"]] == [handoff.name]
    assert (unsure.exit_code, "--yes" in unsure.stderr, still.exit_code) == (2, True, 0)
    assert done["move_count"] == 1


async def test_people_are_not_erased_by_a_new_retention_without_a_yes(office: Office) -> None:
    first = await document(office, "operator", "privacy", "set", "--retention", "730d")
    kept = await document(office, "operator", "privacy", "set", "--on-return", "take_in")
    for_ever = await document(office, "operator", "privacy", "set", "--retention", "never")

    assert first["settings"]["retention_duration"] == f"{730 * 86_400}s"
    assert kept["settings"]["retention_duration"] == f"{730 * 86_400}s"
    assert kept["settings"]["on_return"] == "ON_RETURN_TAKE_IN"
    assert "retention_duration" not in for_ever["settings"]


async def test_a_list_of_nothing_says_so_and_leaves_standard_output_empty(office: Office) -> None:
    shown = await run(office, MIA, "leads", "disputes")
    listed = await document(office, MIA, "leads", "disputes")

    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "There is nothing to show.\n")
    assert listed == {"disputes": [], "more": False}


@pytest.mark.parametrize(
    ("who", "fault", "knows_the_head"),
    [("operator", False, True), (MIA, False, False), ("stranger", True, False)],
)
async def test_status_calls_it_a_fault_that_a_token_is_unknown_but_not_that_it_may_not_read_logs(
    office: Office, monkeypatch: pytest.MonkeyPatch, who: str, fault: bool, knows_the_head: bool
) -> None:
    office.tokens["stranger"] = "no-token-of-anybody"
    monkeypatch.setenv("SMARKETING_SLA", "127.0.0.1:1")
    monkeypatch.setenv("SMARKETING_REPORTS", "127.0.0.1:1")

    ran = await run(office, who, "status", "--timeout", "1s", "--format", "json")
    leads, sla, _reports = json.loads(ran.stdout)["services"]

    assert ran.exit_code == 4, "two of three do not run"
    assert leads["live"]
    assert (bool(leads["fault"]), leads["head_position"] is not None) == (fault, knows_the_head)
    assert sla["fault"]
