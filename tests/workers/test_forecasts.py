"""When something is simulated beside a balancer, of what, and what is said where that fails."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from lb.balancing import Balancer, SetState, SetWeight, State, Swap, perform
from lb.config import Scenario
from lb.errors import LbError
from lb.workers.forecasts import COMMAND, RESTED, SPAN, Forecasts, as_it_is

MODEL = """
[[backend]]
name = "{name}"
address = "{name}:1"
[backend.model]
service = {{ law = "exponential", mean = "1ms" }}
"""
TRAFFIC = '[traffic]\narrivals = { process = "poisson", rate = 100 }\n'
FILE = TRAFFIC + MODEL.format(name="a") + MODEL.format(name="b")
_ECHO = """
import json, pickle, sys, struct
n, = struct.unpack('!Q', sys.stdin.buffer.read(8))
s = pickle.loads(sys.stdin.buffer.read(n))
backends = [{'name': b.label, 'weight': b.weight} for b in s.backends]
print(json.dumps({'rate': s.rate, 'algorithm': s.algorithm.name, 'backends': backends}))
"""
ECHO = (sys.executable, "-c", _ECHO)
"""Answers with what it was asked."""


class Beside:
    """A balancer and what is predicted of it."""

    def __init__(self, text: str = FILE, command: tuple[str, ...] = ECHO) -> None:
        self.scenario = Scenario.parse(text)
        self.balancer: Balancer[Any] = Balancer(self.scenario.setup(), Random(1), 0.0)
        self.time = 0.0
        self.lines: list[tuple[str, str]] = []
        self.forecasts = Forecasts(self.log, command, lambda: self.time)

    def log(self, level: str, event: str, **_fields: object) -> None:
        self.lines.append((level, event))

    async def told(self) -> dict[str, Any]:
        """What is said when all that was begun has ended."""
        snapshot = self.balancer.snapshot(0.0)
        said = await self.forecasts.told(self.scenario, snapshot, 1)
        if self.forecasts._at_work is not None:
            await self.forecasts._at_work
            said = await self.forecasts.told(self.scenario, snapshot, 1)
        return said

    def change(self, change: Any) -> None:
        perform(self.balancer, change, 0.0)


def beside(test: Callable[[Beside], Awaitable[None]], **more: Any) -> None:
    async def run() -> None:
        one = Beside(**more)
        async with asyncio.timeout(60):
            await test(one)
        await one.forecasts.close()

    asyncio.run(run())


def test_a_file_without_models_or_traffic_predicts_nothing() -> None:
    async def test(one: Beside) -> None:
        assert await one.told() == {"schema": 1, "state": "none"}

    beside(test, text='[[backend]]\naddress = "a:1"\n')
    beside(test, text=MODEL.format(name="a"))


def test_who_asks_first_is_told_that_it_is_at_work() -> None:
    async def test(one: Beside) -> None:
        snapshot = one.balancer.snapshot(0.0)
        assert (await one.forecasts.told(one.scenario, snapshot, 1))["state"] == "working"
        assert (await one.told())["state"] == "ready"

    beside(test)


def test_a_change_of_algorithm_weight_or_state_is_predicted_anew() -> None:
    async def test(one: Beside) -> None:
        assert (await one.told())["algorithm"] == "round_robin"
        one.change(Swap("random"))
        assert (await one.told())["algorithm"] == "random"
        one.change(SetWeight("a", 3.0))
        assert (await one.told())["backends"][0] == {"name": "a", "weight": 3}
        one.change(SetState("b", State.DRAIN))
        assert [it["name"] for it in (await one.told())["backends"]] == ["a"]
        one.change(SetState("b", State.UP))
        assert len((await one.told())["backends"]) == 2

    beside(test)


def test_the_live_rate_replaces_that_of_the_file_where_it_is_another() -> None:
    async def test(one: Beside) -> None:
        assert (await one.told())["rate"] == 100
        one.time, one.balancer.admitted = RESTED + SPAN, int(2 * 100 * SPAN)
        await one.told()
        one.time += SPAN / 2
        one.balancer.admitted += int(200 * SPAN / 2)
        told = await one.told()
        assert told["live"]
        assert told["rate"] == pytest.approx(200, rel=0.2)

    beside(test)


def test_the_same_is_not_simulated_twice() -> None:
    async def test(one: Beside) -> None:
        await one.told()
        one.time = 10 * RESTED
        await one.forecasts.told(one.scenario, one.balancer.snapshot(0.0), 1)
        assert one.forecasts._at_work is None

    beside(test)


def test_what_has_no_model_is_said() -> None:
    scenario = Scenario.parse(FILE + '[[backend]]\naddress = "c:1"\n')
    balancer: Balancer[Any] = Balancer(scenario.setup(), Random(1), 0.0)
    with pytest.raises(LbError, match="backend c:1 has no model"):
        as_it_is(scenario, balancer.snapshot(0.0), 1)


def test_as_many_balancers_are_simulated_as_there_are_workers() -> None:
    scenario = Scenario.parse(FILE)
    balancer: Balancer[Any] = Balancer(scenario.setup(), Random(1), 0.0)
    meant = as_it_is(scenario, balancer.snapshot(0.0), 4)
    assert meant is not None
    assert meant.run.balancers == 4


def test_nobody_in_use_is_a_reason_and_is_over_when_somebody_is() -> None:
    async def test(one: Beside) -> None:
        for name in ("a", "b"):
            one.change(SetState(name, State.MAINT))
        assert await one.told() == {"schema": 1, "state": "failed", "reason": "no backend is up"}
        assert one.lines == []
        one.change(SetState("a", State.UP))
        assert (await one.told())["state"] == "ready"

    beside(test)


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "-c", "import sys; sys.stdin.read(9); sys.exit('no room')"),
        (sys.executable, "-c", "print('no JSON')"),
        ("/nonexistent/python",),
    ],
)
def test_a_process_that_fails_is_told_once_and_hurts_nobody(command: tuple[str, ...]) -> None:
    async def test(one: Beside) -> None:
        told = await one.told()
        assert told["state"] == "failed"
        assert told["reason"].startswith("the simulation failed: ")
        one.change(Swap("random"))
        assert (await one.told())["state"] == "failed"
        assert one.lines == [("warning", "no forecast")]

    beside(test, command=command)


def test_a_process_that_failed_is_started_again_after_a_while() -> None:
    async def test(one: Beside) -> None:
        assert (await one.told())["state"] == "failed"
        one.forecasts._command = ECHO
        assert (await one.told())["state"] == "failed"
        one.time = 10 * RESTED
        assert (await one.told())["state"] == "ready"

    beside(test, command=("/nonexistent/python",))


def test_the_end_ends_what_is_at_work() -> None:
    async def test(one: Beside) -> None:
        await one.forecasts.told(one.scenario, one.balancer.snapshot(0.0), 1)
        await one.forecasts.close()
        assert one.forecasts._at_work is None

    beside(test, command=(sys.executable, "-c", "import time; time.sleep(600)"))


def test_the_command_simulates_and_gives_bands() -> None:
    async def test(one: Beside) -> None:
        told = await one.told()
        assert told["state"] == "ready"
        assert told["latency"]["p99"]["low"] < told["latency"]["p99"]["high"]
        json.dumps(told, allow_nan=False)

    beside(test, command=COMMAND)


def test_a_command_whose_parent_has_died_does_not_go_on() -> None:
    waits = "import lb.cli.forecast as it, threading, sys; import sim.live.bands as b\n"
    waits += "b.bands = lambda _: threading.Event().wait()\nit.main()"
    import pickle
    import struct

    question = pickle.dumps(Scenario.parse(FILE))
    with subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(struct.pack("!Q", len(question)) + question)
        child.stdin.close()
        assert child.wait(60) == 0
