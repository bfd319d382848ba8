"""What is decided on the event loop, where every other call waits for it, and what is not."""

import threading
from collections.abc import Sequence

import pytest
from google.protobuf.wrappers_pb2 import Int64Value

from services.leads.store.transaction import LeadTx
from smarketing.server.commands import Call, Command
from tests.builders.leads import House


def a_command(number: int) -> Command[int]:
    call = Call(
        tenant="default",
        principal="tenants/default/systems/form",
        on_behalf_of="",
        method="/a/Method",
        request_id=f"request-{number}",
        fingerprint=b"",
        resource="tenants/default",
        traceparent="",
    )
    return Command(number, call)


@pytest.mark.parametrize("brief", [True, False])
async def test_a_command_is_decided_on_the_loop_only_when_it_is_said_to_be_brief(*, brief: bool) -> None:
    threads: list[threading.Thread] = []

    def note(_tx: LeadTx, requests: Sequence[int]) -> list[int]:
        threads.append(threading.current_thread())
        return list(requests)

    async with House() as house:
        remote = house.database.is_remote
        await house.store.command(note, a_command(1), render=lambda each: Int64Value(value=each), brief=brief)
        await house.store.command(note, a_command(2), render=lambda each: Int64Value(value=each))

    # What waits for a network is never decided on the loop.
    assert [thread is threading.main_thread() for thread in threads] == [brief and not remote, False]
