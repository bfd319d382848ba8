"""Logs: one line is one event, and no secret passes."""

import io
import json
import logging

import pytest
import structlog

from smarketing.logs import LogFormat, configure_logs, get_log, redacted

CANARY = "c4n4ry" * 12


@pytest.fixture(params=list(LogFormat))
def log_format(request):
    before = logging.getLogger().handlers[:]
    level = logging.getLogger().level
    yield request.param
    logging.getLogger().handlers[:] = before
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stream(log_format):
    stream = io.StringIO()
    configure_logs(log_format, stream=stream)
    return stream


def test_one_event_is_one_line_whatever_it_holds(stream):
    get_log("leads").info("handoff_offered", note="two\nlines\r\nand more")
    try:
        raise RuntimeError("several\nlines")
    except RuntimeError:
        get_log("leads").exception("it_failed")
    logging.getLogger("uvicorn").warning("foreign\nwords")

    assert stream.getvalue().count("\n") == 3


def test_an_event_says_when_where_and_what(stream, log_format):
    get_log("leads").info("handoff_offered", lead="tenants/default/leads/l1")
    line = stream.getvalue()

    if log_format is LogFormat.JSON:
        event = json.loads(line)
        assert event.pop("time").endswith("Z")
        assert event == {
            "event": "handoff_offered",
            "level": "info",
            "logger": "leads",
            "lead": "tenants/default/leads/l1",
        }
    else:
        assert line.split()[1:] == ["info", "leads", "handoff_offered", 'lead="tenants/default/leads/l1"']


@pytest.mark.parametrize(
    "fields",
    [
        {"token": CANARY},
        {"password": CANARY},
        {"authorization": f"Bearer {CANARY}"},
        {"header": f"Bearer smk_abcdefghijkl_{CANARY}"},
        {"line": f"Authorization: Bearer {CANARY}"},
        {"url": f"postgresql://leads:{CANARY}@db/leads"},
        {"deep": {"list": [{"secret": CANARY}, f"smk_abcdefghijkl_{CANARY}"]}},
        {"thing": ValueError(f"amqp://u:{CANARY}@h")},
        {"dsn": f"postgres {CANARY}"},
    ],
)
def test_no_secret_passes_by_name_or_by_look(stream, fields):
    get_log("leads").error("it_failed", **fields)
    logging.getLogger("sqlalchemy").error("connecting to %s", f"postgresql://leads:{CANARY}@db/leads")
    try:
        raise RuntimeError(f"cannot reach postgresql://leads:{CANARY}@db/leads")
    except RuntimeError:
        get_log("leads").exception("it_failed")
        logging.getLogger("uvicorn").exception("it failed")

    assert CANARY not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()
    assert stream.getvalue().count("\n") == 4


def test_what_is_no_secret_stays_readable():
    harmless = {
        "token_id": "abcdefghijkl",
        "count": 3,
        "ratio": 0.5,
        "known": True,
        "none": None,
        "list": ["a"],
    }

    assert redacted(harmless) == harmless


def test_the_token_id_of_a_redacted_token_can_still_be_found():
    assert redacted(f"smk_abcdefghijkl_{CANARY}") == "smk_abcdefghijkl_[redacted]"
