"""What the access log says of requests that failed, and of what was refused."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from lb.config import AccessLog as Table
from lb.config import Scenario
from lb.errors import CannotWrite
from lb.proxy.logs.access import SLOW, AccessLog
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Script,
    Wire,
    closing_after,
    get,
    origin,
    proxy,
    refusing,
    resets,
    silent,
)
from tests.proxy.house import FILE, House
from tests.proxy.test_access_log import PATIENCE, lines_of, request, stopped, table


async def half(wire: Wire, it: Origin) -> None:
    """Of an answer."""
    await it.take(wire)
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")


@pytest.mark.parametrize(
    ("script", "event", "status", "outcome", "termination"),
    [
        (None, "", 502, "connect", "SC"),
        (resets, "", 502, "reset", "SH"),
        (closing_after(b"nonsense\r\n\r\n"), "", 502, "server_error", "SH"),
        (silent, "silent", 504, "timeout", "sH"),
        (silent, "timed_out", 504, "too_late", "pH"),
        (half, "", 200, "reset", "SD"),
    ],
)
def test_the_backend_that_failed_is_named(
    run: Run,
    tmp_path: Path,
    script: Script | None,
    event: str,
    status: int,
    outcome: str,
    termination: str,
) -> None:
    file = tmp_path / "access.log"

    async def test() -> None:
        toml = table(file) + "[retries]\nmax = 0\n"
        with closing(refusing()) as nobody:
            async with (
                origin(script or silent) as a,
                proxy(a if script else nobody, toml=toml) as lb,
                lb.client() as client,
            ):
                client.send(get("/"))
                if event:
                    await a.arrived.get()
                    (connection,) = lb.driver.clients
                    getattr(connection.current, event)()
                await lb.ended.get()
                await stopped(lb)

    run(test())
    (line,) = lines_of(file)
    assert (line["status"], line["outcome"]) == (status, outcome)
    assert (line["termination"], line["backend"], line["tries"]) == (termination, "a", 1)
    assert (line["connect_ms"] is None) == (script is None)


LONG = "a" * 9000
REFUSED: list[tuple[list[str], int, tuple[str | None, ...]]] = [
    (["GET /x?y HTTP/1.1\r\nHost: x\r\n"], 408, ("GET", "/x?y", "HTTP/1.1")),
    (["GET /x HTTP"], 408, (None, None, None)),
    (["GET /x ", "HTTP/1.1\r\nHost: x\r\nA: ", LONG * 9], 431, ("GET", "/x", "HTTP/1.1")),
    (["PUT /x HTTP/1.1\r\n", "Host: x\nA: 1\r\n"], 400, ("PUT", "/x", "HTTP/1.1")),
    (["GET  /a b  HTTP/1.1\r\n"], 400, ("GET", "/a b", "HTTP/1.1")),
    (["GET /x HTTP/1.1\r\nHo", "st x\r\n\r\n"], 400, ("GET", "/x", "HTTP/1.1")),
    (["GET /", LONG], 414, ("GET", "/" + LONG[: 8192 - 5], None)),
    (["\x16\x03\x01"], 400, (None, None, None)),
]


@pytest.mark.parametrize(("pieces", "status", "first"), REFUSED)
def test_what_is_refused_is_told_from_its_first_byte_on(
    pieces: list[str], status: int, first: tuple[str | None, ...], tmp_path: Path
) -> None:
    file = tmp_path / "log"

    async def test() -> None:
        toml = FILE.format(algorithm="round_robin", key="client_ip", more=table(file))
        house = House(toml, tmp_path, brisk=True)
        teller = AccessLog(Table(file=str(file)), lambda *_, **__: None, now=lambda: house.clock)
        house.proxy.context.teller = teller
        await house.hears("client", 0, b"\r\n")  # which means nothing
        house.clock = 110.0
        for piece in pieces:
            await house.hears("client", 0, piece.encode("latin-1"))
            house.clock += 2
        if status == 408:
            house.clients[0][0].too_slow()
        await house.end()
        assert teller.close(PATIENCE)

    asyncio.run(test())
    (line,) = lines_of(file)
    seconds = 2.0 if status == 408 else 2.0 * (len(pieces) - 1)
    assert (line["status"], line["total_ms"]) == (status, seconds * 1e3)
    assert line["time"] == "1970-01-01T00:01:50.000Z"
    assert (line["method"], line["target"], line["protocol"]) == first


# --- lines that cannot be written


def test_a_start_without_its_file_is_none(tmp_path: Path) -> None:
    scenario = Scenario.parse(table(tmp_path / "none" / "x.log"))
    assert scenario.access_log is not None
    with pytest.raises(CannotWrite, match=r"cannot write to .*x.log: no such file or directory"):
        AccessLog(scenario.access_log, lambda *_, **__: None)


@pytest.mark.parametrize("place", ["full", "nobody", "left"])
def test_what_is_dropped_is_said_at_the_end_at_the_latest_with_its_reason(
    place: str, tmp_path: Path
) -> None:
    file, why = f"syslog:{tmp_path / place}", "no such file or directory"
    if place == "full":
        file, why = "/dev/full", "no space left on device"
        if not Path(file).exists():
            pytest.skip("there is no /dev/full")
    elif place == "left":
        why = "connection refused"
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as daemon:
            daemon.bind(str(tmp_path / place))
    told: list[dict[str, object]] = []
    log = AccessLog(Table(file=file), lambda *_, **fields: told.append(fields), now=lambda: 0.0)
    log._tell_at = 1.0  # something was said lately
    for _ in range(3):
        log.ended(*request())
        log.flush()
    assert not told
    assert log.close(PATIENCE)
    assert told == [{"count": 3, "why": why, "file": file}]


def test_what_is_not_written_by_the_end_counts_as_dropped(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    holder = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # and nobody reads
    told: list[dict[str, object]] = []
    log = AccessLog(Table(file=str(fifo)), lambda *_, **fields: told.append(fields))
    for _ in range(2000):
        log.ended(*request())
    assert log.close(0.01) is False
    dropped = log.dropped
    written = os.read(holder, 1 << 20).count(b"\n")
    os.close(holder)  # which ends the writer, whose lines are lost once more
    assert 2000 - written <= dropped <= 2000
    assert told == [{"count": dropped, "why": SLOW, "file": str(fifo)}]
