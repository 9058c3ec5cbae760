"""`lb top`: figures of two looks, what is drawn of them, and how it ends."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, Group

from lb.admin.shown import snapshot
from lb.balancing import SetState, State, perform
from lb.cli.screen import View, drawn, sparkline
from lb.cli.watching import Watch, between, quantiles
from lb.measures import middle
from lb.native import running
from tests.admin.house import Held, Plane, plane, run
from tests.cli.conftest import LIMIT, lb


def look(held: Held) -> Any:
    return snapshot(asyncio.run(held.report()))


def served(held: Held, times: int, seconds: float = 0.25) -> None:
    """So many good answers of the backend a."""
    held.balancer.admitted += times
    backend = held.row("a")
    backend.picked += times
    backend.succeeded += times
    held.measured.whole("a").setdefault(200, []).extend([seconds] * times)


class Busy(Held):
    def row(self, name: str) -> Any:
        return next(it for it in self.balancer.pool.backends if it.name == name)


def twice(held: Busy, seconds: float = 2.0) -> View:
    then = look(held)
    served(held, 200)
    held.measured.served("", 503, "no_backend", 0.0)
    now = look(held)
    return View("127.0.0.1:8405", now, between(then, now, seconds))


def shown(view: View, width: int, height: int = 24) -> list[str]:
    out = StringIO()
    console = Console(file=out, width=width, height=height, color_system=None)
    console.print(Group(*drawn(view, width, height)))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_figures_are_differences_between_two_looks() -> None:
    point = twice(Busy()).point
    assert point is not None
    assert point.rate == 100
    assert point.errors == {"no_backend": 0.5}
    assert point.latency["p99"] == pytest.approx(0.25, rel=0.01)
    assert (point.lanes["a"].share, point.lanes["a"].rate) == (1, 100)
    assert point.lanes["a"].latency == pytest.approx(0.25)


def test_figures_are_about_ten_seconds_and_none_of_them_about_a_balancer_that_has_ended() -> None:
    held, watch = Busy(), Watch()
    assert watch.take(look(held), 0.0) is None
    for second in range(2, 22, 2):
        served(held, second)
        point = watch.take(look(held), float(second))
    assert point is not None
    assert point.rate == (12 + 14 + 16 + 18 + 20) / 10
    assert watch.take(look(Busy()), 22.0) is None


def test_a_quantile_that_so_few_say_nothing_of_is_not_told() -> None:
    assert quantiles({str(16256): 99}) == {"p50": middle(16256), "p95": middle(16256), "p99": None}
    assert quantiles({str(16256): 100})["p99"] == middle(16256)
    assert quantiles({}) == {"p50": None, "p95": None, "p99": None}


@pytest.mark.parametrize("width", [40, 77, 78, 100, 116, 140])
@pytest.mark.parametrize("height", [8, 24])
def test_what_is_drawn_fits(width: int, height: int) -> None:
    held = Busy()
    view = twice(held)
    view.events = [
        {
            "number": 1,
            "time": 0.0,
            "level": "warning",
            "event": "backend down",
            "fields": {"x": "y" * 99},
        }
    ]
    view.rates = [1.0, 2.0] * 100
    lines = shown(view, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert any(line.startswith("a ") for line in lines)
    if height > 8:
        assert any(line.startswith("127.0.0.1") for line in lines)


def test_more_backends_than_lines_are_counted() -> None:
    rows = "".join(f'[[backend]]\naddress = "10.0.0.1:{n}"\nname = "{n}"\n' for n in range(1, 60))
    held = Busy("[health]\nenabled = false\n" + rows)
    now = look(held)
    lines = shown(View("x", now, between(now, now, 1.0)), 80)
    assert (
        lines[-1] == f"and {59 - sum(line.split()[1:2] == ['up'] for line in lines)} more backends"
    )


def test_trouble_comes_first_when_it_is_asked_for() -> None:
    held = Busy()
    perform(held.balancer, SetState("127.0.0.1:3002", State.DRAIN), 1.0)
    view = twice(held)
    view.sort = "trouble"
    names = [line.split()[0] for line in shown(view, 80) if "  " in line]
    assert names.index("127.0.0.1:3002") < names.index("a")


def test_a_figure_outside_its_band_is_drawn_with_the_band() -> None:
    view = twice(Busy())
    view.forecast = {"state": "ready", "latency": {"p50": {"low": 0.01, "high": 0.02}}}
    assert any("ms (10.0-20.0 ms)  p95 25" in line for line in shown(view, 80))


def test_a_line_of_rates_is_as_high_as_they_are() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"


async def top(here: Plane, *words: object) -> Any:
    return await asyncio.to_thread(
        lb, "top", "-i", "0.1", *words, LB_ADMIN=f"127.0.0.1:{here.client.port}"
    )


def test_without_a_terminal_it_reports_once_in_eighty_columns() -> None:
    async def test() -> None:
        async with plane(Busy()) as here:
            done = await top(here)
            assert done.returncode == 0, done.stderr
            lines = done.stdout.splitlines()
            assert lines[0].endswith("round_robin  3 of 3 usable  2 workers")
            assert max(map(len, lines[3:])) <= 100
            told = json.loads((await top(here, "--json")).stdout)
            assert told["schema"] == 1
            assert [it["name"] for it in told["backends"]] == ["a", "127.0.0.1:3002", "c/d e"]

    run(test())


def test_nobody_there_is_one_line() -> None:
    done = lb("top", "--admin", "127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("lb: cannot reach 127.0.0.1:1: ")


class Screen:
    """`lb top` on a terminal of its own."""

    def __init__(self, address: str) -> None:
        self.fd, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lb", "top", "-i", "0.1"],
            env={**running.environment(), "TERM": "xterm", "LB_ADMIN": address},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=self._at_home,
        )
        os.close(theirs)
        self.seen = b""

    @staticmethod
    def _at_home() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ours may have been started to ignore it

    def until(self, text: bytes) -> None:
        """Read until it has been drawn from now on."""
        self.seen, end = b"", time.monotonic() + LIMIT
        while text not in self.seen:
            assert select.select([self.fd], [], [], max(end - time.monotonic(), 0))[0], self.seen
            self.seen += os.read(self.fd, 65536)

    def press(self, key: bytes) -> None:
        os.write(self.fd, key)

    def ended(self) -> int:
        end = time.monotonic() + LIMIT
        try:
            while select.select([self.fd], [], [], max(end - time.monotonic(), 0))[0]:
                if not os.read(self.fd, 65536):
                    break
        except OSError:
            pass  # that is how the end of a terminal is told
        os.close(self.fd)
        if time.monotonic() >= end:
            self.process.kill()
        return self.process.wait(LIMIT)


def test_on_a_terminal_it_draws_until_q_and_waits_for_a_balancer_that_does_not_answer() -> None:
    async def test() -> None:
        async with plane(Busy()) as here:
            screen = Screen(f"127.0.0.1:{here.client.port}")
            await asyncio.to_thread(screen.until, b"requests/s")
            await here.client.server.close()
            await asyncio.to_thread(screen.until, b"trying again")
            screen.press(b"q")
            assert await asyncio.to_thread(screen.ended) == 0

    run(test())


def test_an_interrupt_ends_it_with_130_and_no_traceback() -> None:
    async def test() -> None:
        async with plane(Busy()) as here:
            screen = Screen(f"127.0.0.1:{here.client.port}")
            await asyncio.to_thread(screen.until, b"requests/s")
            screen.press(b"\x03")
            assert await asyncio.to_thread(screen.ended) == 130
            assert b"Traceback" not in screen.seen

    run(test())
