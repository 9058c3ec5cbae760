"""The README says what the program says of itself."""

from __future__ import annotations

import contextlib
import doctest
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

import lb.config.scenario
from lb.cli import app
from lb.config import Scenario
from lb.config.model import VerdictTable
from lb.native import running
from lb.proxy.http import message
from sim import Estimate, Result
from sim.analysis.forecast import forecast_count, level_of_each
from sim.live.line import Line
from sim.live.verdict import Verdict
from sim.output.report import verdict_rows

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_table_of_algorithms_is_the_registrys() -> None:
    printed = CliRunner().invoke(app, ["strategies", "--markdown"]).stdout.strip()
    assert printed.count("\n") > 5
    assert printed in README


def test_its_scenario_file_is_a_scenario() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    scenario = Scenario.parse(text, "README.md")
    assert scenario.utilisation < 1
    assert scenario.expect.p99 == 0.25


def test_what_it_builds_in_python_is_simulated() -> None:
    (text,) = re.findall(r"```python\n(from sim import .*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(text, "README.md", "exec"), names)
    result = names["result"]
    assert isinstance(result, Result)
    assert 0.02 < result["least_connections"].latency["mean"].value < 0.2


def test_the_example_beside_a_scenario_is_right() -> None:
    assert doctest.testmod(lb.config.scenario) == (0, 2)


def test_the_verdict_it_shows_has_the_rows_of_one() -> None:
    failed = Line(0.0, forecast_count([0] * 30, level_of_each(8)), VerdictTable().failed)
    line = Line(0.1, Estimate(0.1, 0.09, 0.11), 0.05)
    verdict = Verdict(
        algorithm="random",
        requests=100,
        latency={"p50": line},
        shares={},
        failures=failed,
        late_by={"p50": 0.001, "p99": 0.001},
        invalid=[],
    )
    *_, row = verdict_rows(verdict)
    shown = [line.split() for line in README.splitlines()]
    assert " ".join(row).split() in shown
    assert "Failed:" not in README


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        taken = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]


@pytest.mark.skipif(shutil.which("curl") is None, reason="without curl")
def test_its_first_block_works_when_it_is_pasted_as_a_whole(tmp_path: Path) -> None:
    block = next(
        text for text in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "serve" in text
    )
    ports = dict(zip(("8080", "3001", "3002", "3003"), map(str, free_ports(4)), strict=True))
    assert all(port in block for port in ports)
    block = re.sub("|".join(ports), lambda found: ports[found[0]], block)
    command = tmp_path / "lb"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m lb "$@"\n')
    command.chmod(0o755)
    clean = running.environment()
    shell = subprocess.Popen(
        ["bash", "-e", "-c", f"{block}\nkill $(jobs -p)\nwait"],
        env={**clean, "PATH": f"{tmp_path}:{os.environ['PATH']}", "no_proxy": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with shell:
        try:
            printed, _ = shell.communicate(timeout=40)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert "HTTP/1.1 200 OK" in printed
    assert "X-Backend-Server: 127.0.0.1:" in printed
    stats = json.loads(printed[printed.rindex('{"algorithm"') :])
    assert stats["algorithm"] == "weighted_round_robin"
    assert [row["weight"] for row in stats["backends"]] == [2, 2, 1]


def section(title: str) -> str:
    _, found, rest = README.partition(f"## {title}\n")
    assert found
    return rest.partition("\n## ")[0]


def keys_of(annotation: object) -> Iterator[str]:
    """Every key that a table of the file knows, and those of the tables in it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield field.alias or name
            yield from keys_of(field.annotation)
    for part in get_args(annotation):
        yield from keys_of(part)


def test_every_key_of_a_file_is_told() -> None:
    told = set(re.findall(r"\w+", section("What is in a scenario file?")))
    assert not sorted(set(keys_of(Scenario)) - told)


def test_the_defaults_it_shows_are_the_defaults() -> None:
    text = section("What is in a scenario file?")
    shown = text[text.index("\n[server]\n") : text.index("\n[[backend]]\n")]
    pairs = re.compile(r'(\w+) = ("[^"]*"|[\d.]+|true|false|\[.*?\])')
    # what a comment mentions counts as well as what is set
    stated = "\n".join(
        line
        if line.startswith("[")
        else "\n".join(" = ".join(pair) for pair in pairs.findall(line))
        for line in shown.splitlines()
    )
    assert stated.count("=") > 20
    for table in ("server", "timeouts", "limits", "health", "retries", "queue", "subset"):
        assert getattr(Scenario.parse(stated), table) == getattr(Scenario(), table)


def test_every_option_of_serve_is_told() -> None:
    options = re.findall(r" (--[a-z-]+)", CliRunner().invoke(app, ["serve", "--help"]).stdout)
    assert not sorted(
        set(options) - set(re.findall(r"--[a-z-]+", README)) - {"--version", "--help"}
    )


def test_every_code_of_an_answer_of_the_proxys_own_is_told() -> None:
    told = set(re.findall(r"`(\w+)`", section("How do I balance requests?")))
    own = [json.loads(answer.body)["error"] for answer in (message.TOO_LATE, message.LOOP)]
    assert not {*(why.value for why in message.REFUSALS), *own, "bad_request"} - told


@pytest.mark.no_cover  # half a million requests
def test_the_simulation_it_shows_is_what_lb_says(tmp_path: Path) -> None:
    command, shown = re.findall(
        r"```sh\nlb (simulate .*)\n```\n\n```\n(.*?)```", README, re.DOTALL
    )[0]
    ran = CliRunner(env={"COLUMNS": "100"}).invoke(app, [*command.split(), "--out", str(tmp_path)])
    lines = [line.rstrip() for line in ran.stdout.splitlines()]
    assert "\n".join(lines).replace(str(tmp_path), "lb-report") == shown.rstrip()


def test_its_counts_are_right() -> None:
    example = Path(__file__).parent / "plugin" / "last_resort.py"
    assert f"[an example in {len(example.read_text().splitlines())} lines]" in README
    corpus = (Path(__file__).parent / "proxy" / "corpus").glob("*.toml")
    tables = [tomllib.loads(file.read_text(encoding="utf-8")) for file in corpus]
    messages = sum(
        len(row.get("cases", "1")) for table in tables for rows in table.values() for row in rows
    )
    (told,) = re.findall(r"holds over (\d+) messages", README)
    assert int(told) < messages < int(told) + 100
    print(messages)
