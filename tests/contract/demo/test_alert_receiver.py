"""The receiver that the README points to takes what is signed, once, and nothing else."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from smarketing import wallclock
from smarketing.delivery import new_secret
from smarketing.delivery.webhooks import signed_headers

PROGRAM = Path(__file__).parents[3] / "examples" / "alert_receiver.py"
ALERT = json.dumps(
    {
        "type": "alert.opened",
        "text": "Follow-up was missed.",
        "missed": True,
        "handoff": "tenants/default/leads/l1/handoffs/2",
        "owner": "tenants/default/people/anna",
        "recipients": ["tenants/default/people/marcus"],
    }
).encode()


@dataclass
class Running:
    url: str
    secret: str
    process: subprocess.Popen[str]

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        return httpx.post(self.url, content=body, headers=headers, timeout=10).status_code

    def signed(self, message_id: str, *, secret: str = "") -> dict[str, str]:
        return signed_headers(message_id, ALERT, secret=secret or self.secret, now=wallclock.utc_now())

    def printed(self) -> str:
        """End the receiver and return what it printed."""
        self.process.terminate()
        return self.process.communicate(timeout=10)[0]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Running]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    secret = new_secret()
    (tmp_path / "secret").write_text(secret + "\n")
    command = [sys.executable, str(PROGRAM), str(port), str(tmp_path / "secret")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        running = Running(f"http://127.0.0.1:{port}/alerts", secret, process)
        _wait_for(port)
        yield running
        process.kill()


def test_a_signed_alert_is_shown_once_however_often_it_comes(receiver: Running) -> None:
    headers = receiver.signed("msg_1")

    assert [receiver.post(ALERT, headers), receiver.post(ALERT, headers)] == [204, 204]
    printed = receiver.printed()
    assert printed.count("Follow-up was missed.") == 1
    assert "owner anna; tells marcus; lead l1/2" in printed


@pytest.mark.parametrize("fault", ["unsigned", "another secret", "another body"])
def test_what_is_not_signed_is_refused_and_shown_to_nobody(receiver: Running, fault: str) -> None:
    headers = {"unsigned": {}, "another secret": receiver.signed("m", secret=new_secret())}.get(
        fault, receiver.signed("m")
    )
    body = ALERT.replace(b"anna", b"ben") if fault == "another body" else ALERT

    assert receiver.post(body, headers) == 401
    assert receiver.printed() == ""


def _wait_for(port: int) -> None:
    deadline = wallclock.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            assert wallclock.monotonic() < deadline, "the receiver does not listen"
            continue
        return
