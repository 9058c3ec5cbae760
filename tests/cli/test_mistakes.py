"""A mistake of the user is one line that says what is wrong, and an exit status."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import lb, lb_process

MISTAKES = [
    (
        ["serve", "-a", "least_conections"],
        "unknown algorithm 'least_conections'",
        "'least_connections'",
    ),
    (["serve", "-b", "nonsense"], "backend 'nonsense'", "is not host:port"),
    (["serve", "-b", "127.0.0.1:1,127.0.0.1:99999"], "port 99999", "between 0 and 65535"),
    (["serve", "-b", "127.0.0.1:1,127.0.0.1:1"], "backend 127.0.0.1:1", "twice"),
    (["serve", "-b", "127.0.0.1:1*-3"], "weight '-3'", "above zero"),
    (["serve", "-b", "127.0.0.1:1*0"], "weight '0'", "above zero"),
    (["serve", "-b", "127.0.0.1:1*x"], "weight 'x'", "above zero"),
    (["serve", "-b", ","], "no backends", "host:port"),
    (["serve", "-p", "70000"], "port 70000", "between 0 and 65535"),
    (["serve", "-p", "http"], "'--port'", "integer"),
    (["serve", "--health-check-interval", "0"], "--health-check-interval 0", "above zero"),
    (["serve", "--health-check-interval", "nan"], "--health-check-interval nan", "above zero"),
    (["serve", "--prot", "80"], "--prot", "such option"),
    (["server"], "'server'", "'serve'"),
    (["strategies", "p2"], "unknown algorithm 'p2'", "p2c"),
    (["backend", "--service", "exponentail:20ms"], "unknown law 'exponentail'", "'exponential'"),
    (["backend", "--service", "lognormal:20ms"], "cv", "missing"),
    (["backend", "--service", "exponential:20"], "mean", "unit"),
    (["backend", "--discipline", "lifo"], "'lifo'", "fifo, ps"),
    (["backend", "--workers", "0"], "'--workers'", "1"),
    (["backend", "--port", "-1"], "port -1", "between 0 and 65535"),
]


@pytest.mark.parametrize(
    ("arguments", "what", "why"), MISTAKES, ids=[" ".join(row[0]) for row in MISTAKES]
)
def test_on_the_command_line(arguments: list[str], what: str, why: str) -> None:
    result = lb(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("lb: ")
    assert what in line
    assert why in line


def test_in_a_process_of_its_own() -> None:
    result = lb_process("serve", "-a", "least_conections")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        "lb: unknown algorithm 'least_conections': did you mean 'least_connections'?\n"
    )


def test_in_the_environment() -> None:
    result = lb("serve", LB_PORT="http")
    assert result.returncode == 2
    assert "LB_PORT" in result.stderr
    assert lb("serve", LB_ALGORITHM="p3c").returncode == 2


BAD_FILE = """\
algorithm = "round_robbin"
[server]
lissten = "127.0.0.1:0"
[timeouts]
connect = 5
[[backend]]
address = "127.0.0.1:3001"
weight = -2
"""


@pytest.mark.parametrize("command", [["serve", "-c"], ["check"], ["backend", "-c"]])
def test_every_mistake_of_a_file_at_once_each_with_its_place(
    command: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "lb.toml"
    file.write_text(BAD_FILE)
    result = lb(*command, file)
    assert result.returncode == 3
    assert result.stdout == ""
    algorithm, unknown, duration, weight = result.stderr.splitlines()
    assert algorithm.startswith(f"{file}:1 algorithm")
    assert "did you mean 'round_robin'?" in algorithm
    assert unknown == f"{file}:3 server.lissten: unknown key; did you mean 'listen'?"
    assert duration.startswith(f"{file}:5 timeouts.connect: a duration is a number and a unit")
    assert weight.startswith(f"{file}:8 backend[0].weight: ")


FILES = [
    ("[[backend]]\naddress = 5\n", ":2 backend[0].address"),
    ("[[backend]\n", "not TOML"),
    ("backend = []\n", "no backends"),
    ('[[backend]]\naddress = "a:1"\n[[backend]]\naddress = "a:1"\n', "a:1 is given twice"),
    ('[server]\ntrusted_proxies = ["10.0.0.0/99"]\n', ":2 server.trusted_proxies"),
]


@pytest.mark.parametrize(("text", "message"), FILES)
def test_a_wrong_file(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text(text)
    result = lb("check", file)
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith(str(file))
    assert message in line


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes("# \xe9\n".encode("latin-1"))
    for path, why in (
        (tmp_path / "none.toml", "no such file or directory"),
        (tmp_path, "is a directory"),
        (latin, "not UTF-8 text"),
    ):
        result = lb("check", path)
        assert result.returncode == 3
        assert result.stderr == f"{path}: cannot be read: {why}\n"


@pytest.mark.parametrize("command", ["serve", "simulate", "backend", "demo", "replay"])
def test_one_status_for_files_that_cannot_be_read(command: str, tmp_path: Path) -> None:
    option = [] if command == "replay" else ["-c"]
    for path, why in (
        (tmp_path / "none", "no such file or directory"),
        (tmp_path, "is a directory"),
    ):
        result = lb(command, *option, path)
        assert result.returncode == 3
        assert (result.stdout, result.stderr) == ("", f"{path}: cannot be read: {why}\n")


@pytest.mark.parametrize("path", ["none/today.rec", "."])
def test_a_recording_that_cannot_be_written_is_one_line(path: str, tmp_path: Path) -> None:
    result = lb_process("serve", "-p", 0, "--record", tmp_path / path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"lb: cannot record to {tmp_path / path}: ")


def test_a_backend_without_a_model(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text('[[backend]]\naddress = "127.0.0.1:3001"\n')
    result = lb("backend", "-c", file)
    assert result.returncode == 3
    assert result.stderr == (
        f"{file}:1 backend[0].model: missing; nothing to simulate 127.0.0.1:3001 with\n"
    )


def test_a_modelled_backend_says_what_it_does_not_speak(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    model = '[backend.model]\nservice = "exponential:1ms"\n'
    file.write_text(
        f'[[backend]]\naddress = "unix:/run/a.sock"\n{model}'
        f'[[backend]]\naddress = "b:1"\nproxy_protocol = "v1"\ntls = {{}}\n{model}'
    )
    result = lb("backend", "-c", file)
    assert result.returncode == 3
    why = "a modelled backend speaks plain HTTP at a port; leave it out here"
    assert result.stderr.splitlines() == [
        f"{file}:2 backend[0].address: {why}",
        f"{file}:8 backend[1].tls: {why}",
        f"{file}:7 backend[1].proxy_protocol: {why}",
    ]


def test_a_port_of_no_backend(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    model = '[backend.model]\nservice = { law = "deterministic", mean = "1ms" }\n'
    file.write_text(f'[[backend]]\naddress = "127.0.0.1:3001"\n{model}')
    result = lb("backend", "-c", file, "-p", "3002")
    assert result.returncode == 2
    assert result.stderr == f"lb: --port 3002: no backend of {file} has this port\n"


def test_one_of_several_backends_that_share_a_station(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    model = '[backend.model]\nservice = "constant:1ms"\nthen = "db"\n'
    shared = '[[shared]]\nname = "db"\nservice = "constant:1ms"\n'
    file.write_text(f'[[backend]]\naddress = "127.0.0.1:3001"\n{model}{shared}')
    result = lb("backend", "-c", file, "-p", "3001")
    assert result.returncode == 2
    why = "the backends of {} go on at db together, in one process; leave it out"
    assert result.stderr == f"lb: --port 3001: {why.format(file)}\n"


@pytest.mark.parametrize("command", ["serve", "backend"])
def test_a_port_in_use(command: str) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = lb_process(command, "-p", port)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"lb: cannot listen on 127.0.0.1:{port}: ")
    assert "address already in use" in line
