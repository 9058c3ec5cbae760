"""The balancer of a live run as a process: ours, or HAProxy or nginx as `lb export` has them."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from lb.config import Scenario
from lb.errors import LbError, UsageError, nearest
from lb.foreign import export

HIDDEN = os.pathsep.join(("/usr/sbin", "/usr/local/sbin"))
"""Servers often are not in the PATH of ordinary users."""


def program(name: str) -> str:
    """Where it is. Raises LbError."""
    path = shutil.which(name) or shutil.which(name, path=HIDDEN)
    if path is None:
        places = HIDDEN.replace(os.pathsep, " or ")
        raise LbError(f"{name} is not installed: it is neither in PATH nor in {places}")
    return path


def command(kind: str, file: Path, url: str, directory: Path, method: str = "") -> list[str]:
    """What starts one that serves the scenario in `file` at `url`.

    What it needs it has in `directory`, under a name of its own. `method` stands in place of the
    one that export chooses. Raises LbError, UsageError and ConfigError.
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
    text = exported.text
    if method:
        text = text.replace(exported.method, method)
    path.write_text(text, encoding="utf-8")
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
