"""A live nginx that says which of its upstream servers it picked, request by request."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from socket import create_server, socket

PATH = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Peer:
    """A line of an upstream block."""

    port: int
    weight: int = 1
    down: bool = False

    def __str__(self) -> str:
        return f"server {self.address} weight={self.weight}{' down' * self.down};"

    @property
    def address(self) -> str:
        return f"{LOCAL}:{self.port}"


class Nginx:
    """Requests to one upstream block after another."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection(LOCAL, port, timeout=5)

    def picks(self, upstream: int, keys: Sequence[str]) -> list[int]:
        """The port that answered for each key, which is text or a client's address."""
        picked = []
        for key in keys:
            self._connection.request("GET", f"/{upstream}", headers={"X-Key": key})
            picked.append(int(self._connection.getresponse().read()))
        return picked

    def close(self) -> None:
        self._connection.close()


def bound(ports: Sequence[int]) -> list[socket]:
    """Listening sockets; nginx takes them over, so no port is lost on the way."""
    return [create_server((LOCAL, port), backlog=64) for port in ports]


@contextmanager
def running(
    directory: Path, method: str, upstreams: Sequence[Sequence[Peer]], peers: Sequence[socket]
) -> Iterator[Nginx]:
    """One nginx with one worker, in which `method` balances every one of `upstreams`.

    `peers` listen on the ports of the upstreams' servers.
    """
    assert PATH is not None
    front, *_ = bound([0])
    port = front.getsockname()[1]
    blocks = "\n".join(
        f"upstream u{i} {{ {method}; {' '.join(map(str, rows))} }}"
        for i, rows in enumerate(upstreams)
    )
    locations = "\n".join(
        f"location = /{i} {{ proxy_pass http://u{i}; }}" for i in range(len(upstreams))
    )
    listens = " ".join(f"listen {LOCAL}:{peer.getsockname()[1]};" for peer in peers)
    temporary = "\n".join(
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"""
        daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
        events {{ worker_connections 256; }}
        http {{
            access_log off; {temporary}
            set_real_ip_from {LOCAL}; real_ip_header X-Key;
            {blocks}
            server {{ listen {LOCAL}:{port}; keepalive_requests 1000000; {locations} }}
            server {{ {listens} return 200 "$server_port"; }}
        }}
        """
    )
    sockets = [front, *peers]
    process = subprocess.Popen(
        [PATH, "-p", str(directory), "-c", "nginx.conf", "-e", f"{directory}/error.log"],
        env={"NGINX": "".join(f"{one.fileno()};" for one in sockets)},
        pass_fds=[one.fileno() for one in sockets],
    )
    try:
        nginx = Nginx(port)
        yield nginx
        nginx.close()
    finally:
        process.terminate()
        process.wait(5)
        for one in sockets:
            one.close()
