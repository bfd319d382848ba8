"""A receiver of alerts: checks that each is signed by smarketing, and shows it as a manager reads it.

    python examples/alert_receiver.py PORT SECRET_FILE

The file holds the secret (`whsec_…`) that was shown when the address was registered:

    kind: WebhookEndpoint
    url: http://127.0.0.1:PORT/alerts        # a public address must be https

Whatever is not signed, or is older than five minutes, is refused and shown to nobody.
A message may come twice, always under the same `webhook-id`; this program shows it once.
"""

import json
import sys
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

LARGEST = 256 * 1024
REMEMBERED = 10_000
shown: OrderedDict[str, None] = OrderedDict()


def as_text(alert: dict[str, Any]) -> str:
    """Return an alert in words."""
    mark = "✓" if alert["type"] == "alert.resolved" else "!" if alert["missed"] else "·"
    of = alert["owner"].rpartition("/")[2] or "nobody yet"
    to = ", ".join(each.rpartition("/")[2] for each in alert["recipients"]) or "nobody"
    handoff = alert["handoff"].partition("/leads/")[2].replace("/handoffs/", "/")
    return f"{mark} {alert['text']}\n    owner {of}; tells {to}; lead {handoff}"


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what is signed, 401 to the rest."""

    secret_file: Path

    def do_POST(self) -> None:
        """Take one message."""
        length = int(self.headers.get("content-length") or 0)
        if length > LARGEST:
            self.answer(413)
            return
        body = self.rfile.read(length)
        try:
            # Read for each message, so that a new secret counts at once.
            secret = self.secret_file.read_text(encoding="ascii").strip()
            Webhook(secret).verify(body, dict(self.headers.items()))
        except (OSError, ValueError, EmptyWebhookSecretError, WebhookVerificationError):
            self.answer(401)
            return
        message_id = self.headers["webhook-id"]
        if message_id not in shown:
            shown[message_id] = None
            if len(shown) > REMEMBERED:
                shown.popitem(last=False)
            print(as_text(json.loads(body)), flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        """Answer without a body."""
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Show alerts only."""


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    Receiver.secret_file = Path(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)
