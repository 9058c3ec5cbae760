"""Who sends: this process alone, or workers among whom one plan is dealt out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

import gevent
import gevent.event
from _looking import Looking
from _plan import Plan
from _player import Player
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner

from lb.errors import LbError
from lb.terminal import counted
from sim.live.clients import longest_answer
from sim.live.dealing import (
    Gathered,
    Offset,
    Packed,
    offset,
    pack,
    pack_schedule,
    part,
    unpack,
    unpack_schedule,
)
from sim.live.load import LEAD
from sim.live.measurement import Measurement
from sim.model.laws import Floats

ROUNDS = 10
"""Round trips by which a worker's clock is compared."""
READY_WITHIN = 60.0
"""Seconds for workers to draw and unpack what is dealt to them."""
GRACE = 30.0
"""Seconds more than a run can take, before a worker that does not end is given up."""
REPORTS = 0.5
"""Seconds from one report of a worker to the next."""
ALIGNED = 0.05
"""Seconds by which clocks may be apart: the schedule is then another one than was simulated."""


class Alone:
    """One process sends everything."""

    def __init__(self, environment: Environment, plan: Plan) -> None:
        self._looking = Looking(plan)
        self._player = Player.dealt(plan, 0, 1, environment.events.request.fire)
        self.trouble: list[str] = []
        """Why what was seen says nothing."""
        self.start = 0.0

    def play(self) -> None:
        """Send, and wait for every answer."""
        self.start = perf_counter() + LEAD
        self._looking.start(self.start)
        self._player.play(self.start)
        self._looking.stop()

    def stop(self) -> None:
        """Send nothing more, and wait for what is owed."""
        if self.start:
            self._player.stop()
            self._player.over.wait()

    def measured(self) -> Measurement:
        """What was seen so far."""
        return self._looking.seen(self._player.sheet.measured)


class Together:
    """The workers send, and this process gathers what they see."""

    def __init__(self, environment: Environment, plan: Plan) -> None:
        runner = environment.runner
        assert isinstance(runner, MasterRunner)
        self._runner, self._plan = runner, plan
        self._looking = Looking(plan)
        self._limit = longest_answer(plan.scenario)
        self._workers = [one.id for one in runner.clients.all if one.state != STATE_MISSING]
        self._ready: set[str] = set()
        self._done: set[str] = set()
        self._pong = gevent.event.AsyncResult()
        of, schedule = len(self._workers), plan.schedule
        self._gathered = Gathered(of, None if schedule is None else len(schedule))
        self._machines: list[dict[str, Floats]] = []
        """How busy workers were, those who know."""
        self._stopping = False
        self.trouble: list[str] = []
        self.start = 0.0

    def play(self) -> None:
        """Deal out, compare clocks, start all at one instant, and wait for the last answer."""
        if not self._workers:
            self.trouble.append("no worker is there")
            return
        for number, worker in enumerate(self._workers):
            if self._greet(worker):
                self._send("lb_deal", worker, self._deal(number))
        if not self._wait(lambda: self._ready >= self._here(), READY_WITHIN) or self.trouble:
            late = [worker for worker in self._workers if worker not in self._ready]
            self.trouble += [f"worker {worker} was not ready in time" for worker in late]
            return
        offsets = {worker: self._compare(worker) for worker in self._workers}
        self.start = perf_counter() + LEAD
        for worker, one in offsets.items():
            self._send("lb_start", worker, {"start": self.start + one.ahead})
        self._looking.start(self.start)
        if not self._wait(self._over, self._most):
            late = [worker for worker in self._workers if worker not in self._done]
            self.trouble += [f"worker {worker} did not come to an end" for worker in late]
        self._looking.stop()
        self._judge_clocks(offsets)

    def stop(self) -> None:
        """Have nothing more sent, and wait for what is owed."""
        self._end()
        if self.start:
            self._wait(self._over, self._limit)

    def measured(self) -> Measurement:
        """What the workers told of so far."""
        told = self._gathered.measured()
        people = self._plan.people
        if people is not None and people.requests is not None:
            told = told.head(people.requests)  # what left while the last one was told of is no part
        seen = self._looking.seen(told)
        for machine in self._machines:  # the busiest of all decides
            if seen.busy is None or machine["busy"].mean() > seen.busy.mean():
                seen = replace(seen, **machine)
        return seen

    def connected(self, worker: str) -> None:
        """Another one is there."""
        if worker not in self._workers:
            self.trouble.append(
                f"worker {worker} came when the load had been dealt out to "
                f"{counted(len(self._workers), 'worker')}"
            )

    def heard(self, kind: str, worker: str, data: dict[str, Any]) -> None:
        """A message from a worker."""
        if worker not in self._workers:
            return
        match kind:
            case "lb_ready":
                self._ready.add(worker)
                if data["error"]:
                    self.trouble.append(f"worker {worker}: {data['error']}")
            case "lb_pong":
                self._pong.set((data["sent"], data["at"], perf_counter()))
            case "lb_seen":
                self._gathered.add(self._workers.index(worker), unpack(data["seen"]))
                if data["last"]:
                    self._done.add(worker)
                    if machine := unpack(data["machine"]):
                        self._machines.append(machine)

    @property
    def _most(self) -> float:
        """Seconds from now in which all are over, where that is known."""
        people = self._plan.people
        if people is not None and people.duration is None:
            return float("inf")
        return LEAD + self._plan.length + self._limit + GRACE

    def _deal(self, number: int) -> dict[str, Any]:
        schedule, of = self._plan.schedule, len(self._workers)
        mine = None if schedule is None else pack_schedule(part(schedule, number, of))
        return {"asked": self._plan.asked, "schedule": mine, "number": number, "of": of}

    def _greet(self, worker: str) -> bool:
        """Whether it answers: one that has just come may not hear at once."""
        return self._wait(lambda: bool(self._trips(worker, 1)), READY_WITHIN)

    def _compare(self, worker: str) -> Offset:
        trips = self._trips(worker, ROUNDS)
        return offset(trips) if trips else Offset(0.0, float("inf"))

    def _trips(self, worker: str, rounds: int) -> list[tuple[float, float, float]]:
        """See `sim.live.dealing.offset`; those that come back within a second."""
        trips: list[tuple[float, float, float]] = []
        for _ in range(rounds):
            self._pong = gevent.event.AsyncResult()
            self._send("lb_ping", worker, {"sent": perf_counter()})
            with suppress(gevent.Timeout):
                trips.append(self._pong.get(timeout=1))
        return trips

    def _judge_clocks(self, before: dict[str, Offset]) -> None:
        """They may have drifted; a run within what clocks are apart was another schedule."""
        for worker, one in before.items():
            if worker not in self._here():
                continue
            now = self._compare(worker)
            apart = one.within + max(abs(now.ahead - one.ahead) - now.within, 0.0)
            if not apart <= ALIGNED:
                self.trouble.append(
                    f"the clock of worker {worker} may be {apart * 1e3:.3g} ms apart, and "
                    f"{ALIGNED * 1e3:.3g} ms are allowed"
                )

    def _over(self) -> bool:
        people = self._plan.people
        if people is not None and people.requests and len(self._gathered) >= people.requests:
            self._end()
        return self._done >= self._here()

    def _end(self) -> None:
        if not self._stopping:
            self._stopping = True
            for worker in self._workers:
                self._send("lb_stop", worker, {})

    def _here(self) -> set[str]:
        """Workers that live; who does not is told of once, and nothing more is sent."""
        clients = self._runner.clients
        here = {
            one for one in self._workers if one in clients and clients[one].state != STATE_MISSING
        }
        for worker in sorted(set(self._workers) - here - self._done):
            self._done.add(worker)
            self.trouble.append(
                f"worker {worker} died or fell silent, and with it what it was to send"
            )
            self._end()
        return here

    def _wait(self, ready: Callable[[], bool], seconds: float = float("inf")) -> bool:
        ends = perf_counter() + seconds
        while not ready():
            if perf_counter() > ends:
                return False
            gevent.sleep(0.05)
        return True

    def _send(self, kind: str, worker: str, data: dict[str, Any]) -> None:
        self._runner.send_message(kind, data, worker)


class Worker:
    """What a worker does of a load: its part, at the time that it is told."""

    def __init__(self, environment: Environment) -> None:
        self._runner = environment.runner
        self._fire = environment.events.request.fire
        self.player: Player | None = None

    def heard(self, kind: str, data: dict[str, Any]) -> None:
        """A message from the master."""
        match kind:
            case "lb_deal":
                self._runner.send_message("lb_ready", {"error": self._take(data)})
            case "lb_ping":
                self._runner.send_message("lb_pong", {**data, "at": perf_counter()})
            case "lb_start" if self.player is not None:
                gevent.spawn(self._play, self.player, data["start"])
            case "lb_stop" if self.player is not None:
                self.player.stop()

    def _take(self, data: dict[str, Any]) -> str | None:
        """Get ready; why that cannot be."""
        try:
            schedule = None if data["schedule"] is None else unpack_schedule(data["schedule"])
            plan = Plan(data["asked"], drawn=schedule)
            self.player = Player(plan, schedule, data["number"], data["of"], self._fire)
        except LbError as error:
            return str(error)
        return None

    def _play(self, player: Player, start: float) -> None:
        looking = Looking(player.plan, rotation=False)
        looking.start(start)
        playing = gevent.spawn(player.play, start)
        while not player.over.wait(REPORTS):
            self._tell(player.report())
        playing.join()
        looking.stop()
        seen = {"busy": looking.machine.busy, "stolen": looking.machine.stolen}
        known = {name: column for name, column in seen.items() if column is not None}
        self._tell(player.report(last=True), machine=pack(known))

    def _tell(self, seen: Packed, machine: Packed | None = None) -> None:
        """`machine` comes with the last report."""
        last = machine is not None
        self._runner.send_message("lb_seen", {"seen": seen, "last": last, "machine": machine or {}})
