"""Where a client connects to, and when it refuses to."""

from pathlib import Path

import pytest

from smarketing.client import ClientSettings, InsecureTarget, read_settings
from smarketing.client.settings import is_loopback
from smarketing.config import ConfigInvalid, Secret


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:7001",
        "127.8.0.9:1",
        "localhost:7001",
        "[::1]:7001",
        "unix:/run/leads.sock",
        "dns:///localhost:1",
        "ipv4:127.0.0.1:7001,127.0.0.1:7011",
    ],
)
def test_this_machine_is_known(target: str) -> None:
    assert is_loopback(target)


@pytest.mark.parametrize(
    "target",
    [
        "10.0.0.1:7001",
        "leads.example.com:7001",
        "localhost.example.com:7001",
        "127.0.0.1.example.com:1",
        "[2001:db8::1]:1",
        "ipv4:127.0.0.1:7001,10.0.0.1:7001",
    ],
)
def test_other_machines_are_told_apart(target: str) -> None:
    assert not is_loopback(target)
    assert ClientSettings(token=Secret("t")).encrypts(target)


def test_a_token_in_clear_text_to_another_machine_is_refused() -> None:
    with pytest.raises(InsecureTarget):
        ClientSettings(token=Secret("t"), tls=False).encrypts("10.0.0.1:7001")


def test_this_machine_is_reached_without_encryption_unless_wanted() -> None:
    assert not ClientSettings(token=Secret("t")).encrypts("127.0.0.1:7001")
    assert ClientSettings(token=Secret("t"), tls=True).encrypts("127.0.0.1:7001")


def test_the_environment_names_addresses_and_the_token_s_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("smk_a_b\n", encoding="utf-8")

    settings = read_settings({"SMARKETING_SLA": "sla.example.com:443", "SMARKETING_TOKEN_FILE": str(token)})

    assert settings.sla == "sla.example.com:443"
    assert settings.leads == "127.0.0.1:7001"
    assert settings.token == Secret("smk_a_b")
    assert "smk_a_b" not in repr(settings)


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="belong together"):
        read_settings({"SMARKETING_TLS_CLIENT_CERTIFICATE_FILE": "cert.pem"})
