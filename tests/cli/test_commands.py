"""The commands that tell, and the modelled backends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lb import BUILD, __version__
from lb.strategies import REGISTRY
from tests.cli.conftest import Running, Serving, Start, get, lb, lb_process


def free_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def test_help_and_version() -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    assert lb_process("--version").stdout == f"lb {__version__} ({BUILD}; Python {python})\n"
    pure = lb_process("--version", LB_PURE="1")
    assert pure.stdout == f"lb {__version__} (pure Python; Python {python})\n"
    assert pure.stderr == ""
    general = lb("--help")
    assert general.returncode == 0
    assert general.stdout.startswith("Usage: lb ")
    for command in ("serve", "simulate", "backend", "check", "strategies"):
        assert f"  {command} " in general.stdout
        one = lb(command, "-h")
        assert one.returncode == 0
        assert one.stdout.startswith(f"Usage: lb {command} ")
    assert lb().stdout == general.stdout


HEAVY = ("numpy", "matplotlib", "simpy", "aiohttp", "uvloop", "httptools", "sim", "lb.config")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["strategies"]])
def test_what_a_command_does_not_need_is_not_loaded(arguments: list[str]) -> None:
    code = "import atexit, sys, lb.cli; atexit.register(lambda: print(*sys.modules)); lb.cli.main()"
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert not {*HEAVY} & {*ran.stdout.splitlines()[-1].split()}


def test_every_option_of_serve_has_a_variable() -> None:
    text = lb("serve", "--help").stdout
    for name in ("CONFIG", "PORT", "BACKENDS", "ALGORITHM", "HEALTH_CHECK_INTERVAL"):
        assert f"LB_{name}]" in text


def test_strategies() -> None:
    result = lb("strategies")
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(REGISTRY)
    one = lb("strategies", "weighted_round_robin").stdout
    assert one.startswith("weighted_round_robin")
    assert "needs:" in one
    assert "weights" in one


def test_check(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text('algorithm = "random"\n[[backend]]\naddress = "127.0.0.1:1"\n')
    result = lb("check", file)
    assert result.returncode == 0
    assert result.stdout.startswith(f"{file}: fine; random over 1 backend")
    assert result.stderr == ""


def test_check_takes_several_files_and_tells_of_all(tmp_path: Path) -> None:
    good, bad, worse = (tmp_path / name for name in ("good.toml", "bad.toml", "worse.toml"))
    good.write_text("")
    bad.write_text('algorithm = "p2"\n[[backend]]\nweight = 0\n')
    worse.write_text("[server\n")
    result = lb("check", bad, good, tmp_path / "none.toml", worse)
    assert result.returncode == 3
    assert result.stdout == f"{good}: fine; round_robin over 3 backends, ready to serve\n"
    starts = [":1 algorithm", ":2 backend[0].address", ":3 backend[0].weight"]
    lines = result.stderr.splitlines()
    for line, start in zip(lines[:3], starts, strict=True):
        assert line.startswith(f"{bad}{start}")
    assert lines[3].startswith(f"{tmp_path / 'none.toml'}: cannot be read: ")
    assert lines[4].startswith(f"{worse}:1 file: not TOML: ")


def test_check_without_a_file_takes_that_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "a:b.toml"
    file.write_text("")
    assert lb("check", LB_CONFIG=str(file)).stdout.startswith(f"{file}: fine")
    assert lb("check", tmp_path / "none", LB_CONFIG=str(file)).returncode == 3
    nothing = lb("check")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr == "lb: no file given, and LB_CONFIG names none\n"


def test_check_notes_what_the_algorithm_misses(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text('algorithm = "weighted_round_robin"\n')
    result = lb("check", file)
    assert result.returncode == 0
    assert "note: weighted_round_robin goes by weights" in result.stdout


def test_a_modelled_backend(start: Start) -> None:
    (port,) = free_ports(1)
    backend = start(Running, "backend", "-p", port, "--service", "deterministic:1s")
    backend.until(f"http://127.0.0.1:{port}")
    address = f"127.0.0.1:{port}"
    assert get(address, "/health")[0] == 200
    status, answer = get(address, "/any/path", X_LB_Size="0")
    assert status == 200
    assert answer["server"] == address
    assert answer["service_ms"] == 0
    assert get(address, X_LB_Size="0.01")[1]["service_ms"] == 10
    for bad in ("-1", "nan", "inf", "much"):
        status, answer = get(address, X_LB_Size=bad)
        assert status == 400
        assert answer["error"] == "bad_size"
    backend.tell(signal.SIGTERM)
    assert backend.ended() == 0


def test_modelled_backends_suffer_the_faults_of_their_file(start: Start, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    file = tmp_path / "lb.toml"
    file.write_text(
        f'[[backend]]\naddress = "127.0.0.1:{port}"\n'
        '[backend.model]\nservice = { law = "deterministic", mean = "10ms" }\n'
        f'[[fault]]\nkind = "pause"\nbackend = "127.0.0.1:{port}"\nto = "50ms"\n'
    )
    start(Running, "backend", "-c", file).until("backend ")
    address = f"127.0.0.1:{port}"
    assert get(address, "/health")[0] == 200  # is no request: the pause has not begun
    assert get(address)[1]["sojourn_ms"] == pytest.approx(60)
    assert get(address)[1]["sojourn_ms"] == pytest.approx(10)


def test_a_file_is_served_by_both_sides(start: Start, tmp_path: Path) -> None:
    ports = free_ports(3)
    file = tmp_path / "lb.toml"
    file.write_text(
        'algorithm = "weighted_round_robin"\n[server]\nlisten = "127.0.0.1:0"\n'
        + "".join(
            f'[[backend]]\naddress = "127.0.0.1:{port}"\nname = "{name}"\nweight = {weight}\n'
            '[backend.model]\nservice = { law = "deterministic", mean = "0ms" }\n'
            for name, port, weight in zip("abc", ports, (5, 1, 1), strict=True)
        )
    )
    everyone = start(Running, "backend", "-c", file)
    for _ in ports:
        everyone.until("backend ")
    serving = start(Serving, "-c", file)
    assert "".join(serving.get()[1]["server"] for _ in range(14)) == "aabacaa" * 2
    everyone.tell(signal.SIGINT)
    assert everyone.ended() == 0
    only = start(Running, "backend", "-c", file, "-p", ports[1])
    assert "backend b " in only.until("backend ")
    with pytest.raises(ConnectionRefusedError):
        get(f"127.0.0.1:{ports[0]}")
