"""What a shell is told to complete a command line with."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lb.cli.completion import SCRIPTS
from lb.strategies import REGISTRY
from tests.admin.house import plane, run
from tests.cli.conftest import LIMIT, environment, lb


def words(line: str) -> list[str]:
    said = lb("completion", "bash", "--line", line)
    assert (said.returncode, said.stderr) == (0, "")
    return said.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("lb se", ["serve"]),
        ("lb sw", ["sweep"]),
        ("lb serve", []),  # it is whole
        ("/opt/lb/bin/lb ver", ["verify"]),
        ("lb ctl dr", ["drain"]),
        ("lb ctl -c lb.toml dr", ["drain"]),
        ("lb serve --hea", ["--health-check-interval"]),
        ("lb check --print", ["--print-effective"]),
        ("lb serve -a maglev --record-s", ["--record-size", "--record-sample"]),
        ("lb serve -a rende", ["rendezvous"]),
        ("lb serve --algorithm=rende", ["--algorithm=rendezvous"]),
        ("lb simulate -a p2c,rende", ["p2c,rendezvous"]),
        ("lb simulate -a p2c:", ["p2c:choices=", "p2c:replacement="]),
        ("lb simulate -a maglev,p2c:ch", ["maglev,p2c:choices="]),
        ("lb verify -s rende", ["rendezvous"]),
        ("lb strategies rende", ["rendezvous"]),
        ("lb ctl algorithm rende", ["rendezvous"]),
        ("lb simulate --workers ", ["auto"]),
        ("lb completion ", ["bash", "zsh", "fish"]),
        ("lb export ", ["haproxy", "nginx", "envoy"]),
        ("lb predict --metric p9", ["p95", "p99"]),
        ("lb serve --shadow rende", ["rendezvous"]),
        ("lb predict -c nowhere.toml --remove ", []),
        ("lb completion --li", []),  # which nobody types
        ("lb check ", []),  # a file
        ("lb serve -c ", []),
        ("lb serve -p 80", []),
        ("lb strategies maglev ", []),  # takes no more
        ('lb check "a', []),
    ],
)
def test_what_goes_on(line: str, found: list[str]) -> None:
    assert words(line) == found


def test_all_commands_and_all_algorithms_are_there() -> None:
    assert {"serve", "check", "ctl", "completion"} <= set(words("lb "))
    assert set(words("lb serve -a ")) >= REGISTRY.keys()


def test_others_are_told_what_each_means() -> None:
    (line,) = lb("completion", "fish", "--line", "lb strat").stdout.splitlines()
    word, _, text = line.partition("\t")
    assert (word, text.startswith("List the algorithms")) == ("strategies", True)


def test_backends_are_those_of_the_balancer_that_runs() -> None:
    async def test() -> None:
        async with plane() as here:
            admin = f"lb ctl drain --admin 127.0.0.1:{here.client.port} "
            assert await asyncio.to_thread(words, admin) == ["a", "127.0.0.1:3002", "'c/d e'"]
            assert await asyncio.to_thread(words, f"{admin}127") == ["127.0.0.1:3002"]

    run(test())


def test_a_balancer_that_cannot_be_asked_has_no_backends() -> None:
    assert words("lb ctl --admin unix:/nowhere/lb drain ") == []
    assert words("lb ctl drain --admin nonsense ") == []


def test_a_shell_that_is_none_of_them() -> None:
    said = lb("completion", "tcsh")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "lb: 'tcsh': no completion for that; known: bash, fish, zsh\n"


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_script_is_one_of_its_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"without {shell}")
    script = tmp_path / "script"
    script.write_text(lb("completion", shell).stdout)
    subprocess.run([shell, "-n", str(script)], check=True, timeout=LIMIT)


@pytest.mark.skipif(shutil.which("bash") is None, reason="without bash")
@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("lb strat", "strategies"),
        ("lb serve -a p2c:ch", "choices="),  # bash replaces only what is behind the colon
        ("lb serve --algorithm=maglev", ""),
    ],
)
def test_bash_completes(line: str, replies: str, tmp_path: Path) -> None:
    command = tmp_path / "lb"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m lb "$@"\n')
    command.chmod(0o755)
    typed = f'COMP_LINE="{line}" COMP_POINT={len(line)}; _lb 2>/dev/null; echo "${{COMPREPLY[*]}}"'
    ran = subprocess.run(
        ["bash", "--norc", "-c", f"COMP_WORDBREAKS=$' \\t\\n=:'\n{SCRIPTS['bash']}\n{typed}"],
        env={**environment({}), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    assert ran.stdout.strip() == replies
