"""A kind of event that is new in a contract is handled, or ignored on purpose; never passed over unseen."""

from types import ModuleType

import pytest
from google.protobuf.descriptor import FileDescriptor

from services.leads.consumers import sla_events as leads_of_sla
from services.reports.consumers import lead_events as reports_of_leads
from services.reports.consumers import sla_events as reports_of_sla
from services.sla.consumers import leads_log as sla_of_leads
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import exceptions_pb2 as exceptionspb
from smarketing.api.sla.v1 import periods_pb2 as periodspb

_CONSUMERS = [
    (leads_of_sla, slaeventspb.DESCRIPTOR),
    (reports_of_leads, leadeventspb.DESCRIPTOR),
    (reports_of_sla, slaeventspb.DESCRIPTOR),
    (sla_of_leads, leadeventspb.DESCRIPTOR),
]
# Events that stand beside what they tell of. They may be passed over by whoever does not know them.
_SKIPPABLE = {
    message.DESCRIPTOR.full_name
    for message in (
        budgetspb.BudgetStateChanged,
        exceptionspb.ExceptionChanged,
        periodspb.MarketingPeriodSettled,
    )
}


def _events_of(file: FileDescriptor) -> set[str]:
    """Return the messages that are events themselves, not parts of others."""
    messages = list(file.message_types_by_name.values())
    parts = {
        field.message_type.full_name for message in messages for field in message.fields if field.message_type
    }
    return {message.full_name for message in messages} - parts


@pytest.mark.parametrize(("consumer", "file"), _CONSUMERS, ids=lambda each: getattr(each, "__name__", ""))
def test_every_kind_of_event_is_either_handled_or_ignored_on_purpose(
    consumer: ModuleType, file: FileDescriptor
) -> None:
    assert _events_of(file) == (consumer.HANDLED | consumer.IGNORED) - _SKIPPABLE
    assert not consumer.HANDLED & consumer.IGNORED
    assert consumer.HANDLED | consumer.IGNORED == consumer.PAYLOAD_TYPES
