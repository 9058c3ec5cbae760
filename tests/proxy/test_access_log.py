"""The access log of a running proxy: every request is in it, and nobody waits for it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from lb.config import AccessLog as Table
from lb.errors import ConfigError
from lb.proxy.logs.access import AccessLog
from lb.proxy.logs.sinks import Descriptor, Syslog
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Proxy,
    Wire,
    answering,
    get,
    ok,
    origin,
    post,
    proxy,
    refusing,
    silent,
)
from tests.proxy.doubles import scenario as written

PATIENCE = 10.0
"""Seconds that a thread gets to write."""


def table(file: object, **more: object) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    return f"[access_log]\nfile = {json.dumps(str(file))}\n{lines}"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def stopped(lb: Proxy) -> None:
    """What was said is written then."""
    lb.driver.hurry()
    lb.driver.clients.cut_off()
    await lb.driver.stop()


async def seven(wire: Wire, it: Origin) -> None:
    """An answer to everything but /gone."""
    while (asked := await it.take(wire)) is not None:
        if asked.target != "/gone":
            wire.send(ok(b"seven!!"))


def test_every_request_has_a_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "access.log"

    async def test() -> None:
        with closing(refusing()) as a:
            async with origin(seven) as b, proxy(a, b, toml=table(file)) as lb:
                await lb.get("/x?y", "User-Agent: me")
                await lb.get("/lb-health")
                async with lb.client() as client:
                    client.send(post(b"four"))
                    await client.response()
                    client.send(get("/large", "Content-Length: x"))
                    assert (await client.response()).status == 400
                async with lb.client() as client:
                    client.send(get("/gone"))
                    while (await b.arrived.get()).target != "/gone":
                        pass
                    client.reset()
                    while (await lb.ended.get())[1].value != "client_gone":
                        pass
                assert lb.driver.report().dropped == {"access_log": 0}
                await stopped(lb)

    run(test())
    work, own, body, none, gone = lines_of(file)
    assert (work["target"], work["backend"], work["status"]) == ("/x?y", "b", 200)
    assert (work["tries"], work["bytes_out"], work["user_agent"]) == (2, 7, "me")
    assert 0 <= work["wait_ms"] <= work["first_byte_ms"] <= work["total_ms"]
    assert work["connect_ms"] > 0
    assert (own["backend"], own["connect_ms"], own["tries"]) == (None, None, 0)
    assert (body["method"], body["bytes_in"], body["outcome"]) == ("POST", 4, "ok")
    assert (none["target"], none["status"], none["termination"]) == ("/large", 400, "PR")
    assert (gone["status"], gone["backend"], gone["termination"]) == (None, "b", "CH")


async def switches(wire: Wire, it: Origin) -> None:
    """To what is asked for; then three bytes for each that comes."""
    await it.take(wire)
    wire.send(b"HTTP/1.1 101 Sure\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    await wire.reader.readexactly(5)
    wire.send(b"three" * 3)


def test_a_tunnel_has_its_line_when_it_ends(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "access.log"

    async def test() -> None:
        async with origin(switches) as a, proxy(a, toml=table(file)) as lb:
            async with lb.client() as client:
                client.send(get("/", "Connection: upgrade", "Upgrade: websocket"))
                await client.head()
                client.send(b"12345")
                assert await client.reader.read() == b"three" * 3
            await lb.ended.get()
            await stopped(lb)

    run(test())
    (line,) = lines_of(file)
    assert (line["status"], line["outcome"], line["termination"]) == (101, "ok", "--")
    assert (line["bytes_in"], line["bytes_out"]) == (5, 15)


def test_what_the_proxy_itself_cuts_off_says_so(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "access.log"

    async def test() -> None:
        async with origin(silent) as a, proxy(a, toml=table(file)) as lb, lb.client() as client:
            client.send(get("/"))
            await a.arrived.get()
            await stopped(lb)

    run(test())
    (line,) = lines_of(file)
    assert (line["outcome"], line["termination"], line["ended_by"]) == ("cancelled", "PH", "proxy")


def test_a_file_that_was_moved_away_is_opened_anew(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "access.log"

    async def test() -> None:
        async with origin(answering(ok())) as a, proxy(a, toml=table(file)) as lb:
            await lb.get("/before")
            lb.driver.reopen()  # nothing has happened to it
            await lb.get("/between")
            file.rename(tmp_path / "old.log")
            lb.driver._telling.flush()
            lb.driver.reopen()
            await lb.get("/after")
            await stopped(lb)
            assert [event for _, event, _ in lb.log if "access" in event] == [
                "access log reopened"
            ] * len([event for _, event, _ in lb.log if "access" in event])

    run(test())
    assert [line["target"] for line in lines_of(tmp_path / "old.log")][:1] == ["/before"]
    assert [line["target"] for line in lines_of(file)][-1:] == ["/after"]
    both = [*lines_of(tmp_path / "old.log"), *lines_of(file)]
    assert [line["target"] for line in both] == ["/before", "/between", "/after"]


def test_a_file_that_cannot_be_opened_anew_stays(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with heard(folder / "access.log") as (log, events):
        log.ended(*request("/one"))
        folder.rename(tmp_path / "moved")
        log.reopen()
        log.ended(*request("/two"))
        assert log.close(PATIENCE)
    targets = [line["target"] for line in lines_of(tmp_path / "moved" / "access.log")]
    assert targets == ["/one", "/two"]
    ((level, event),) = events
    assert level == "warning"
    assert event.startswith("access log not reopened, no such file or directory")


def test_another_file_takes_over_without_a_restart(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"

    async def test() -> None:
        async with origin(answering(ok())) as a, proxy(a, toml=table(first)) as lb:
            await lb.get("/one")
            with pytest.raises(ConfigError, match=r"file: cannot write to .* no such file"):
                lb.driver.adopt(written(a, toml=table(tmp_path / "none" / "x.log")))
            await lb.get("/two")
            lb.driver.adopt(written(a, toml=table(second, format="{target}")))
            await lb.get("/three")
            lb.driver.adopt(written(a))
            await lb.get("/four")
            lb.driver.adopt(written(a, toml=table(first)))
            await lb.get("/five")
            await stopped(lb)

    run(test())
    for thread in threading.enumerate():
        if thread.name == "access log":  # of a file that was left: it writes what it has yet
            thread.join(PATIENCE)
    assert sorted(line["target"] for line in lines_of(first)) == ["/five", "/one", "/two"]
    assert second.read_text() == "/three\n"


# --- without a proxy


def request(target: str = "/", code: str = "ok", status: int = 200) -> tuple[Any, ...]:
    """What the access log hears of one."""
    asked = SimpleNamespace(method=b"GET", target=target.encode(), minor=1, host=b"x", lines=b"")
    exchange = SimpleNamespace(
        request=asked,
        client=SimpleNamespace(peer=b"::1"),
        status=status,
        trace=None,
        **dict.fromkeys(("arrived_at", "waited"), 0.0),
        **dict.fromkeys(("tries", "taken", "passed"), 0),
        hedged=False,
    )
    return exchange, None, 1.0, code, "nobody" if code == "ok" else "proxy", ""


def tell(log: AccessLog, *end: Any) -> None:
    """As an exchange does, when it ends."""
    if log.pass_over > 0 and end[3] == "ok":
        log.pass_over -= 1
    else:
        log.ended(*end)


@contextmanager
def heard(file: object, **more: Any) -> Iterator[tuple[AccessLog, list[tuple[str, str]]]]:
    events: list[tuple[str, str]] = []
    options = {key: more.pop(key) for key in ("rng", "room", "now") if key in more}
    log = AccessLog(
        Table(file=str(file), **more),
        lambda level, event, **fields: events.append((level, event)),
        **options,
    )
    yield log, events
    assert log.close(PATIENCE)


def test_a_sample_is_as_large_as_it_says_and_drawn_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with heard(file, format="{target}", sample=0.1, rng=Random(1)) as (log, _):
        for number in range(20_000):
            tell(log, *request(str(number)))
    drawn = [int(line) for line in file.read_text().splitlines()]
    assert 1850 < len(drawn) < 2150  # 3.5 standard deviations
    assert len({number % 10 for number in drawn}) == 10  # not every tenth
    assert sum(one + 1 == other for one, other in pairwise(drawn)) > 100


def test_what_goes_wrong_is_written_whatever_is_drawn(tmp_path: Path) -> None:
    for errors, expected in ((True, "timeout\n"), (False, "")):
        file = tmp_path / str(errors)
        with heard(file, format="{outcome}", sample=0.0, errors=errors) as (log, _):
            tell(log, *request())
            tell(log, *request(code="timeout"))
        assert file.read_text() == expected


def test_lines_that_find_no_place_are_counted_and_said(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    holder = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # and nobody reads
    events: list[tuple[str, str]] = []
    clock = [100.0]
    log = AccessLog(
        Table(file=str(fifo)),
        lambda level, event, **fields: events.append((level, event)),
        now=lambda: clock[0],
        room=10_000,
    )
    for _ in range(2000):
        log.ended(*request())
    log.flush()
    assert log.dropped > 1000
    assert events == [("warning", "access log lines dropped")]
    log.flush()
    assert len(events) == 1
    assert log.close(0.0) is False  # it holds nobody
    for descriptor in (reader, writer, holder):
        os.close(descriptor)


def test_a_full_disk_is_counted(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with heard("/dev/full") as (log, events):
        log.ended(*request())
        log.ended(*request())
        assert log.close(PATIENCE)
        assert log.dropped == 2
    assert events == [("warning", "access log lines dropped")]


def test_pipes_are_given_whole_lines() -> None:
    """Others write there, too."""
    reader, writer = os.pipe()
    sink = Descriptor(writer)
    lines = b"".join(b"%d" % number * 100 + b"\n" for number in range(50))
    assert sink.write(lines + b"x" * 5000 + b"\n") == 0
    os.close(writer)
    with open(reader, "rb") as file:  # noqa: PTH123
        assert file.read() == lines + b"x" * 5000 + b"\n"
    assert Descriptor(None).write(b"one\ntwo\n") == 2


@pytest.mark.parametrize("local", [True, False])
def test_a_syslog_is_sent_a_message_a_line(local: bool, tmp_path: Path) -> None:
    kind = socket.AF_UNIX if local else socket.AF_INET
    with closing(socket.socket(kind, socket.SOCK_DGRAM)) as daemon:
        daemon.settimeout(PATIENCE)
        if local:
            daemon.bind(str(tmp_path / "log"))
            where = f"syslog:{tmp_path / 'log'}"
        else:
            daemon.bind(("127.0.0.1", 0))
            where = f"syslog:127.0.0.1:{daemon.getsockname()[1]}"
        with heard(where, format="{target} {status}") as (log, events):
            log.ended(*request("/one"))
            log.ended(*request("/two"))
        one, two = daemon.recv(9000), daemon.recv(9000)
    assert one.startswith(b"<134>" if local else b"<134>1 ")
    assert one.endswith(b" /one 200")
    assert two.endswith(b" /two 200")
    assert (b" lb[" in one) == local
    assert not events


def test_a_syslog_that_is_not_there_costs_lines_only(tmp_path: Path) -> None:
    sink = Syslog(str(tmp_path / "nobody"))
    assert sink.write(b"one\ntwo\n") == 2
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as daemon:
        daemon.bind(str(tmp_path / "nobody"))
        sink.reopen()  # else it is tried again after a second
        assert sink.write(b"three\n") == 0
        assert daemon.recv(100).endswith(b"]: three")
    sink.close()
