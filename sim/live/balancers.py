"""The balancer of a live run as a process: ours, or HAProxy or nginx as `lb export` has them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from lb.config import Scenario
from lb.errors import LbError, UsageError, nearest
from lb.foreign import export

HIDDEN = os.pathsep.join(("/usr/sbin", "/usr/local/sbin"))
"""Servers often are not in the PATH of ordinary users."""


OLDEST = {"haproxy": "2.6", "nginx": "1.19.5"}
"""What knows all that is written for it, and how it is started here (nginx: `-e`)."""
ANSWERS_WITHIN = 10.0
"""Seconds for one to tell its version."""
GRAVE = re.compile(r"\[(?:ALERT|emerg)\] *(?:\(\d+\) :|\d+#\d+:) *(.*)")
"""How they log what they end of; what follows the first of these is no news."""
LONGEST = 200


def program(name: str) -> str:
    """Where it is. Raises LbError where it is not, or is too old."""
    path = shutil.which(name) or shutil.which(name, path=HIDDEN)
    if path is None:
        places = HIDDEN.replace(os.pathsep, " or ")
        raise LbError(
            f"{name} is not installed: it is neither in PATH nor in {places} "
            f"(on Debian: apt install {name})"
        )
    found = re.search(r"\d+(?:\.\d+)+", _version(path))
    if found is not None and _numbers(found[0]) < _numbers(OLDEST[name]):
        raise LbError(f"{path} is {name} {found[0]}; it takes {OLDEST[name]} or later")
    return path


def _version(path: str) -> str:
    try:
        told = subprocess.run(
            [path, "-v"], capture_output=True, text=True, timeout=ANSWERS_WITHIN, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LbError(f"{path} does not run: {error}") from error
    return told.stdout + told.stderr


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def last_words(log: str) -> str:
    """Why one has ended, from what it wrote: its first grave line, else the last."""
    lines = log.strip().splitlines()
    grave = GRAVE.search(log)
    said = grave[1] if grave is not None else lines[-1] if lines else "no message"
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."


def command(kind: str, file: Path, url: str, directory: Path) -> list[str]:
    """What starts one that serves the scenario in `file` at `url`.

    What it needs it has in `directory`, under a name of its own. Raises LbError, UsageError and
    ConfigError.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind of balancer {kind!r}: {nearest(kind, KINDS)}")
    scenario = Scenario.load(file)
    if kind == "lb":
        own = url.endswith(scenario.server.addresses[0])
        port = [] if own else ["-p", str(_port(url))]
        return [sys.executable, "-m", "lb", "serve", "-c", str(file), *port]
    path = directory / f"{kind}-{_port(url)}.conf"
    server = scenario.server.model_copy(update={"listen": url.removeprefix("http://")})
    exported = export(scenario.model_copy(update={"server": server}), kind)
    path.write_text(exported.text, encoding="utf-8")
    return [program(kind), *KINDS[kind](path.absolute())]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


KINDS: dict[str, Callable[[Path], list[str]]] = {
    "lb": lambda _: [],
    "haproxy": lambda path: ["-db", "-f", str(path)],
    "nginx": lambda path: [
        *("-p", str(path.parent), "-e", "stderr", "-g", "daemon off;", "-c", str(path))
    ],
}
"""What each is started with, from its configuration."""
