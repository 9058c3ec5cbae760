"""The backends behind the proxies: one process on several ports, lighter than any of them.

Plain sockets and a selector: a loop with protocols takes as long again for each answer.
"""

from __future__ import annotations

import gc
import selectors
import socket
import sys

from tests.bench.traffic import answers


def command(ports: list[int]) -> list[str]:
    """What to run for backends on `ports`."""
    return [sys.executable, "-m", "tests.bench.origin", *map(str, ports)]


def serve(ports: list[int]) -> None:
    """Answer heads for ever; bodies of requests are not expected."""
    by_target = answers()
    others = by_target[b""]
    ready = selectors.DefaultSelector()
    for port in ports:
        listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        listener.setblocking(False)
        ready.register(listener, selectors.EVENT_READ, None)
    begun: dict[socket.socket, bytes] = {}
    number = 0
    while True:
        for key, _ in ready.select():
            one = key.fileobj
            assert isinstance(one, socket.socket)
            if key.data is None:
                client, _ = one.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(client, selectors.EVENT_READ, client)
                continue
            try:
                data = begun.pop(one, b"") + one.recv(2**16)
                if data.endswith(b"\r\n\r\n"):
                    for _ in range(data.count(b"\r\n\r\n")):
                        number += 1
                        one.sendall(by_target.get(data[4 : data.find(b" ", 4)], others)(number))
                elif data:
                    begun[one] = data
            except ConnectionError:
                data = b""
            if not data:
                ready.unregister(one)
                one.close()


if __name__ == "__main__":
    numbers = [int(port) for port in sys.argv[1:]]
    gc.disable()
    serve(numbers)
