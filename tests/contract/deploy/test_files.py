"""What is shipped for containers, clusters and hosts is well-formed, and lets nobody do more than it must."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest

from services.leads.config import LeadsConfig
from services.reports.config import ReportsConfig
from services.sla.config import SlaConfig
from smarketing.config import Secret, read_config
from smarketing.eventlog.bus import BusSettings
from tests.contract.deploy.compose_schema import COMPOSE as COMPOSE_SCHEMA
from tests.contract.deploy.files import (
    COMPOSE,
    DEPLOY,
    KUBERNETES,
    SERVICES,
    UNITS,
    Run,
    documents,
    instructions,
    pods_of,
    run_of_unit,
    runs_of_compose,
    runs_of_kubernetes,
    unit,
)

DOCKERFILE: Final = DEPLOY / "Dockerfile"
CONFIGS: Final = {"leads": LeadsConfig, "sla": SlaConfig, "reports": ReportsConfig}
OF_EVERY_SERVICE: Final = {"SMARKETING_LEADS_ADDRESS", "SMARKETING_SLA_ADDRESS"}
"""Told to each of them, as the supervisor does; a service passes over its own."""
MANIFESTS: Final = [
    pytest.param(document, id=f"{path.stem}-{document['kind']}-{document['metadata']['name']}")
    for path in KUBERNETES
    for document in documents(path)
]
PODS: Final = [
    pytest.param(pod, id=f"{path.stem}-{name}") for path in KUBERNETES for name, pod in pods_of(path)
]
RUNS: Final = [run for path in COMPOSE for run in runs_of_compose(path)] + [
    run for path in KUBERNETES for run in runs_of_kubernetes(path)
]
HARDENED: Final = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}
KNOWN_TO_SYSTEMD: Final = {
    "Unit": "Description Documentation Wants After StartLimitIntervalSec StartLimitBurst",
    "Install": "WantedBy",
    "Timer": "OnCalendar RandomizedDelaySec Persistent",
    "Service": (
        "Type User Group EnvironmentFile ExecStart Restart RestartSec KillMode KillSignal TimeoutStopSec"
        " TimeoutStartSec StateDirectory StateDirectoryMode LimitNOFILE TasksMax MemoryMax Nice"
        " IOSchedulingClass ReadWritePaths AmbientCapabilities PrivateUsers PrivateNetwork ProtectClock"
        " ProtectHostname ProtectKernelLogs ProtectProc ProcSubset RestrictAddressFamilies RestrictRealtime"
        " RemoveIPC SystemCallFilter SystemCallErrorNumber " + " ".join(HARDENED)
    ),
}
"""The directives of systemd's manual that we use."""


def test_the_image_is_built_by_the_rules_of_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    checked = subprocess.run(
        [hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout) == (0, "")


def test_what_runs_in_the_image_is_nobody_and_builds_nothing() -> None:
    told = instructions(DOCKERFILE)
    last = told[max(index for index, (word, _) in enumerate(told) if word == "FROM") :]

    assert dict(last)["USER"] == "10001:10001"
    assert [word for word, rest in last if word == "RUN" and ("pip" in rest or "apt" in rest)] == []
    assert '"services", "health"' in dict(last)["HEALTHCHECK"]
    assert "--constraint constraints.txt" in " ".join(rest for word, rest in told if word == "RUN")


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_hold_what_the_specification_has(path: Path) -> None:
    [document] = documents(path)
    jsonschema.Draft202012Validator(COMPOSE_SCHEMA).validate(document)

    for name, service in document["services"].items():
        used = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert {each for each in used if each[0] not in "./"} <= set(document["volumes"]), name
        assert set(service.get("secrets", ())) <= set(document.get("secrets", {})), name
        assert set(service.get("depends_on", ())) <= set(document["services"]), name
        if service["image"] == "smarketing":
            assert (service["read_only"], service["user"]) == (True, "10001:10001"), name


def test_a_key_that_compose_does_not_know_is_refused() -> None:
    [document] = documents(COMPOSE[0])
    document["services"]["leads"]["read_onyl"] = True

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(COMPOSE_SCHEMA).validate(document)


@pytest.mark.parametrize("document", MANIFESTS)
def test_manifests_hold_what_kubernetes_knows(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.37", strict=True)


@pytest.mark.parametrize("pod", PODS)
def test_pods_may_do_what_they_must_and_no_more(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} == set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        mounted = {each["name"] for each in container["volumeMounts"]}
        assert mounted <= {each["name"] for each in pod["volumes"]} | {"data"}


def test_who_keeps_files_beside_the_database_may_write_them() -> None:
    # leads the journal without which no erasure is over, reports its copies for past states.
    keepers, folder = ("leads", "reports"), "/var/lib/smarketing"
    mounts = [
        (path.name, container["name"], mount.get("readOnly", False))
        for path in KUBERNETES
        for _, pod in pods_of(path)
        for container in pod["containers"]
        for mount in container["volumeMounts"]
        if mount["mountPath"] == folder
    ]
    for path in COMPOSE:
        for name, service in documents(path)[0]["services"].items():
            volumes = [volume.split(":") for volume in service.get("volumes", ())]
            mounts += [(path.name, name, "ro" in each[2:]) for each in volumes if each[1:2] == [folder]]

    kept = [mount for mount in mounts if mount[1] in keepers]
    assert len(kept) == len(keepers) * 4
    assert [mount for mount in kept if mount[2]] == []


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_is_given_the_time_that_its_services_take_to_drain(pod: dict[str, Any]) -> None:
    for container in pod["containers"]:
        environ = {each["name"]: each["value"] for each in container["env"]}
        config = read_config(
            CONFIGS[container["name"]],
            {name: environ[name] for name in environ if "GRACE" in name or "WAIT" in name},
        )
        needed = config.balancer_wait + config.stop_grace
        assert needed.total_seconds() < pod["terminationGracePeriodSeconds"]


def test_what_is_said_of_pods_is_said_of_pods_that_there_are() -> None:
    for path in KUBERNETES[1:]:
        found = documents(path)
        labels = [
            each["spec"]["template"]["metadata"]["labels"] for each in found if "template" in each["spec"]
        ]
        ports = {
            port["name"] for _, pod in pods_of(path) for each in pod["containers"] for port in each["ports"]
        }
        for document in found:
            spec = document["spec"]
            selector = {
                "Service": spec.get("selector"),
                "PodDisruptionBudget": (spec.get("selector") or {}).get("matchLabels"),
                "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels"),
            }.get(document["kind"])
            if selector is not None:
                assert any(selector.items() <= each.items() for each in labels), document["metadata"]
            if document["kind"] == "Service":
                assert {port["targetPort"] for port in spec["ports"]} <= ports


def test_every_deployment_has_a_budget_and_is_scaled() -> None:
    replicated = documents(DEPLOY / "kubernetes" / "postgres.yaml")
    named = {
        kind: {each["metadata"]["name"] for each in replicated if each["kind"] == kind}
        for kind in ("Deployment", "PodDisruptionBudget")
    }
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in documents(DEPLOY / "kubernetes" / "autoscaling.yaml")
    }

    assert named["Deployment"] == named["PodDisruptionBudget"] == scaled == set(SERVICES)


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_every_variable_is_a_setting_and_every_setting_can_be_read(run: Run, tmp_path: Path) -> None:
    config = CONFIGS[run.name]
    secrets = {name for name in run.environ if name.endswith("_FILE")}
    (tmp_path / "secret").write_text("secret")
    environ = {**run.environ, **dict.fromkeys(secrets, str(tmp_path / "secret"))}
    known = {f"SMARKETING_{field.name.upper()}" for field in dataclasses.fields(config)}
    known |= {f"SMARKETING_{name.upper()}_FILE" for name, kind in _hints(config).items() if _is_secret(kind)}

    assert run.arguments == (f"services.{run.name}",)
    assert set(environ) <= known | OF_EVERY_SERVICE | OF_THE_BUS
    read_config(config, environ)


OF_THE_BUS: Final = {f"SMARKETING_{field.name.upper()}" for field in dataclasses.fields(BusSettings)}


def _hints(config: type) -> dict[str, Any]:
    import typing

    return typing.get_type_hints(config)


def _is_secret(kind: Any) -> bool:
    return kind is Secret or Secret in getattr(kind, "__args__", ())


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_hold_directives_of_the_manual(path: Path) -> None:
    for section, lines in unit(path).items():
        assert {name for name, _ in lines} <= set(KNOWN_TO_SYSTEMD[section].split())


@pytest.mark.parametrize(
    "path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name
)
def test_units_are_hardened(path: Path) -> None:
    told = dict(unit(path)["Service"])

    assert {name: told.get(name) for name in HARDENED} == HARDENED
    assert (told["User"], "~@privileged" in told["SystemCallFilter"]) == ("smarketing", True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units_and_finds_little_exposed(tmp_path: Path) -> None:
    copies = [tmp_path / path.name for path in UNITS]
    for path, copy in zip(UNITS, copies, strict=True):
        copy.write_text(path.read_text().replace("/opt/smarketing/bin/python", sys.executable))
    analyze = ["systemd-analyze", "--no-pager"]
    verified = subprocess.run(
        [*analyze, "verify", "--man=no", *copies], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    for copy in (copy for copy in copies if copy.suffix == ".service"):
        # 15 of 100: what a service that talks to a network and writes one folder cannot do without.
        exposed = subprocess.run(
            [*analyze, "security", "--offline=true", "--threshold=15", copy],
            capture_output=True,
            text=True,
            check=False,
        )
        assert exposed.returncode == 0, exposed.stdout


def test_the_image_runs_by_default_what_the_unit_runs() -> None:
    told = dict(instructions(DOCKERFILE))

    assert told["ENTRYPOINT"] == '["python", "-m"]'
    assert told["CMD"] == '["services", "--data", "/var/lib/smarketing"]'
    assert run_of_unit(DEPLOY / "systemd" / "smarketing.service").arguments == (
        "services",
        "--data",
        "/var/lib/smarketing",
    )
