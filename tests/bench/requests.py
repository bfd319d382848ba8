"""The requests that loads send: built and serialized before any clock starts, each unlike any other."""

from typing import Final

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.wallclock import new_uuid

QUEUE: Final = "tenants/default/queues/inbound"
CLAIMERS: Final = tuple(f"tenants/default/people/rep{number}" for number in range(64))
"""Who takes from the queue."""


def submission(run: str, number: int) -> leadspb.Submission:
    """Return a lead of realistic size, unlike any other."""
    contact = leadspb.Contact(
        given_name="Ada",
        family_name=f"Number {number}",
        email=f"ada.{run}.{number}@example.com",
        phone=f"+49 30 {int(run, 36) % 10_000:04}{number:06}",
        company="Example Works",
        job_title="Head of purchasing",
    )
    qualification = leadspb.Qualification(
        source="organic_search", campaign="spring", landing_page="/demo", segment="smb", score=70
    )
    return leadspb.Submission(
        source_system="bench",
        external_id=f"{run}-{number}",
        contact=contact,
        qualification=qualification,
    )


def unary_requests(run: str, count: int) -> list[bytes]:
    """Return serialized `SubmitLead` requests."""
    return [
        leadspb.SubmitLeadRequest(
            parent="tenants/default", request_id=new_uuid(), submission=submission(run, number)
        ).SerializeToString()
        for number in range(count)
    ]


def batch_requests(run: str, count: int, size: int) -> list[bytes]:
    """Return serialized `SubmitLeads` requests of `size` leads each."""
    return [
        leadspb.SubmitLeadsRequest(
            parent="tenants/default",
            request_id=new_uuid(),
            submissions=[submission(run, number) for number in range(start, min(start + size, count))],
        ).SerializeToString()
        for start in range(0, count, size)
    ]


def claim_requests(count: int) -> list[bytes]:
    """Return serialized `ClaimOffer` requests of all claimers in turn, all for one queue."""
    return [
        leadspb.ClaimOfferRequest(
            queue=QUEUE, request_id=new_uuid(), person=CLAIMERS[number % len(CLAIMERS)]
        ).SerializeToString()
        for number in range(count)
    ]
