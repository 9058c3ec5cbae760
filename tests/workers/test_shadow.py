"""The process beside a balancer: what it says is told, and its end is nobody else's."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from math import isnan
from pathlib import Path
from typing import Any

from lb.workers.shadow import LIVES, Shadow, worked

LISTENS = """
import json, socket, sys
one = socket.socket(fileno=int(sys.argv[1]))
one.setblocking(True)
print(json.dumps({"state": "collecting", "asked": sys.argv[2:]}), flush=True)
said = one.accept()[0].recv(5).decode()
print(json.dumps({"state": "ready", "said": said}), flush=True)
sys.stdin.read()
"""
FAILS = "import sys; print('first', file=sys.stderr); sys.exit('no such thing')"
BABBLES = "print('ready, more or less', flush=True); input()"


class Beside:
    def __init__(self, code: str) -> None:
        self.lines: list[tuple[str, str, object]] = []
        self.time = 100.0
        command = (sys.executable, "-c", code)
        self.shadow = Shadow(["p2c", "random"], self.log, command, lambda: self.time, 0.0)

    def log(self, level: str, event: str, **fields: object) -> None:
        self.lines.append((level, event, fields.get("reason")))

    async def until(self, state: str) -> dict[str, Any]:
        while self.shadow.told()["state"] != state:
            await asyncio.sleep(0)
        return dict(self.shadow.told())


def listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as feed:
        try:
            feed.connect(path)
        except ConnectionRefusedError:
            return False
    return True


def beside(code: str, test: Callable[[Beside], Awaitable[None]]) -> Beside:
    one = Beside(code)

    async def run() -> None:
        one.shadow.start()
        try:
            async with asyncio.timeout(60):
                await test(one)
        finally:
            await one.shadow.close()

    asyncio.run(run())
    assert not Path(one.shadow.path).parent.exists()
    return one


def test_what_it_says_is_told_with_its_age() -> None:
    async def test(one: Beside) -> None:
        told = await one.until("collecting")
        assert told["asked"] == told["algorithms"] == ["p2c", "random"]
        one.time += 7.0
        assert one.shadow.told()["age_s"] == 7.0
        _, writer = await asyncio.open_unix_connection(one.shadow.path)
        writer.write(b"hello")
        assert (await one.until("ready"))["said"] == "hello"
        writer.close()

    assert beside(LISTENS, test).lines == []


def test_one_that_gets_no_processor_says_so() -> None:
    async def test(one: Beside) -> None:
        assert one.shadow.told()["reason"] == "its process is starting"
        while not one.shadow._pid:
            await asyncio.sleep(0)
        one.time += 1000.0
        told = one.shadow.told()
        assert told["state"] == "starting"
        if isnan(worked(one.shadow._pid)):  # no /proc
            return
        assert "; it gets little processor time: " in told["reason"]
        assert told["reason"].endswith("s of work in 1000 s")

    assert beside("import sys; sys.stdin.read()", test).lines == []


def test_one_that_waits_for_requests_is_not_said_to_starve() -> None:
    async def test(one: Beside) -> None:
        assert "reason" not in await one.until("collecting")
        one.time += 1000.0
        assert "reason" not in one.shadow.told()

    assert beside(LISTENS, test).lines == []


def test_one_that_dies_is_started_anew_but_not_for_ever() -> None:
    async def test(one: Beside) -> None:
        while len(one.lines) < LIVES:
            await asyncio.sleep(0)
        assert (await one.until("failed"))["reason"] == "no such thing"
        while listens(one.shadow.path):  # or those who serve would wait for nobody
            await asyncio.sleep(0)

    ended = ("warning", "shadow ended", "no such thing")
    assert beside(FAILS, test).lines == [ended] * (LIVES - 1) + [
        ("error", "no more shadow", "no such thing")
    ]


def test_one_that_makes_no_sense_is_ended() -> None:
    async def test(one: Beside) -> None:
        while not one.lines:
            await asyncio.sleep(0)

    (_, event, why), *_ = beside(BABBLES, test).lines
    assert event == "shadow ended"
    assert str(why).startswith("it says what makes no sense: ")


def test_a_command_that_is_not_there() -> None:
    one = Beside("")
    one.shadow._command = ("/nonexistent/python",)

    async def run() -> None:
        one.shadow.start()
        while not one.lines:
            await asyncio.sleep(0)
        await one.shadow.close()

    asyncio.run(run())
    assert one.lines[0] == ("warning", "shadow ended", "no such file or directory")
