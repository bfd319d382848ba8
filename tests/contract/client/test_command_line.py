"""The `smarketing` command against a real server: what it prints, and what it ends with."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.cli.app import app
from tests.contract.client.fake_leads import Failure, FakeLeads, Running, run_fake

NAME = "tenants/default/leads/a/handoffs/1"
LEADS_MAP = """kind: Leads
fields:
  source_system: {constant: shop}
  external_id: {column: id}
  qualification.score: {column: score}
"""


class Desk:
    """A fake on a server in a thread of its own, and the command beside it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fake = FakeLeads()
        self._monkeypatch = monkeypatch
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._running: Running = self._within(run_fake(self.fake))
        for name in ("TOKEN", "TOKEN_FILE", "TENANT", "TLS"):
            monkeypatch.delenv(f"SMARKETING_{name}", raising=False)
        monkeypatch.setenv("SMARKETING_LEADS", self._running.target)

    def run(self, *args: str) -> Result:
        """Run the command in this process."""
        return CliRunner().invoke(app, list(args))

    def stop(self) -> None:
        """Take the server away; the port stays free."""
        self._within(self._running.server.stop(None))

    def close(self) -> None:
        """Stop the server and its thread."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _within(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(monkeypatch)
    yield desk
    desk.close()


def a_handoff(**fields: Any) -> leadspb.Handoff:
    return leadspb.Handoff(name=NAME, state=leadspb.Handoff.STATE_OFFERED, **fields)


def files(tmp_path: Path, rows: str, mapping: str = LEADS_MAP) -> tuple[str, str, str]:
    table, map_file = tmp_path / "rows.csv", tmp_path / "map.yaml"
    table.write_text(f"id,score\n{rows}", encoding="utf-8")
    map_file.write_text(mapping, encoding="utf-8")
    return str(table), "--map", str(map_file)


# What is shown


def test_json_has_every_field_of_the_contract_in_its_order(desk: Desk) -> None:
    desk.fake.handoffs = [a_handoff(follow_up_count=3)]

    result = desk.run("leads", "get", "a/1", "--format", "json")

    document = json.loads(result.stdout)
    fields = [field.name for field in leadspb.Handoff.DESCRIPTOR.fields]
    assert [name for name in fields if name in document] == list(document)
    assert document["state"] == "STATE_OFFERED"
    assert document["follow_up_count"] == 3
    assert document["owner"] == ""
    assert "accept_time" not in document
    assert result.exit_code == 0


def test_a_list_in_json_is_one_document_that_says_whether_it_goes_on(desk: Desk) -> None:
    desk.fake.handoffs = [leadspb.Handoff(name=f"tenants/default/leads/{n}/handoffs/1") for n in range(5)]

    cut = json.loads(desk.run("--format", "json", "leads", "list", "--limit", "3").stdout)
    whole = json.loads(desk.run("leads", "list", "--all", "--format=json").stdout)

    assert (len(cut["handoffs"]), cut["more"]) == (3, True)
    assert (len(whole["handoffs"]), whole["more"]) == (5, False)


def test_a_pipe_gets_no_colours_and_no_signs_that_steer_a_terminal(desk: Desk) -> None:
    evil = leadspb.Qualification(source="\x1b[2Jgone\x07\u202e")
    desk.fake.handoffs = [a_handoff(qualification=evil)]

    result = desk.run("leads", "list")

    assert "gone" in result.stdout
    assert not any(sign in result.stdout for sign in ("\x1b", "\x07", "\u202e"))


def test_the_tenant_option_may_stand_anywhere(desk: Desk) -> None:
    desk.run("leads", "get", "a/1", "--tenant", "acme")

    assert desk.fake.requests[0].name == "tenants/acme/leads/a/handoffs/1"


def test_accepting_a_handoff_answers_its_offer_with_its_fencing_token(desk: Desk) -> None:
    offer = leadspb.Offer(name=f"{NAME}/offers/7", fencing_token=7)
    desk.fake.handoffs = [a_handoff(offer=offer)]

    result = desk.run("leads", "accept", "a/1", "--person", "kim")

    request = desk.fake.requests[-1]
    assert (request.name, request.fencing_token) == (offer.name, 7)
    assert request.person == "tenants/default/people/kim"
    assert result.exit_code == 0


def test_the_token_comes_from_a_file(desk: Desk, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("smk_abc_secret\n", encoding="utf-8")

    desk.run("leads", "list", "--token-file", str(token))

    assert desk.fake.metadata[0]["authorization"] == "Bearer smk_abc_secret"


def test_a_log_is_read_from_a_position(desk: Desk) -> None:
    desk.fake.event_count = 9

    document = json.loads(desk.run("events", "--after", "6", "--format", "json").stdout)

    assert [event["position"] for event in document["events"]] == [7, 8, 9]
    assert document["head_position"] == 9


# What it ends with


def test_a_refusal_says_what_why_where_and_what_to_do(desk: Desk) -> None:
    desk.fake.failures.append(
        Failure(
            code=grpc.StatusCode.INVALID_ARGUMENT,
            reason="SUBMISSION_INVALID",
            message="Correct the address.",
            field="submission.contact.email",
        )
    )

    result = desk.run("leads", "submit", "--source-system", "w", "--external-id", "1", "--email", "jo@")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Refused: leads submit",
        "  reason: SUBMISSION_INVALID",
        "  field:  submission.contact.email: an address",
        "  do:     Correct the address.",
    ]


def test_a_refusal_in_json_is_a_document_on_standard_error(desk: Desk) -> None:
    result = desk.run("leads", "get", "b/1", "--format", "json")

    error = json.loads(result.stderr)["error"]
    assert (error["code"], error["reason"]) == ("NOT_FOUND", "HANDOFF_UNKNOWN")
    assert error["metadata"] == {"handoff": "tenants/default/leads/b/handoffs/1"}


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, 1),
        (grpc.StatusCode.NOT_FOUND, 1),
        (grpc.StatusCode.UNAUTHENTICATED, 3),
        (grpc.StatusCode.PERMISSION_DENIED, 3),
        (grpc.StatusCode.INTERNAL, 4),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 4),
    ],
)
def test_exit_codes_tell_refused_denied_and_unanswered_apart(
    desk: Desk, code: grpc.StatusCode, exit_code: int
) -> None:
    desk.fake.failures.append(Failure(code=code, reason="R"))

    assert desk.run("leads", "get", "a/1").exit_code == exit_code


def test_a_service_that_is_away_is_exit_code_4(desk: Desk) -> None:
    desk.stop()

    assert desk.run("leads", "get", "a/1").exit_code == 4


@pytest.mark.parametrize(
    "args",
    [
        ("leads", "get"),
        ("leads", "list", "--state", "nowhere"),
        ("leads", "log", "a/1", "--channel", "call", "--at", "2026-01-01T00:00"),
        ("leads", "get", "a/1", "--timeout", "soon"),
        ("leads", "get", "a/1", "--tenant", "No Tenant"),
        ("leads", "convert", "a/1", "--amount", "12.345 EUR"),
    ],
)
def test_a_wrong_line_is_exit_code_2_and_sends_nothing(desk: Desk, args: tuple[str, ...]) -> None:
    result = desk.run(*args)

    assert result.exit_code == 2
    assert desk.fake.requests == []


def test_a_token_is_not_sent_in_clear_text_to_another_machine(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMARKETING_TOKEN", "smk_abc_secret")
    monkeypatch.setenv("SMARKETING_LEADS", "leads.example.com:7001")
    monkeypatch.setenv("SMARKETING_TLS", "false")

    result = desk.run("leads", "list")

    assert result.exit_code == 2
    assert "never sent in clear text" in result.stderr
    assert "secret" not in result.stderr


# Imports


def test_bad_rows_are_put_aside_and_the_others_are_taken(desk: Desk, tmp_path: Path) -> None:
    table, option, mapping = files(tmp_path, "s-1,10\nbad-2,10\ns-3,many\ns-4\n,5\ns-6,\n")

    result = desk.run("leads", "import", table, option, mapping, "--format", "json")

    report = json.loads(result.stdout)
    assert result.exit_code == 5
    assert report["outcomes"] == {"created": 2}
    assert (report["rows"], report["sent"], report["rejected"]) == (6, 3, 4)
    rejected = (tmp_path / "rows.csv.rejected.csv").read_text(encoding="utf-8").splitlines()
    assert rejected[0] == "line,reason,id,score"
    assert sorted(int(line.split(",")[0]) for line in rejected[1:]) == [3, 4, 5, 6]
    assert any(line.startswith("3,SUBMISSION_INVALID: contact.email") for line in rejected)


def test_an_import_is_history_unless_it_is_said_to_be_live(desk: Desk, tmp_path: Path) -> None:
    table, option, mapping = files(tmp_path, "s-1,1\n")

    desk.run("leads", "import", table, option, mapping)
    desk.run("leads", "import", table, option, mapping, "--still-open", "--restart")
    desk.run("leads", "import", table, option, mapping, "--live", "--restart")

    history, still_open, live = (batch.submissions[0] for batch in desk.fake.batches)
    assert (history.HasField("history"), history.history.still_open) == (True, False)
    assert still_open.history.still_open
    assert not live.HasField("history")


def test_a_finished_import_sends_nothing_again(desk: Desk, tmp_path: Path) -> None:
    table, option, mapping = files(tmp_path, "".join(f"s-{n},1\n" for n in range(450)))
    desk.run("leads", "import", table, option, mapping)
    sent_first = len(desk.fake.batches)

    report = json.loads(desk.run("leads", "import", table, option, mapping, "--format", "json").stdout)

    assert (report["skipped"], report["sent"]) == (450, 0)
    assert len(desk.fake.batches) == sent_first


def test_an_interrupted_import_sends_only_rows_without_an_answer(desk: Desk, tmp_path: Path) -> None:
    table, option, mapping = files(tmp_path, "".join(f"s-{n},1\n" for n in range(1_000)))
    desk.fake.refuse_after = 2

    broken = desk.run("leads", "import", table, option, mapping)
    settled = int(broken.stderr.split()[0])
    desk.fake.refuse_after = None
    received_before = len(desk.fake.batches)
    report = json.loads(desk.run("leads", "import", table, option, mapping, "--format", "json").stdout)

    assert broken.exit_code == 3
    assert settled in {0, 200, 400}
    assert report["skipped"] == settled
    assert report["sent"] == 1_000 - settled
    sent = [item.external_id for batch in desk.fake.batches[received_before:] for item in batch.submissions]
    assert sent == [f"s-{n}" for n in range(settled, 1_000)]
    assert len(desk.fake.kept) == 1_000


def test_a_state_of_another_mapping_is_refused(desk: Desk, tmp_path: Path) -> None:
    table, option, mapping = files(tmp_path, "s-1,1\n")
    desk.run("leads", "import", table, option, mapping)
    Path(mapping).write_text(LEADS_MAP.replace("shop", "store"), encoding="utf-8")

    result = desk.run("leads", "import", table, option, mapping)

    assert result.exit_code == 2
    assert "mapping_sha256" in result.stderr
    assert len(desk.fake.batches) == 1


def test_a_faulty_mapping_sends_nothing(desk: Desk, tmp_path: Path) -> None:
    table, option, mapping = files(tmp_path, "s-1,1\n", LEADS_MAP + "  contact.mail: {column: id}\n")

    result = desk.run("leads", "import", table, option, mapping)

    assert result.exit_code == 2
    assert f"{mapping}:6: fields.contact.mail is no field" in result.stderr
    assert desk.fake.batches == []


def test_outcomes_are_imported_from_the_same_kind_of_file(desk: Desk, tmp_path: Path) -> None:
    table, map_file = tmp_path / "deals.csv", tmp_path / "map.yaml"
    table.write_text("id,stage,closed,value\n1,Won,2017-03-01,1054\n2,Open,,\n3,Lost,2017-03-02,0\n")
    map_file.write_text(
        """kind: Outcomes
when: {stage: [Won, Lost]}
fields:
  source_system: {constant: shop}
  external_id: {column: id}
  state: {column: stage, values: {Won: won, Lost: lost}}
  occur_time: {column: closed}
  amount: {column: value, currency: USD, zero_is_absent: true}
"""
    )

    result = desk.run("outcomes", "import", str(table), "--map", str(map_file), "--format", "json")

    won, lost = desk.fake.batches[0].outcomes
    assert json.loads(result.stdout)["passed_over"] == 1
    assert (won.state, won.amount.minor_units) == (leadspb.Opportunity.STATE_WON, 105_400)
    assert (lost.state, lost.HasField("amount")) == (leadspb.Opportunity.STATE_LOST, False)


def test_a_call_waits_no_longer_than_it_is_told(desk: Desk) -> None:
    desk.fake.is_silent = True

    result = desk.run("leads", "get", "a/1", "--timeout", "1s")

    assert result.exit_code == 4
    assert "larger --timeout" in result.stderr
