"""CPU time of one proxied request over TLS: both builds of this tree, nginx and HAProxy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import trustme

from tests.bench import load, origin
from tests.bench.contenders import COMPILED, PURE, contenders
from tests.bench.peers import Contender
from tests.bench.processes import BenchError, cpu_seconds
from tests.bench.proxies import BACKENDS
from tests.bench.rounds import Proxy, Sample, Say, alternating, started, summaries

TARGET = 1.5
"""Times the CPU of nginx, at most."""
CASE = "small GET over TLS"
LB = """
[server]
listen = "127.0.0.1:{port}"
[server.tls]
certificate = "{pem}"
key = "{pem}"
"""
Command = Callable[[int, list[int], Path], list[str]]


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    """Microseconds of CPU per request on connections that are kept."""
    rounds, seconds = (5, 0.5) if quick else (11, 1.0)
    found, missing = contenders(others, without)
    speaking = [one for one in map(_over_tls, found) if one is not None]
    with started(speaking, origin.command, BACKENDS) as (proxies, _):

        def sample(name: str) -> Sample:
            return _cpu(proxies[name], seconds)

        samples = alternating(CASE, list(proxies), rounds, sample, say)
    return {
        "target": TARGET,
        "rounds": rounds,
        "load": load.described(),
        "not_installed": missing,
        "proxies": {one.name: one.version for one in speaking},
        "cases": {CASE: summaries(samples, "cpu_us")},
    }


def _cpu(proxy: Proxy, seconds: float) -> Sample:
    port, process = proxy
    before = cpu_seconds(process)
    answers = load.offer(port, seconds, "small", secure=True)
    used = cpu_seconds(process) - before
    return {"cpu_us": used / answers.requests * 1e6, "load_busy": answers.busy}


def _over_tls(one: Contender) -> Contender | None:
    """The same proxy, whose clients speak TLS; None for one that is not set up for it here."""
    commands: dict[str, Callable[[Contender], Command]] = {
        COMPILED: _lb,
        PURE: _lb,
        "nginx": _nginx,
        "haproxy": _haproxy,
    }
    make = commands.get(one.name, _lb if one.name.startswith("lb ") else None)
    return None if make is None else replace(one, command=make(one))


def _lb(one: Contender) -> Command:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        plain = one.command(port, origins, directory)
        file = directory / "lb.toml"
        file.write_text(LB.format(port=port, pem=_pem(directory)))
        at = plain.index("serve") + 1
        return [*plain[:at], "-c", str(file), *plain[plain.index("-b") :]]

    return command


def _nginx(one: Contender) -> Command:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        command = one.command(port, origins, directory)
        pem = _pem(directory)
        plain = f"listen 127.0.0.1:{port};"
        _replaced(
            directory / "nginx.conf",
            plain,
            f"listen 127.0.0.1:{port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};",
        )
        return command

    return command


def _haproxy(one: Contender) -> Command:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        command = one.command(port, origins, directory)
        plain = f"bind 127.0.0.1:{port}"
        _replaced(directory / "haproxy.cfg", plain, f"{plain} ssl crt {_pem(directory)}")
        return command

    return command


def _replaced(file: Path, plain: str, secure: str) -> None:
    text = file.read_text()
    if plain not in text:
        raise BenchError(f"{file.name} does not say {plain!r}")
    file.write_text(text.replace(plain, secure))


def _pem(directory: Path) -> Path:
    """A certificate, its key, in one file as HAProxy wants them."""
    path = directory / "own.pem"
    if not path.exists():
        path.write_bytes(
            trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
        )
    return path
