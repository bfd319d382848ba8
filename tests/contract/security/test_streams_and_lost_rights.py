"""A stream is a call that lasts: whoever loses the right to it loses it while it is open."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest

from smarketing.server.admission import AdmissionLimits
from smarketing.server.auth import Directory, Role
from smarketing.server.standing import while_allowed
from tests.contract.server.echo import NOW, TOKENS, Rig, a_request, bearer, outcome_of, serving, told

pytestmark = pytest.mark.usefixtures("each_engine")

WITHIN_SECONDS = 5
MINAS = TOKENS[0]


def _without_role() -> Directory:
    return Directory([replace(MINAS, caller=replace(MINAS.caller, roles=frozenset({Role.PRODUCT_READER})))])


def _expired() -> Directory:
    return Directory([replace(MINAS, expire_time=NOW - timedelta(seconds=1))])


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (Directory(TOKENS[1:]), "CREDENTIALS_INVALID"),
        (_expired(), "CREDENTIALS_INVALID"),
        (_without_role(), "PERMISSION_DENIED"),
    ],
    ids=["revoked", "expired", "role taken"],
)
async def test_an_open_stream_ends_when_its_caller_may_no_longer_call(later: Directory, reason: str) -> None:
    async with serving() as rig:
        call = await _talking(rig)
        rig.authenticator.replace_directory(later)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async with asyncio.timeout(WITHIN_SECONDS):
                await call.read()

        assert told(caught.value).reason == reason
        assert [(each.principal, each.reason) for each in rig.denials] == [(MINAS.caller.principal, reason)]


async def test_a_stream_goes_on_when_the_directory_changes_and_its_caller_still_may() -> None:
    async with serving() as rig:
        call = await _talking(rig)
        rig.authenticator.replace_directory(Directory(TOKENS))
        looked = asyncio.Event()
        async with while_allowed(looked.set, every_seconds=1.2):
            await looked.wait()  # longer than between two looks of the server's own

        await call.write(a_request("still"))
        answer = await call.read()

        assert answer.word == "still"
        call.cancel()


async def test_full_of_streams_the_server_still_lets_its_peers_follow() -> None:
    async with serving(admission=AdmissionLimits(streams_in_flight=1)) as rig:
        await _talking(rig)

        other = await outcome_of(rig.tell(metadata=bearer("crmcrmcrmcrm")))
        peer = await outcome_of(rig.tell(metadata=bearer("leadsleadsle")))

        assert (told(other).reason, peer) == ("SERVER_BUSY", "hello")


async def _talking(rig: Rig) -> "grpc.aio.StreamStreamCall":
    call = rig.talk(timeout=30)
    await call.write(a_request("first"))
    assert (await call.read()).word == "first"
    return call
