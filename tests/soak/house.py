"""The processes of a soak: backends, the balancer and its successors, and how they are."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import trustme

LB = (sys.executable, "-m", "lb")
ALGORITHMS = ("round_robin", "least_connections", "p2c", "peak_ewma", "random", "maglev")


def free_ports(number: int) -> list[int]:
    with ExitStack() as held:
        ours = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [int(one.getsockname()[1]) for one in ours]


class House:
    """Three backends of the file, three found in another, and whoever balances over them."""

    def __init__(self, place: Path, workers: int, more: str = "") -> None:
        self.place = place
        self._workers = workers
        self._more = more
        self.plain, self.secure, self.admin, *self.backends = free_ports(9)
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(place / "cert.pem")
        )
        self.trusted = ssl.create_default_context()
        authority.configure_trust(self.trusted)
        self._origins: dict[int, subprocess.Popen[bytes]] = {}
        self._log = (place / "log").open("ab")
        self.balancers: list[subprocess.Popen[bytes]] = []
        for port in self.backends:
            self.revive(port)
        self.find(2)
        self.write(ALGORITHMS[0])

    def revive(self, port: int) -> None:
        """A backend comes, or comes back."""
        self._origins[port] = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.origin", str(port)]
        )

    def kill(self, port: int) -> None:
        self._origins[port].kill()
        self._origins[port].wait()

    def find(self, number: int) -> None:
        """So many backends beside those of the file."""
        rows = [f"127.0.0.1:{port}" for port in random.sample(self.backends[3:], number)]
        new = self.place / "found.new"
        new.write_text(json.dumps(rows))
        new.replace(self.place / "found.json")

    def write(self, algorithm: str) -> None:
        """The file."""
        pem = self.place / "cert.pem"
        serving = f"workers = {self._workers}\n" if self._workers > 1 else ""
        rows = "".join(f'[[backend]]\naddress = "127.0.0.1:{it}"\n' for it in self.backends[:3])
        (self.place / "lb.toml").write_text(
            f'algorithm = "{algorithm}"\nkey = "path"\n'
            f'[server]\nlisten = "127.0.0.1:{self.plain}"\nadmin = "127.0.0.1:{self.admin}"\n'
            f"{serving}"
            f'[health]\npath = "/"\ninterval = "1s"\n'
            f'[[listener]]\naddress = "127.0.0.1:{self.secure}"\n'
            f'[listener.tls]\ncertificate = "{pem}"\nkey = "{pem}"\n'
            f'[[discovery]]\nfile = "{self.place / "found.json"}"\n{self._more}{rows}'
        )

    def start(self, *flags: str) -> None:
        """The balancer, or its successor."""
        self.balancers.append(
            subprocess.Popen(
                [*LB, "serve", "-c", str(self.place / "lb.toml"), *flags], stderr=self._log
            )
        )

    def reload(self) -> None:
        self.write(random.choice(ALGORITHMS))
        self.balancers[-1].send_signal(signal.SIGHUP)

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
            return json.load(answer)

    async def serves(self) -> int:
        """Wait until the newest balancer does; its process."""
        pid = self.balancers[-1].pid
        while True:
            try:
                told = await asyncio.to_thread(self.ask, "/v1/snapshot")
                if any(self._is(pid, worker["pid"]) for worker in told["workers"]):
                    return pid
            except OSError:
                pass
            if self.balancers[-1].poll() is not None:
                raise RuntimeError((self.place / "log").read_text()[-2000:])
            await asyncio.sleep(0.05)

    @staticmethod
    def _is(pid: int, worker: int) -> bool:
        try:
            return pid in (worker, psutil.Process(worker).ppid())
        except psutil.NoSuchProcess:
            return False

    def size(self) -> tuple[float, int]:
        """MiB and descriptors of the newest balancer, its workers included."""
        family = psutil.Process(self.balancers[-1].pid)
        everybody = [family, *family.children(recursive=True)]
        return (
            sum(one.memory_info().rss for one in everybody) / 2**20,
            sum(one.num_fds() for one in everybody),
        )

    def workers(self) -> list[int]:
        """Processes that serve, where they are not the main one."""
        return [one.pid for one in psutil.Process(self.balancers[-1].pid).children()]

    def close(self) -> list[int | None]:
        """End everything; the balancers' exit statuses."""
        for one in self.balancers:
            if one.poll() is None:
                one.terminate()
        statuses = [one.wait(40) for one in self.balancers]
        for origin in self._origins.values():
            origin.kill()
            origin.wait()
        self._log.close()
        return statuses

    def kill_a_worker(self) -> None:
        os.kill(random.choice(self.workers()), signal.SIGKILL)
