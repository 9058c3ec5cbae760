"""`lb init`: what it writes is right by itself, and fits together."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from lb import __version__
from lb.cli.init import FILES, WANTED
from lb.config import Scenario
from lb.units import seconds
from tests.cli.conftest import lb, on_a_terminal

OPTIONS = [f"--{name}" for name in WANTED]
BALANCERS = [it for it in OPTIONS if it != "--grafana"]
"""Those with a file for the balancer itself."""


def made(at: Path, *options: str) -> dict[str, str]:
    """Every file that is there then, by name."""
    said = lb("init", *options, "--out", at)
    assert said.returncode == 0, said.stderr
    return {file.name: file.read_text() for file in at.iterdir()}


def documents(text: str) -> dict[tuple[str, str], Any]:
    rows = list(yaml.safe_load_all(text))
    return {(row["kind"], row["metadata"]["name"]): row for row in rows}


# --- the balancer's own file


@pytest.mark.parametrize("options", [[], *([one] for one in BALANCERS), OPTIONS], ids=str)
def test_every_file_for_the_balancer_is_right_and_wise(tmp_path: Path, options: list[str]) -> None:
    files = made(tmp_path, *options)
    texts = [files["lb.toml"]] if "lb.toml" in files else []
    if "kubernetes.yaml" in files:
        texts.append(documents(files["kubernetes.yaml"])["ConfigMap", "lb"]["data"]["lb.toml"])
    assert texts
    for text in texts:
        scenario = Scenario.parse(text)
        assert scenario.notes() == []
        assert scenario.warnings() == []
        assert not re.search(r"[{}]{2}", text)
        assert max(map(len, text.splitlines())) <= 100


def test_what_is_a_comment_there_is_right_as_well(tmp_path: Path) -> None:
    text = made(tmp_path)["lb.toml"]
    body = text.partition("\n\n")[2]
    whole = re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", body)
    assert whole.count("\n#") == 0
    tomllib.loads(whole)
    Scenario.parse(whole)


def test_an_editor_finds_the_schema_beside_it(tmp_path: Path) -> None:
    files = made(tmp_path)
    hint = files["lb.toml"].splitlines()[0]
    assert hint == "#:schema ./lb.schema.json"
    validator = Draft202012Validator(json.loads(files["lb.schema.json"]))
    assert not list(validator.iter_errors(tomllib.loads(files["lb.toml"])))


# --- containers


def drain(text: str) -> float:
    return Scenario.parse(text).timeouts.drain


def test_a_container_runs_without_a_shell_or_root(tmp_path: Path) -> None:
    lines = made(tmp_path, "--docker")["Dockerfile"].splitlines()
    user = next(line for line in lines if line.startswith("USER "))
    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", user)
    (command,) = (line for line in lines if line.startswith("CMD "))
    assert json.loads(command.removeprefix("CMD ")) == ["lb", "serve", "-c", "/etc/lb/lb.toml"]
    check = json.loads(
        next(it for it in lines if "CMD [" in it and it != command).partition("CMD")[2]
    )
    assert check[:2] == ["python", "-c"]
    compile(check[2], "HEALTHCHECK", "exec")
    assert "http://127.0.0.1:8080/lb-health" in check[2]
    assert any(f'"lb-twin=={__version__}"' in line for line in lines)


def test_replicas_are_found_by_the_name_of_their_service(tmp_path: Path) -> None:
    files = made(tmp_path, "--compose")
    services = yaml.safe_load(files["compose.yaml"])["services"]
    scenario = Scenario.parse(files["lb.toml"])
    (source,) = scenario.discovery
    assert source.dns is not None
    name, _, port = source.dns.partition(":")
    web, balancer = services[name], services["lb"]
    assert web["deploy"]["replicas"] == 3
    assert web["command"][web["command"].index("--port") + 1] == port
    assert web["expose"] == [port]
    (published,) = balancer["ports"]
    assert scenario.listening()[0].address == f"0.0.0.0:{published.partition(':')[2]}"
    assert seconds(balancer["stop_grace_period"]) > drain(files["lb.toml"])
    assert all(row["read_only"] and row["cap_drop"] == ["ALL"] for row in services.values())
    assert balancer["volumes"] == ["./lb.toml:/etc/lb/lb.toml:ro"]


def test_commands_in_containers_are_those_of_lb(tmp_path: Path) -> None:
    files = made(tmp_path, "--compose", "--kubernetes")
    services = yaml.safe_load(files["compose.yaml"])["services"]
    commands = [row["command"] for row in services.values() if "command" in row]
    for (kind, _), row in documents(files["kubernetes.yaml"]).items():
        if kind == "Deployment":
            commands += [it["command"] for it in row["spec"]["template"]["spec"]["containers"]]
    assert len(commands) == 3
    for first, name, *options in commands:
        assert first == "lb"
        known = re.findall(r"(?<=[ ,])--?[a-z-]+", lb(name, "--help").stdout)
        assert {it for it in options if it.startswith("-")} <= set(known)


# --- Kubernetes


def test_selectors_find_the_pods(tmp_path: Path) -> None:
    rows = documents(made(tmp_path, "--kubernetes")["kubernetes.yaml"])
    for name in ("lb", "web"):
        spec = rows["Deployment", name]["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels
        assert rows["Service", name]["spec"]["selector"] == labels
        (container,) = spec["template"]["spec"]["containers"]
        (port,) = container["ports"]
        assert rows["Service", name]["spec"]["ports"][0]["targetPort"] == port["name"]
    budget = rows["PodDisruptionBudget", "lb"]["spec"]
    assert budget["selector"] == rows["Deployment", "lb"]["spec"]["selector"]
    assert budget["minAvailable"] < rows["Deployment", "lb"]["spec"]["replicas"]


def test_backends_are_those_of_a_headless_service(tmp_path: Path) -> None:
    rows = documents(made(tmp_path, "--kubernetes")["kubernetes.yaml"])
    (source,) = Scenario.parse(rows["ConfigMap", "lb"]["data"]["lb.toml"]).discovery
    assert source.dns is not None
    name, _, port = source.dns.partition(":")
    service = rows["Service", name]["spec"]
    assert service["clusterIP"] == "None"
    assert [it["port"] for it in service["ports"]] == [int(port)]
    pod = rows["Deployment", name]["spec"]["template"]["spec"]
    sleep, span = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert (sleep, float(span) > source.every) == ("sleep", True)


def test_a_pod_has_time_to_drain_and_no_privilege(tmp_path: Path) -> None:
    rows = documents(made(tmp_path, "--kubernetes")["kubernetes.yaml"])
    text = rows["ConfigMap", "lb"]["data"]["lb.toml"]
    for name in ("lb", "web"):
        pod = rows["Deployment", name]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        # or LB_PORT is what Kubernetes says of a service named lb
        assert pod["enableServiceLinks"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    pod = rows["Deployment", "lb"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    _, before = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > int(before) + drain(text)
    assert container["readinessProbe"]["httpGet"]["path"] == "/lb-health"
    python, _, code = container["livenessProbe"]["exec"]["command"]
    assert python == "python"
    compile(code, "livenessProbe", "exec")
    (mount,) = container["volumeMounts"]
    assert container["command"][-1] == f"{mount['mountPath']}/lb.toml"
    assert pod["volumes"] == [{"name": mount["name"], "configMap": {"name": "lb"}}]


# --- systemd


def settings(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and line[0] != "#")
    return {name: value for name, _, value in pairs}


def test_the_service_has_time_to_drain_and_the_socket_is_the_files(tmp_path: Path) -> None:
    files = made(tmp_path, "--systemd")
    service, sockets = settings(files["lb.service"]), settings(files["lb.socket"])
    assert service["Type"] == "notify"
    assert service["DynamicUser"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert seconds(service["TimeoutStopSec"]) > drain(files["lb.toml"])
    assert sockets["ListenStream"] == Scenario.parse(files["lb.toml"]).listening()[0].address
    command, *rest = service["ExecStart"].split()
    assert rest == ["serve", "-c", "/etc/lb/lb.toml"]
    assert command.startswith("/")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="without systemd")
def test_systemd_knows_every_setting(tmp_path: Path) -> None:
    files = made(tmp_path, "--systemd")
    command = settings(files["lb.service"])["ExecStart"].split()[0]
    service = tmp_path / "lb.service"  # whatever is installed here, and where
    service.write_text(files["lb.service"].replace(command, sys.executable))
    ran = subprocess.run(
        ["systemd-analyze", "verify", str(service), str(tmp_path / "lb.socket")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
    about = [line for line in ran.stderr.splitlines() if "lb.s" in line]
    assert not about


# --- what is there already


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    before = made(tmp_path, "--docker")
    (tmp_path / "Dockerfile").write_text("mine")
    again = lb("init", "--docker", "--out", tmp_path)
    assert again.returncode == 1
    assert "Dockerfile" in again.stderr
    assert "--force replaces" in again.stderr
    assert (tmp_path / "Dockerfile").read_text() == "mine"
    assert made(tmp_path, "--docker", "--force") == before


def test_where_one_is_there_none_is_written(tmp_path: Path) -> None:
    (tmp_path / "lb.socket").write_text("mine")
    assert lb("init", "--systemd", "--out", tmp_path).returncode == 1
    assert [file.name for file in tmp_path.iterdir()] == ["lb.socket"]


def test_a_file_of_ones_own_stays_and_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "lb.toml").write_text('[server]\nlisten = "127.0.0.1:80"\n')
    said = lb("init", "--docker", "--out", tmp_path)
    assert said.returncode == 0
    assert "lb.toml is there already, and stays" in said.stdout
    assert 'has to say listen = "0.0.0.0:8080"' in said.stdout
    assert (tmp_path / "lb.toml").read_text() == '[server]\nlisten = "127.0.0.1:80"\n'


def test_every_file_is_told(tmp_path: Path) -> None:
    said = lb("init", *OPTIONS, "--json", "--out", tmp_path)
    document = json.loads(said.stdout)
    assert document["schema"] == 1
    names = [Path(row["file"]).name for row in document["files"]]
    assert sorted(names) == sorted(FILES) == sorted(it.name for it in tmp_path.iterdir())
    assert all(str(tmp_path / name) in said.stderr for name in names)


def test_where_nothing_can_be_written_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = lb("init", "--out", tmp_path / "file")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("lb: cannot write to ")
    assert said.stderr.count("\n") == 1


def test_where_one_cannot_be_written_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(self: Path, *given: Any, **more: Any) -> int:
        if "schema" in self.name:
            raise OSError(errno.ENOSPC, "", str(self))
        return write(self, *given, **more)

    monkeypatch.setattr(Path, "write_text", full)
    said = lb("init", "--out", tmp_path)
    assert said.returncode == 1
    place = tmp_path / "lb.schema.json"
    assert said.stderr == f"lb: cannot write to {place}: no space left on device\n"
    assert not list(tmp_path.iterdir())


def test_it_fits_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = on_a_terminal(60, "init", *OPTIONS)
    assert max(map(len, shown.splitlines())) <= 60
