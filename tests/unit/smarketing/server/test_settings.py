"""Where a service stores, by what an operator set."""

from datetime import timedelta
from pathlib import Path

import pytest

from smarketing.config import ConfigInvalid, read_config
from smarketing.server.settings import ServerConfig
from smarketing.sql import DatabaseUnsupported, open_database


def settings(**environ: str) -> ServerConfig:
    return read_config(ServerConfig, {f"SMARKETING_{name.upper()}": text for name, text in environ.items()})


def test_nothing_set_is_a_file_of_the_services_own_in_the_data_folder() -> None:
    config = settings(data_dir="/var/lib/smarketing")

    assert config.database_of("sla") == "sqlite:////var/lib/smarketing/sla.db"
    assert config.file_of("sla") == Path("/var/lib/smarketing/sla.db")


def test_services_that_share_a_database_each_have_a_schema_of_their_own() -> None:
    config = settings(database_url="postgresql://app@db:5432/smarketing?sslmode=verify-full")

    assert config.database_of("sla") == "postgresql://app@db:5432/smarketing?schema=sla&sslmode=verify-full"
    assert config.file_of("sla") is None


def test_a_schema_that_is_named_is_kept_to() -> None:
    config = settings(database_url="postgresql://app@db/smarketing?schema=other")

    assert config.database_of("sla") == "postgresql://app@db/smarketing?schema=other"


def test_the_password_comes_from_a_file_and_is_shown_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pa@ss/word\n")
    config = settings(
        database_url="postgresql://app@db/smarketing", database_password_file=str(tmp_path / "password")
    )

    assert config.database_of("sla") == "postgresql://app:pa%40ss%2Fword@db/smarketing?schema=sla"
    assert "pa@ss" not in repr(config)
    assert "pa%40ss" not in repr(config)


@pytest.mark.parametrize(
    "url", ["postgresql://app:secret@db/smarketing", "postgresql://db/x?password=secret"]
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigInvalid, match="SMARKETING_DATABASE_PASSWORD_FILE") as refused:
        settings(database_url=url)

    assert "secret" not in str(refused.value)


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="SMARKETING_DATABASE_URL"):
        settings(database_url="my database")


def test_a_database_that_is_none_of_ours_is_refused_when_it_is_opened() -> None:
    with pytest.raises(DatabaseUnsupported, match="mysql"):
        open_database(settings(database_url="mysql://app@db/smarketing").database_of("sla"))


@pytest.mark.parametrize(
    ("wait", "grace", "left"), [(0, 20, 20), (5, 20, 15), (20, 20, 1), (30, 20, 1), (0, 0, 0), (5, 0, 0)]
)
def test_calls_have_what_is_left_of_the_grace_when_callers_went_elsewhere(
    wait: int, grace: int, left: int
) -> None:
    config = ServerConfig(balancer_wait=timedelta(seconds=wait), stop_grace=timedelta(seconds=grace))
    assert config.grace_left == timedelta(seconds=left)
