"""What cannot be read as HTTP is answered like everything else."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from lb.admin.serving import Admin
from lb.config import Scenario
from tests.admin.house import Held, run

LINE = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def asked(data: bytes) -> tuple[int, dict[str, str], dict[str, str]]:
    admin = Admin(Held(), Scenario())
    listening = socket.create_server(("127.0.0.1", 0))
    place = listening.getsockname()
    await admin.start([listening])
    reader, writer = await asyncio.open_connection(*place)
    writer.write(data)
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")  # it is closed
    writer.close()
    await writer.wait_closed()
    await admin.stop()
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), dict(it.split(": ", 1) for it in lines), json.loads(body)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"garbage\r\n\r\n", "no HTTP request: "),
        (b"\x16\x03\x01\x02\r\n\r\n", "HTTPS"),
        (b"GET / HTTP/9.9\r\n\r\n", "no HTTP request: "),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", "no HTTP request: "),
        (b"GET /" + b"a" * 9000 + LINE, "too long"),
    ],
)
def test_what_is_no_http_hears_so(data: bytes, said: str) -> None:
    async def test() -> None:
        status, headers, told = await asked(data)
        assert (status, told["error"]) == (400, "bad_http")
        assert set(told) == {"error", "message", "hint"}
        assert said in told["message"]
        assert "\n" not in told["message"]
        assert headers["Content-Type"] == "application/json"
        assert headers["Server"] == "lb"

    run(test())


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (b"BREW /metrics", "GET, HEAD"),
        (b"BREW /v1/backends/a%20b?x", "DELETE, PATCH"),
        (b"BREW /v1/backends", "POST"),
        (b"get /v1/stop", "POST"),
        (b"BREW /nothing", "DELETE, GET, HEAD, PATCH, POST, PUT"),
    ],
)
def test_a_method_that_nobody_knows_is_not_allowed(line: bytes, allowed: str) -> None:
    async def test() -> None:
        status, headers, told = await asked(line + LINE)
        assert (status, told["error"]) == (405, "method_not_allowed")
        assert told["message"] == f"{line.split()[0].decode()} is not allowed here"
        assert headers["Allow"] == allowed
        assert told["hint"] == f"allowed: {allowed}"
        assert headers["Server"] == "lb"

    run(test())
