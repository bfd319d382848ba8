"""The Python client: typed calls with deadlines, repetition, pages and streams that resume.

Requests and answers are the generated messages of `smarketing.api`. A minimal program:

    settings = read_settings(os.environ)
    async with LeadsClient(settings) as leads:
        handoff = await leads.get_handoff(leadspb.GetHandoffRequest(name=name))
"""

from smarketing.client.batches import Answer, BatchOptions
from smarketing.client.errors import (
    CallError,
    DeniedError,
    FieldViolation,
    RefusedError,
    UnavailableError,
    error_of_status,
)
from smarketing.client.leads import LeadsClient
from smarketing.client.reports import ReportsClient
from smarketing.client.retries import RetryPolicy
from smarketing.client.settings import ClientSettings, InsecureTarget, read_settings
from smarketing.client.sla import SlaClient

__all__ = [
    "Answer",
    "BatchOptions",
    "CallError",
    "ClientSettings",
    "DeniedError",
    "FieldViolation",
    "InsecureTarget",
    "LeadsClient",
    "RefusedError",
    "ReportsClient",
    "RetryPolicy",
    "SlaClient",
    "UnavailableError",
    "error_of_status",
    "read_settings",
]
