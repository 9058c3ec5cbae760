"""Load: GETs over keep-alive connections, each sent when the one before is answered.

Run as `python -m tests.bench.load PORT SECONDS CASE [tls]`; one core sends more than any proxy
handles.
"""

from __future__ import annotations

import gc
import json
import selectors
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from tests.bench.processes import LOAD_CORE, ROOT, BenchError, pinned
from tests.bench.traffic import END, requests

CONNECTIONS = 32
GOOD = b"HTTP/1.1 200"


@dataclass(frozen=True)
class Answers:
    """What a load came to."""

    requests: int
    seconds: float
    busy: float
    """Share of a core that the generator took; near one, it is what was measured."""


def described() -> str:
    return f"{CONNECTIONS} keep-alive connections, one request at a time on each"


def offer(port: int, seconds: float, case: str, secure: bool = False) -> Answers:
    """Load 127.0.0.1:`port` from the load's core. Raises BenchError unless every answer is good."""
    command = [sys.executable, "-m", "tests.bench.load", str(port), str(seconds), case]
    command += ["tls"] * secure
    with pinned(LOAD_CORE):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, timeout=seconds + 30, check=False
        )
    if done.returncode:
        raise BenchError(f"the load went wrong:\n{done.stderr or done.stdout}")
    return Answers(**json.loads(done.stdout))


def _connected(port: int, secure: bool) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not secure:
        return client
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(client)


def _received(one: socket.socket) -> bytes:
    data = one.recv(2**17)
    while isinstance(one, ssl.SSLSocket) and one.pending():  # which no selector tells of
        data += one.recv(2**17)
    return data


def _offer(port: int, seconds: float, case: str, secure: bool) -> Answers:
    request = requests(case, f"127.0.0.1:{port}")
    ready = selectors.DefaultSelector()
    number = time.monotonic_ns()  # so that no run repeats what another has sent
    for _ in range(CONNECTIONS):
        client = _connected(port, secure)
        ready.register(client, selectors.EVENT_READ)
        client.sendall(request(number := number + 1))
    begun: dict[socket.socket, bytes] = {}
    count, under_way = 0, CONNECTIONS
    started, used = time.monotonic(), time.process_time()
    ends = started + seconds
    while under_way:
        events = ready.select(10.0)
        if not events:
            raise BenchError("no answer for ten seconds")
        over = time.monotonic() >= ends
        for key, _ in events:
            one = key.fileobj
            assert isinstance(one, socket.socket)
            data = _received(one)
            if not data.endswith(END) or one in begun:
                begun[one] = begun.pop(one, b"") + data
                if not data:
                    raise BenchError("closed by the proxy")
                if not begun[one].endswith(END):
                    continue
                data = begun.pop(one)
            if not data.startswith(GOOD):
                raise BenchError(data.decode(errors="replace"))
            count += 1
            if over:
                under_way -= 1
            else:
                one.sendall(request(number := number + 1))
    took = time.monotonic() - started
    return Answers(count, took, (time.process_time() - used) / took)


if __name__ == "__main__":
    gc.disable()
    port, seconds, case, *secure = sys.argv[1:]
    print(json.dumps(asdict(_offer(int(port), float(seconds), case, bool(secure)))))
