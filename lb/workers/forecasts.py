"""What the simulator says that a running balancer should look like, where its file has models.

The simulation runs in a process of its own with the lowest priority (`lb.cli.forecast`), and only
while somebody asks: again when the algorithm, the weights or who is in use have changed, and when
requests come at another rate.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from lb.balancing import Snapshot
from lb.config import Algorithm, Scenario
from lb.errors import LbError
from lb.proxy.logs.log import Log

COMMAND = (sys.executable, "-m", "lb.cli.forecast")
PATIENCE = 60.0
"""Seconds that a simulation may take."""
REST = 20.0
"""Times that it took: so long nothing is simulated again because of another rate."""
RESTED = 20.0
"""Seconds of that at least."""
SPAN = 30.0
"""Seconds that the live rate is taken over; half of them at least."""
ALIKE = 0.05
"""Rates that differ by less are not simulated apart."""
OUT = frozenset({"drain", "maint", "down"})
"""States of backends that the live ones are not compared with."""
LENGTH = struct.Struct("!Q")


class Forecasts:
    """The latest one. `told` whenever somebody asks, `close` at the end."""

    def __init__(
        self, log: Log, command: Sequence[str] = COMMAND, now: Callable[[], float] = monotonic
    ) -> None:
        self._log = log
        self._command = command
        self._now = now
        self._told: dict[str, Any] = {"state": "none"}
        self._scenario: Scenario | None = None
        self._of: object = None
        self._meant: Scenario | None = None
        self._rate: float | None = None
        self._not_before = 0.0
        self._failed = self._complained = False
        self._seen: deque[tuple[float, int]] = deque()
        self._at_work: asyncio.Task[None] | None = None

    async def told(self, scenario: Scenario, snapshot: Snapshot, balancers: int) -> dict[str, Any]:
        """The answer to `GET /v1/forecast`: `state` is none, working, ready or failed.

        One that is ready holds what `sim.live.bands` gives, and whether it is of the `live` rate.
        """
        live = self._live_rate(snapshot.requests)
        if self._at_work is None:
            try:
                self._consider(scenario, snapshot, balancers, live)
            except LbError as error:
                self._told = {"state": "failed", "reason": str(error)}
        return {"schema": 1, **self._told}

    async def close(self) -> None:
        """Let nothing go on."""
        at_work, self._at_work = self._at_work, None
        if at_work is not None:
            at_work.cancel()
            with suppress(asyncio.CancelledError):
                await at_work

    def _live_rate(self, requests: int) -> float | None:
        """Requests per second lately; None while that is not known."""
        now = self._now()
        seen = self._seen
        if seen and (requests < seen[-1][1] or now - seen[-1][0] > SPAN):
            seen.clear()
        seen.append((now, requests))
        while len(seen) > 2 and now - seen[1][0] >= SPAN:
            seen.popleft()
        seconds = now - seen[0][0]
        return (requests - seen[0][1]) / seconds if seconds >= SPAN / 2 else None

    def _consider(
        self, scenario: Scenario, snapshot: Snapshot, balancers: int, live: float | None
    ) -> None:
        """Begin a simulation, if one is due. Raises LbError."""
        of = (
            snapshot.algorithm,
            dict(snapshot.settings),
            [(view.name, view.weight) for view in snapshot.backends if view.state not in OUT],
            balancers,
        )
        if fresh := (scenario is not self._scenario or of != self._of):
            self._scenario, self._of, self._rate, self._meant = scenario, of, None, None
            self._told = {"state": "none"}
            self._meant = as_it_is(scenario, snapshot, balancers)
        meant = self._meant
        if meant is None:
            return
        paced = meant.offered().arrivals is not None  # users come as they are answered
        rate = live if paced and live and _differ(live, meant.rate) else None
        if not fresh:
            alike = not _differ(rate or meant.rate, self._rate or meant.rate)
            if (alike and not self._failed) or self._now() < self._not_before:
                return
        else:
            self._told = {"state": "working"}
        self._rate = rate
        asked = meant if rate is None else meant.at_rate(rate)
        self._at_work = asyncio.get_running_loop().create_task(self._simulate(asked, rate))

    async def _simulate(self, scenario: Scenario, rate: float | None) -> None:
        began = self._now()
        try:
            answer = await self._ask(scenario)
            self._failed = False
            self._complained = self._complained and "reason" in answer
        except (OSError, ValueError, TimeoutError) as error:
            why = str(error) or f"it took longer than {PATIENCE:g} s"
            answer = {"reason": f"the simulation failed: {why}"}
            if not self._complained:
                self._log("warning", "no forecast", reason=why)
            self._failed = self._complained = True
        finally:
            took = self._now() - began
            self._not_before = self._now() + max(RESTED, REST * took)
            self._at_work = None
        state = "failed" if "reason" in answer else "ready"
        self._told = {"state": state, "live": rate is not None, **answer}

    async def _ask(self, scenario: Scenario) -> dict[str, Any]:
        """What the child says. Raises OSError, ValueError, TimeoutError."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stderr is not None
            question = pickle.dumps(scenario)
            child.stdin.write(LENGTH.pack(len(question)) + question)  # and it stays open
            async with asyncio.timeout(PATIENCE):
                said, complaint = await asyncio.gather(child.stdout.read(), child.stderr.read())
                status = await child.wait()
        finally:
            child.stdin.close() if child.stdin else None
            if child.returncode is None:
                child.kill()
                await child.wait()
        if status:
            last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise ValueError(last or f"it ended with status {status}")
        answer: dict[str, Any] = json.loads(said)
        return answer


def as_it_is(scenario: Scenario, snapshot: Snapshot, balancers: int) -> Scenario | None:
    """The file with the algorithm, the weights and the backends in use now; None without a model.

    Raises LbError, which says why that cannot be simulated.
    """
    rows = {row.label: row for row in scenario.backends}
    if scenario.traffic is None or all(row.model is None for row in rows.values()):
        return None
    views = [view for view in snapshot.backends if view.state not in OUT]
    unknown = [view.name for view in views if view.name not in rows or not rows[view.name].model]
    if unknown:
        raise LbError(f"backend {unknown[0]} has no model")
    if not views:
        raise LbError("no backend is up")
    used = tuple(rows[view.name].model_copy(update={"weight": view.weight}) for view in views)
    algorithm = Algorithm.model_validate({"name": snapshot.algorithm, **snapshot.settings})
    run = scenario.run
    if balancers > 1:
        run = run.model_copy(update={"balancers": balancers})
    changed = {"backends": used, "algorithm": algorithm, "run": run, "faults": ()}
    return scenario.model_copy(update=changed)


def _differ(rate: float, other: float) -> bool:
    return abs(rate / other - 1) > ALIKE
