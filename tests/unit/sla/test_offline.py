import io
import json
import os
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from services.sla.usecases.offline import Evaluator, evaluate_lines
from tests.builders.sla import AROUND_THE_CLOCK, OFFICE

SEOUL = {"tz": "Asia/Seoul", "hours": OFFICE, "holidays": ["2026-09-24"]}
CLOCK = {"name": "c", "target_seconds": 4 * 3600, "start": "go", "stop": ["done"]}


def ask(case: object) -> dict[str, object]:
    text, _ = Evaluator().answer(case if isinstance(case, str) else json.dumps(case))
    return json.loads(text)


def result(kind: str, calendar: dict[str, object] = SEOUL, **given: object) -> dict[str, object]:
    return ask({"id": "x", "kind": kind, "calendar": calendar, "input": given})["result"]


def clock(*events: tuple[str, str], as_of: str, **changes: object) -> dict[str, object]:
    """The one clock asked for; `10:00` is on Monday 2026-09-21, `22 10:00` on another day of that month."""
    answer = result(
        "clock",
        clocks=[{**CLOCK, **changes}],
        events=[{"at": instant(time), "type": kind} for time, kind in events],
        as_of=instant(as_of),
    )
    return answer["clocks"].get("c")


def instant(text: str) -> str:
    day, _, time = text.rpartition(" ")
    return f"2026-09-{day or '21'}T{time}+09:00"


def error(**changes: object) -> str:
    case = {"id": "x", "kind": "is_open", "calendar": SEOUL, "input": {"at": instant("10:00")}, **changes}
    return ask(case)["error"]["code"]


def test_a_due_instant_is_written_with_the_offset_of_the_calendars_zone():
    due = result("add_business_time", start="2026-09-21T00:30:00Z", amount_seconds=3600)

    assert due == {"due": "2026-09-21T10:30:00+09:00"}


def test_a_fraction_of_a_second_is_exact_and_a_whole_one_has_no_decimals():
    whole, _ = Evaluator().answer(
        json.dumps(
            {
                "id": 7,
                "kind": "business_between",
                "calendar": {"tz": "Etc/UTC", "hours": AROUND_THE_CLOCK},
                "input": {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59.999999Z"},
            }
        )
    )

    assert whole == '{"id": 7, "result": {"seconds": 315537897599.999999}}'
    assert result("business_between", start=instant("09:00"), end=instant("12:00")) == {"seconds": 10800}
    assert result("business_between", start=instant("12:00"), end=instant("09:00")) == {"seconds": -10800}


def test_an_amount_with_decimals_is_taken_exactly():
    line = json.dumps({"id": "x", "kind": "add_business_time", "calendar": SEOUL})[:-1]
    line += f', "input": {{"start": "{instant("09:00")}", "amount_seconds": 0.100001}}}}'

    assert ask(line)["result"] == {"due": "2026-09-21T09:00:00.100001+09:00"}


def test_a_case_may_have_other_keys():
    assert ask(
        {"id": "x", "kind": "is_open", "calendar": SEOUL, "input": {"at": instant("10:00")}, "note": 1}
    ) == {
        "id": "x",
        "result": {"open": True},
    }


def test_a_clock_that_has_not_started_is_left_out():
    assert clock(("10:00", "go"), as_of="09:30") is None
    assert clock(("10:00", "done"), as_of="22 10:00") is None


@pytest.mark.parametrize(
    ("as_of", "state"),
    [("14:00", "RUNNING"), ("14:00:00.000001", "BREACHED")],
)
def test_at_due_the_clock_still_runs_and_at_any_later_instant_it_is_breached(as_of, state):
    shown = clock(("10:00", "go"), as_of=as_of)

    assert shown["state"] == state
    assert ("breached" in shown) == (state == "BREACHED")


@pytest.mark.parametrize(("done", "state"), [("14:00", "MET"), ("14:00:00.000001", "BREACHED")])
def test_a_stop_exactly_at_due_is_met(done, state):
    assert clock(("10:00", "go"), (done, "done"), as_of="22 10:00")["state"] == state


def test_a_late_stop_ends_the_elapsed_time_and_clears_nothing():
    shown = clock(("10:00", "go"), ("16:00", "done"), as_of="22 18:00")

    assert shown["state"] == "BREACHED"
    assert shown["breached"] == instant("14:00:00")
    assert (shown["elapsed_seconds"], shown["remaining_seconds"]) == (6 * 3600, -2 * 3600)


def test_a_clock_paused_overnight_does_not_breach_at_dawn():
    shown = clock(("14:00", "go"), ("17:00", "paused"), ("22 10:00", "resumed"), as_of="22 10:30")

    # An hour was left; two open hours lay inside the pause.
    assert shown == {
        "state": "RUNNING",
        "original_due": instant("18:00:00"),
        "due": instant("22 11:00:00"),
        "elapsed_seconds": 3.5 * 3600,
        "remaining_seconds": 1800,
        "paused_seconds": 7200,
    }


def test_a_paused_clock_cannot_breach_and_shows_its_due_where_it_stood():
    shown = clock(("10:00", "go"), ("13:00", "paused"), as_of="25 12:00")

    assert (shown["state"], shown["due"]) == ("PAUSED", instant("14:00:00"))
    assert shown["remaining_seconds"] == 3600


def test_a_stop_inside_a_pause_ends_it_and_is_met_when_the_pause_began_before_due():
    shown = clock(("10:00", "go"), ("13:00", "paused"), ("16:00", "done"), as_of="22 18:00")

    assert (shown["state"], shown["due"]) == ("MET", instant("17:00:00"))
    assert (shown["elapsed_seconds"], shown["paused_seconds"]) == (3 * 3600, 3 * 3600)


def test_a_pause_from_the_due_instant_on_does_not_move_it_but_is_left_out_of_elapsed_time():
    shown = clock(
        ("10:00", "go"), ("14:00", "paused"), ("15:00", "resumed"), ("16:00", "done"), as_of="22 18:00"
    )

    assert (shown["state"], shown["due"]) == ("BREACHED", instant("14:00:00"))
    assert (shown["elapsed_seconds"], shown["paused_seconds"]) == (5 * 3600, 3600)


def test_a_pause_already_open_counts_from_the_start():
    shown = clock(("09:00", "paused"), ("10:00", "go"), ("11:00", "resumed"), as_of="12:00")

    assert (shown["due"], shown["paused_seconds"]) == (instant("15:00:00"), 3600)


def test_overlapping_pauses_are_united():
    shown = clock(
        ("10:00", "go"),
        ("11:00", "p"),
        ("11:30", "q"),
        ("12:00", "r"),
        ("12:30", "s"),
        as_of="12:45",
        pauses=[["p", "r"], ["q", "s"]],
    )

    assert (shown["due"], shown["paused_seconds"]) == (instant("15:30:00"), 5400)


def test_a_second_pause_inside_one_of_its_pair_and_a_resume_without_one_are_ignored():
    shown = clock(
        ("10:00", "go"),
        ("10:30", "resumed"),
        ("11:00", "paused"),
        ("11:30", "paused"),
        ("12:00", "resumed"),
        ("12:30", "resumed"),
        as_of="13:00",
    )

    assert (shown["state"], shown["due"]) == ("RUNNING", instant("15:00:00"))


def test_a_reopened_clock_runs_on_and_the_time_between_was_a_pause():
    shown = clock(
        ("10:00", "go"),
        ("11:00", "done"),
        ("22 09:00", "undone"),
        ("22 11:00", "done"),
        as_of="22 12:00",
        reopen=["undone"],
    )

    assert (shown["state"], shown["original_due"], shown["due"]) == (
        "MET",
        instant("14:00:00"),
        instant("22 12:00:00"),
    )
    assert (shown["elapsed_seconds"], shown["paused_seconds"]) == (3 * 3600, 7 * 3600)


def test_a_stop_ends_the_pause_for_good():
    shown = clock(
        ("10:00", "go"),
        ("11:00", "paused"),
        ("12:00", "done"),
        ("13:00", "undone"),
        as_of="13:30",
        reopen=["undone"],
    )

    assert (shown["state"], shown["due"]) == ("RUNNING", instant("16:00:00"))
    assert (shown["elapsed_seconds"], shown["paused_seconds"]) == (1.5 * 3600, 2 * 3600)


def test_a_pause_that_began_between_the_stop_and_its_undoing_goes_on_after_it():
    shown = clock(
        ("10:00", "go"),
        ("11:00", "done"),
        ("12:00", "paused"),
        ("13:00", "undone"),
        ("14:00", "resumed"),
        as_of="14:30",
        reopen=["undone"],
    )

    assert (shown["state"], shown["due"]) == ("RUNNING", instant("17:00:00"))


def test_a_breach_is_not_reopened():
    shown = clock(
        ("10:00", "go"), ("15:00", "done"), ("16:00", "undone"), as_of="22 12:00", reopen=["undone"]
    )

    assert (shown["state"], shown["elapsed_seconds"]) == ("BREACHED", 5 * 3600)


def test_equal_instants_count_in_the_order_given():
    before = clock(("10:00", "done"), ("10:00", "go"), as_of="11:00")
    after = clock(("10:00", "go"), ("10:00", "done"), as_of="11:00")

    assert (before["state"], after["state"]) == ("RUNNING", "MET")


def test_events_are_taken_in_order_of_time_and_those_to_come_are_ignored():
    shown = clock(("12:00", "done"), ("10:00", "go"), as_of="11:00")

    assert (shown["state"], shown["elapsed_seconds"]) == ("RUNNING", 3600)


def test_a_target_of_zero_is_due_at_once():
    assert clock(("10:00", "go"), ("10:00", "done"), as_of="11:00", target_seconds=0)["state"] == "MET"
    assert clock(("10:00", "go"), as_of="11:00", target_seconds=0)["state"] == "BREACHED"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("BAD_CASE", {"id": None}),
        ("BAD_CASE", {"input": []}),
        ("BAD_CASE", {"input": {}}),
        ("UNKNOWN_KIND", {"kind": "is_shut"}),
        ("BAD_CALENDAR", {"calendar": []}),
        ("BAD_CALENDAR", {"calendar": {"hours": {}}}),
        ("BAD_CALENDAR", {"calendar": {"tz": "Asia/Seoul"}}),
        ("BAD_CALENDAR", {"calendar": {**SEOUL, "tz": "Mars/Base"}}),
        ("BAD_CALENDAR", {"calendar": {**SEOUL, "holidays": "2026-09-24"}}),
        ("BAD_CALENDAR", {"calendar": {**SEOUL, "overrides": []}}),
        ("BAD_CALENDAR", {"calendar": {**SEOUL, "hours": {"mon": [[9, 18]]}}}),
        ("BAD_INSTANT", {"input": {"at": "yesterday"}}),
        ("BAD_INSTANT", {"input": {"at": "2026-09-21T10:00:00"}}),
        ("BAD_INSTANT", {"input": {"at": 1}}),
        ("BAD_INSTANT", {"input": {"at": "2026-09-21T10:00:00.0000001Z"}}),
        ("OUT_OF_RANGE", {"input": {"at": "0001-01-01T00:00:00+09:00"}}),
        ("OUT_OF_RANGE", {"input": {"at": "9999-12-31T23:59:59Z"}}),
    ],
)
def test_a_bad_case_is_answered_with_its_code(code, changes):
    assert error(**changes) == code


@pytest.mark.parametrize(
    ("code", "hours", "amount"),
    [
        ("CALENDAR_NEVER_OPENS", {}, 1),
        ("CALENDAR_NEVER_OPENS", {}, -1),
        ("OUT_OF_RANGE", OFFICE, 10**15),
        ("OUT_OF_RANGE", OFFICE, -(10**15)),
        ("OUT_OF_RANGE", OFFICE, 10**40),
        ("BAD_CASE", OFFICE, "60"),
        ("BAD_CASE", OFFICE, True),
        ("BAD_CASE", OFFICE, 1e-7),
    ],
)
def test_an_amount_that_leads_nowhere_is_answered_with_its_code(code, hours, amount):
    given = {"start": instant("10:00"), "amount_seconds": amount}

    assert error(kind="add_business_time", calendar={"tz": "Etc/UTC", "hours": hours}, input=given) == code


@pytest.mark.parametrize(
    "clocks",
    [{}, [1], [{}], [{**CLOCK, "target_seconds": -1}], [CLOCK, CLOCK], [{**CLOCK, "pauses": [["a"]]}]],
)
def test_clocks_that_cannot_be_read_are_a_bad_case(clocks):
    assert (
        error(kind="clock", input={"clocks": clocks, "events": [], "as_of": instant("10:00")}) == "BAD_CASE"
    )


@pytest.mark.parametrize("line", ["{", "nonsense", '{"id": NaN}', "[" * 100_000, '{"id": "\udc80"}'])
def test_a_line_that_is_not_json_has_no_id(line):
    answer = ask(line)

    assert (answer["id"], answer["error"]["code"]) == (None, "BAD_JSON")


def test_one_bad_case_spoils_the_status_and_no_other_case():
    good = json.dumps({"id": "g", "kind": "is_open", "calendar": SEOUL, "input": {"at": instant("10:00")}})
    out = io.StringIO()

    all_good = evaluate_lines([good.encode(), b"\n", b"\xff{", b"[]", good.encode()], out)

    assert not all_good
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [answer.get("result", answer.get("error", {}).get("code")) for answer in answers] == [
        {"open": True},
        "BAD_JSON",
        "BAD_CASE",
        {"open": True},
    ]


def test_the_calendars_kept_are_bounded():
    evaluator = Evaluator(kept_calendars=3)
    for day in range(1, 20):
        calendar = {**SEOUL, "holidays": [f"2026-10-{day:02}"]}
        evaluator.answer(
            json.dumps(
                {"id": day, "kind": "is_open", "calendar": calendar, "input": {"at": instant("10:00")}}
            )
        )

    assert len(evaluator._calendars) == 3


def test_the_command_loads_no_grpc_or_sql_and_its_status_says_that_a_case_was_bad():
    good = json.dumps({"id": "g", "kind": "is_open", "calendar": SEOUL, "input": {"at": instant("10:00")}})
    watch = (
        "import sys; from services.sla.__main__ import main; status = main(['evaluate']);"
        "loaded = {name.partition('.')[0] for name in sys.modules} & {'grpc', 'sqlalchemy', 'google'};"
        "sys.exit(9 if loaded else status)"
    )

    fine = subprocess.run(
        [sys.executable, "-c", watch], input=good + "\n\n", capture_output=True, text=True, check=False
    )
    bad = subprocess.run(
        [sys.executable, "-m", "services.sla", "evaluate"],
        input="{\n" + good,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (fine.returncode, fine.stdout, fine.stderr) == (0, '{"id": "g", "result": {"open": true}}\n', "")
    assert (bad.returncode, len(bad.stdout.splitlines()), bad.stderr) == (1, 2, "")


def test_the_published_examples_are_answered_as_expected():
    shared = os.environ.get("SHARED_DATA")
    if not shared:
        pytest.skip("SHARED_DATA is not set; the examples are published beside that folder")
    examples = Path(shared).parent / "sla-cases-example.jsonl"
    if not examples.exists():
        pytest.skip(f"{examples} does not exist")

    for line in examples.read_text("utf-8").splitlines():
        case = json.loads(line, parse_float=Decimal)
        text, _ = Evaluator().answer(line)
        assert comparable(case["expected"]) == comparable(json.loads(text, parse_float=Decimal)["result"]), (
            case["id"]
        )


def comparable(value: object) -> object:
    """Instants as instants, so that their spelling does not matter."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items()}
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value
