"""How services reach one another: nobody is believed, and nobody let in, without a certificate of theirs."""

import grpc
import pytest

from smarketing.config import ConfigInvalid, read_config
from smarketing.server.listening import StartRefused
from smarketing.server.peers import peer_channel
from smarketing.server.settings import ServerConfig
from tests.contract.server.certificates import Authority
from tests.contract.server.echo import SERVICE, EchoResponse, a_request, bearer, serving


@pytest.fixture
def ours(tmp_path):
    return Authority(tmp_path, "ours")


@pytest.fixture
def foreign(tmp_path):
    return Authority(tmp_path, "foreign")


def serving_with(authority, *, mutual):
    pair = authority.sign("server")
    return ServerConfig(
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_client_ca=authority.certificate if mutual else None,
    )


def a_peer(ca=None, shown=None):
    return ServerConfig(
        peer_ca=ca.certificate if ca else None,
        peer_certificate=shown.certificate if shown else None,
        peer_key=shown.key if shown else None,
    )


async def answer(rig, peer):
    """What the peer is answered; the name of the status when it is not."""
    async with peer_channel(peer, f"127.0.0.1:{rig.running.port}") as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/Say",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=EchoResponse.FromString,
        )
        try:
            return (await call(a_request(), metadata=bearer(), timeout=5)).word
        except grpc.aio.AioRpcError as error:
            return error.code().name


async def test_a_peer_that_is_asked_for_a_certificate_shows_the_one_it_was_given(ours, foreign):
    async with serving(config=serving_with(ours, mutual=True)) as rig:
        assert await answer(rig, a_peer(ours, ours.sign("sla"))) == "hello"
        assert await answer(rig, a_peer(ours)) == "UNAVAILABLE"
        assert await answer(rig, a_peer(ours, foreign.sign("sla"))) == "UNAVAILABLE"
        assert await answer(rig, a_peer(ours, ours.sign("late", expired=True))) == "UNAVAILABLE"


async def test_services_that_all_ask_for_certificates_show_their_own(ours):
    config = serving_with(ours, mutual=True)
    async with serving(config=config) as rig:
        assert await answer(rig, config) == "hello"


async def test_a_peer_believes_only_what_its_authority_signed(ours, foreign):
    async with serving(config=serving_with(ours, mutual=False)) as rig:
        assert await answer(rig, a_peer(ours)) == "hello"
        assert await answer(rig, a_peer(foreign)) == "UNAVAILABLE"
        assert await answer(rig, a_peer()) == "UNAVAILABLE"


async def test_a_restart_takes_up_certificates_that_were_renewed_in_their_files(ours):
    shown = ours.sign("sla", expired=True)
    async with serving(config=serving_with(ours, mutual=True)) as rig:
        assert await answer(rig, a_peer(ours, shown)) == "UNAVAILABLE"
        renewed = ours.sign("renewed")
        shown.certificate.write_bytes(renewed.certificate.read_bytes())
        shown.key.write_bytes(renewed.key.read_bytes())
        assert await answer(rig, a_peer(ours, shown)) == "hello"


def test_a_peers_certificate_and_key_belong_together(ours):
    shown = ours.sign("sla")
    with pytest.raises(ConfigInvalid, match="SMARKETING_PEER_KEY"):
        read_config(ServerConfig, {"SMARKETING_PEER_CERTIFICATE": str(shown.certificate)})


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path):
    missing = tmp_path / "missing.pem"
    with pytest.raises(StartRefused, match=r"missing\.pem"):
        peer_channel(ServerConfig(peer_ca=missing), "127.0.0.1:1")
