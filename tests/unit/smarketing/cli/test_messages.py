"""A message in a file is read as people write it and as `--format json` wrote it, faults with lines."""

import json
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import playbook_pb2 as playbookpb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.documents import document_of
from smarketing.cli.messages import message_in
from smarketing.mapping.yamltext import FileFaulty

PLAYBOOK = """kind: Playbook
max_takeovers: 0
claim_order: {score_advance_duration: 1h30m, value_step_minor_units: 5000}
stages:
  - {stage: DEMO, probability_percent: 20}
reason_codes:
  - {code: TOO_SMALL, use: reject, accountable_party: marketing, evidence_required: yes}
action_times:
  - {action: follow_up, due_duration: 4h}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "said.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_words_durations_and_zeros_mean_what_they_say(tmp_path: Path) -> None:
    playbook = message_in(written(tmp_path, PLAYBOOK), playbookpb.Playbook)

    expected = playbookpb.Playbook(
        max_takeovers=0,
        claim_order=playbookpb.ClaimOrder(
            score_advance_duration=Duration(seconds=5400), value_step_minor_units=5000
        ),
        stages=[playbookpb.OpportunityStage(stage="DEMO", probability_percent=20)],
        reason_codes=[
            leadspb.ReasonCode(
                code="TOO_SMALL",
                use=leadspb.ReasonCode.USE_REJECT,
                accountable_party=termspb.PARTY_MARKETING,
                evidence_required=True,
            )
        ],
        action_times=[
            playbookpb.ActionTime(
                action=leadspb.Handoff.NEXT_ACTION_FOLLOW_UP, due_duration=Duration(seconds=14_400)
            )
        ],
    )
    assert playbook == expected
    # Said to be 0 is not the same as not said.
    assert playbook.HasField("max_takeovers")


def test_what_json_shows_is_read_back_as_it_was(tmp_path: Path) -> None:
    submission = leadspb.Submission(
        source_system="web",
        external_id="1",
        contact=leadspb.Contact(email="jo@example.com", attributes={"shoe_size": "43"}),
        qualification=leadspb.Qualification(
            score=0, value=termspb.Money(currency_code="EUR", minor_units=1250)
        ),
    )
    submission.qualification.inquire_time.FromJsonString("2026-11-20T10:00:00.5Z")
    said = json.dumps(document_of(submission))

    assert message_in(written(tmp_path, said), leadspb.Submission) == submission


def test_an_amount_may_be_written_as_people_do(tmp_path: Path) -> None:
    said = "qualification: {value: 12.50 EUR, inquire_time: 2026-11-20T10:00:00+01:00}"
    submission = message_in(written(tmp_path, said), leadspb.Submission)

    assert submission.qualification.value == termspb.Money(currency_code="EUR", minor_units=1250)
    assert submission.qualification.inquire_time.ToJsonString() == "2026-11-20T09:00:00Z"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("colour: red", "said.yaml:1: colour is not known here"),
        ("kind: Agreement", "said.yaml:1: kind must be Playbook here"),
        ("max_takeovers: two", "said.yaml:1: max_takeovers 'two' is not a whole number"),
        ("max_takeovers: 3000000000", "said.yaml:1: max_takeovers is out of range"),
        ("stages:\n- {stage: [A]}", "said.yaml:2: stages[0].stage must be a single value"),
        ("stages: {stage: A}", "said.yaml:1: stages must be a list"),
        (
            "claim_order:\n  score_advance_duration: soon",
            "said.yaml:2: claim_order.score_advance_duration 'soon'",
        ),
        ("action_times:\n- {action: dance}", "said.yaml:2: action_times[0].action 'dance' is none of"),
        (
            "reason_codes:\n- {evidence_required: maybe}",
            "said.yaml:2: reason_codes[0].evidence_required 'maybe'",
        ),
        ("a: 1\n---\nb: 2", "must hold one document"),
        ("", "must hold one document"),
        ("[", "said.yaml:1:"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, said: str, fault: str) -> None:
    with pytest.raises(FileFaulty) as raised:
        message_in(written(tmp_path, said), playbookpb.Playbook)

    assert len(raised.value.faults) == 1
    assert fault in raised.value.faults[0]


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    said = "etag: [1]\nutm_rules:\n- {source_channel: pigeon}\nfield_owners: 3\n"
    with pytest.raises(FileFaulty) as raised:
        message_in(written(tmp_path, said), intakepb.IntakeRules)

    lines = [fault.partition("said.yaml:")[2].partition(":")[0] for fault in raised.value.faults]
    assert lines == ["1", "3", "4"]
