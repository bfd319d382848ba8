"""Where a server listens: never in plain text where others can read, never on a port that is taken."""

import grpc
import pytest

from smarketing.config import ConfigInvalid, read_config
from smarketing.server.http import HttpHost
from smarketing.server.listening import StartRefused, listen, new_server
from smarketing.server.settings import ServerConfig
from tests.contract.server.certificates import Authority
from tests.contract.server.echo import ROOM, SERVICE, EchoResponse, a_request, bearer, serving


@pytest.fixture
def ours(tmp_path):
    return Authority(tmp_path, "ours")


@pytest.fixture
def foreign(tmp_path):
    return Authority(tmp_path, "foreign")


def tls_config(authority, *, mutual=False, expired=False):
    pair = authority.sign("server", expired=expired)
    return ServerConfig(
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_client_ca=authority.certificate if mutual else None,
    )


async def say_over_tls(rig, trusted, client=None):
    credentials = grpc.ssl_channel_credentials(
        trusted.certificate.read_bytes(),
        client.key.read_bytes() if client else None,
        client.certificate.read_bytes() if client else None,
    )
    async with grpc.aio.secure_channel(f"127.0.0.1:{rig.running.port}", credentials) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/Say",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=EchoResponse.FromString,
        )
        return (await call(a_request(), metadata=bearer(), timeout=5)).word


async def unavailable(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_tls_serves_who_trusts_the_authority_and_nobody_in_plain_text(ours, foreign):
    async with serving(config=tls_config(ours)) as rig:
        assert await say_over_tls(rig, ours) == "hello"
        assert await unavailable(say_over_tls(rig, foreign))
        assert await unavailable(rig.say())


async def test_an_expired_server_certificate_is_believed_by_nobody(ours):
    async with serving(config=tls_config(ours, expired=True)) as rig:
        assert await unavailable(say_over_tls(rig, ours))


async def test_mutual_tls_serves_only_who_shows_a_valid_certificate_of_the_authority(ours, foreign):
    async with serving(config=tls_config(ours, mutual=True)) as rig:
        assert await say_over_tls(rig, ours, ours.sign("client")) == "hello"
        assert await unavailable(say_over_tls(rig, ours))
        assert await unavailable(say_over_tls(rig, ours, foreign.sign("client")))
        assert await unavailable(say_over_tls(rig, ours, ours.sign("late", expired=True)))


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:5000", "example.org:5000", ":5000"])
def test_plain_text_where_others_can_reach_it_is_refused(address):
    with pytest.raises(ConfigInvalid, match="TLS"):
        read_config(ServerConfig, {"SMARKETING_LISTEN": address})
    with pytest.raises(ConfigInvalid, match="TLS"):
        read_config(ServerConfig, {"SMARKETING_HTTP_LISTEN": address})


async def test_the_port_itself_refuses_plain_text_off_loopback_whatever_the_settings_said():
    with pytest.raises(StartRefused, match="configure TLS"):
        listen(new_server(ServerConfig(), ROOM), "0.0.0.0:0", None)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0", "unix:/run/leads.sock"])
def test_loopback_and_unix_sockets_need_no_tls(address):
    assert read_config(ServerConfig, {"SMARKETING_LISTEN": address}).tls is None


async def test_a_taken_port_is_not_shared():
    async with serving() as rig:
        with pytest.raises(StartRefused, match="taken"):
            listen(new_server(ServerConfig(), ROOM), f"127.0.0.1:{rig.running.port}", None)
        with pytest.raises(StartRefused, match="taken"):
            HttpHost(ServerConfig(http_listen=f"127.0.0.1:{rig.running.port}"), app=None)


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path):
    missing = tmp_path / "missing.pem"
    config = ServerConfig(tls_certificate=missing, tls_key=missing)
    with pytest.raises(StartRefused, match=r"missing\.pem"):
        listen(new_server(config, ROOM), "127.0.0.1:0", config.tls)
