"""A marketing script: hand leads over as a stream, and see what became of each.

    python examples/submit_stream.py < leads.jsonl

Each line of standard input is one lead: {"id": "f-17", "email": "jo@example.com", "source": "newsletter"}.
Address and token come from SMARKETING_LEADS and SMARKETING_TOKEN (or SMARKETING_TOKEN_FILE).
Run it again after a failure as often as you like: what was taken already is answered as a duplicate.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Iterator

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client import CallError, LeadsClient, read_settings

SOURCE_SYSTEM = "newsletter"


def submissions(lines: Iterable[str]) -> Iterator[leadspb.Submission]:
    """Turn lines into submissions as they are wanted; no more than a few batches are in memory."""
    for line in lines:
        lead = json.loads(line)
        yield leadspb.Submission(
            source_system=SOURCE_SYSTEM,
            external_id=lead["id"],
            contact=leadspb.Contact(email=lead.get("email", ""), company=lead.get("company", "")),
            qualification=leadspb.Qualification(source=lead.get("source"), score=lead.get("score")),
        )


async def main() -> int:
    """Return 0 when every lead was taken."""
    settings = read_settings(os.environ)
    refused = 0
    async with LeadsClient(settings) as leads:
        async for answers in leads.submit_leads(settings.parent, submissions(sys.stdin)):
            for answer in answers:
                if answer.refusal is not None:
                    refused += 1
                    print(f"{answer.item.external_id}: refused, {answer.refusal}")
                    continue
                outcome = leadspb.SubmitLeadResponse.Outcome.Name(answer.result.outcome).removeprefix(
                    "OUTCOME_"
                )
                print(f"{answer.item.external_id}: {outcome.lower()}, {answer.result.handoff}")
    return 1 if refused else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except CallError as error:
        sys.exit(f"Stopped: {error}")
