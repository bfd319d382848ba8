"""Configuration: read once, every fault told together."""

import enum
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from smarketing.config import ConfigInvalid, Secret, read_config


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    retries: int = field(default=3, metadata={"at_least": 1, "at_most": 9})


@dataclass(frozen=True)
class Settings:
    database_url: str
    password: Secret | None = None
    inner: Inner = Inner()
    colour: Colour = Colour.RED
    folder: Path = Path("data")
    wait: timedelta = timedelta(seconds=1)
    tenants: tuple[str, ...] = ("default",)
    verbose: bool = False
    share: float = 0.5


def test_absent_variables_keep_their_defaults():
    assert read_config(Settings, {"SMARKETING_DATABASE_URL": "sqlite://"}) == Settings("sqlite://")


def test_every_type_is_read_from_its_text():
    environ = {
        "SMARKETING_DATABASE_URL": "sqlite://",
        "SMARKETING_PASSWORD": "hunter2",
        "SMARKETING_RETRIES": "9",
        "SMARKETING_COLOUR": "blue",
        "SMARKETING_FOLDER": "/var/lib/x",
        "SMARKETING_WAIT": "1.5h",
        "SMARKETING_TENANTS": "default, acme",
        "SMARKETING_VERBOSE": "Yes",
        "SMARKETING_SHARE": "0.25",
    }

    assert read_config(Settings, environ) == Settings(
        "sqlite://",
        Secret("hunter2"),
        Inner(9),
        Colour.BLUE,
        Path("/var/lib/x"),
        timedelta(minutes=90),
        ("default", "acme"),
        verbose=True,
        share=0.25,
    )


def test_all_faults_are_told_at_once():
    environ = {
        "SMARKETING_RETRIES": "0",
        "SMARKETING_COLOUR": "green",
        "SMARKETING_WAIT": "soon",
        "SMARKETING_VERBOSE": "perhaps",
        "SMARKETING_SHARE": "half",
    }

    with pytest.raises(ConfigInvalid) as caught:
        read_config(Settings, environ)

    assert sorted(caught.value.faults) == [
        "SMARKETING_COLOUR must be one of: red, blue.",
        "SMARKETING_DATABASE_URL is missing.",
        "SMARKETING_RETRIES must be at least 1.",
        "SMARKETING_SHARE must be a number.",
        "SMARKETING_VERBOSE must be true or false.",
        "SMARKETING_WAIT must be a duration such as 30s, 5m or 8h.",
    ]


def test_a_secret_may_stand_in_a_file_but_not_in_both_places(tmp_path):
    (tmp_path / "password").write_text("hunter2\n")
    environ = {"SMARKETING_DATABASE_URL": "x", "SMARKETING_PASSWORD_FILE": str(tmp_path / "password")}

    assert read_config(Settings, environ).password == Secret("hunter2")
    with pytest.raises(ConfigInvalid, match="both set"):
        read_config(Settings, environ | {"SMARKETING_PASSWORD": "other"})
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read_config(Settings, environ | {"SMARKETING_PASSWORD_FILE": str(tmp_path / "missing")})


def test_only_a_secret_is_read_from_a_file(tmp_path):
    with pytest.raises(ConfigInvalid, match="SMARKETING_DATABASE_URL is missing"):
        read_config(Settings, {"SMARKETING_DATABASE_URL_FILE": str(tmp_path)})


def test_a_secret_does_not_show_in_the_configuration_that_holds_it():
    settings = read_config(Settings, {"SMARKETING_DATABASE_URL": "x", "SMARKETING_PASSWORD": "hunter2"})

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in f"{settings.password}"
    assert settings.password.reveal() == "hunter2"


def test_a_rule_between_fields_is_a_fault_like_the_others():
    @dataclass(frozen=True)
    class Pair:
        low: int = 1
        high: int = 2

        def __post_init__(self):
            if self.low > self.high:
                raise ValueError("LOW must not exceed HIGH.")

    with pytest.raises(ConfigInvalid) as caught:
        read_config(Pair, {"X_LOW": "3"}, prefix="X_")

    assert caught.value.faults == ("LOW must not exceed HIGH.",)
