"""What is looked at beside the requests: how busy this machine is, who is in rotation, and what
the balancer says it runs.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from time import perf_counter
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import gevent
from _plan import Plan
from geventhttpclient import HTTPClient

from sim.live.clients import longest_answer
from sim.live.machine import EVERY, Machine
from sim.live.measurement import Measurement
from sim.live.watch import Watch

ASKED_FOR = 2.0
"""Seconds a balancer has to say what it runs."""


class Running(NamedTuple):
    """What a balancer says of itself; nothing where it does not."""

    algorithm: str = ""
    workers: int = 0
    """Processes that serve, each of which balances its own requests only."""

    def another(self, plan: Plan) -> str:
        """Why a verdict would be about another algorithm than it runs; empty where it would not."""
        own = plan.scenario.algorithm.name
        if self.algorithm in ("", own):
            return ""
        says = "the scenario says" if plan.asked["algorithm"] is None else "--algorithm says"
        return (
            f"the balancer at {plan.url} runs {self.algorithm} and {says} {own}: "
            f"give --algorithm {self.algorithm}"
        )

    def balancers(self, plan: Plan) -> int:
        """How many there are: as many as it says, or else the file of one that divides itself."""
        own = plan.scenario.server.workers
        told = own if isinstance(own, int) and plan.target in ("lb", "nginx") else 1
        return max(self.workers or told, 1)


def running(plan: Plan) -> Running:
    """Ask the balancer, where it has an answer to that."""
    path = plan.scenario.server.stats_path
    return _told(urljoin(plan.url, path)) if path else Running()


def _told(url: str) -> Running:
    client = _client(url, ASKED_FOR)
    try:
        told = json.loads(client.get(urlsplit(url).path).read())
        algorithm, workers = told["algorithm"], told.get("workers")
    except (OSError, ValueError, HTTPException, KeyError, TypeError, AttributeError):
        return Running()
    finally:
        client.close()
    known = algorithm if isinstance(algorithm, str) else ""
    return Running(known, len(workers) if isinstance(workers, list) else 0)


def _client(url: str, seconds: float) -> HTTPClient:
    """For one question at a time, each of which is waited for so long."""
    target = urlsplit(url)
    return HTTPClient(
        target.hostname,
        target.port or 80,
        connection_timeout=seconds,
        network_timeout=seconds,
    )


class Looking:
    """Looks around from the start of a load to its end."""

    def __init__(self, plan: Plan, *, rotation: bool = True) -> None:
        """`rotation`: ask the balancer, where that matters."""
        self._watch = Watch(plan.scenario, plan.url) if rotation else None
        self._limit = longest_answer(plan.scenario)
        self._looking: list[gevent.Greenlet] = []
        self.machine = Machine()

    def start(self, start: float) -> None:
        """From that time on."""
        self._looking.append(gevent.spawn(self._look_at_machine, start))
        if self._watch is not None and self._watch.url:
            self._looking.append(gevent.spawn(self._look_at_balancer, self._watch, start))

    def stop(self) -> None:
        """It is over."""
        gevent.killall(self._looking)

    def seen(self, measured: Measurement) -> Measurement:
        """With what was watched."""
        rotation = None if self._watch is None else self._watch.rotation
        machine = self.machine
        return replace(measured, rotation=rotation, busy=machine.busy, stolen=machine.stolen)

    def _look_at_machine(self, start: float) -> None:
        looks = 0
        while True:
            gevent.sleep(max(start + looks * EVERY - perf_counter(), 0.0))
            self.machine.look()
            looks += 1

    def _look_at_balancer(self, watch: Watch, start: float) -> None:
        client, path = _client(watch.url, self._limit), urlsplit(watch.url).path
        while True:
            gevent.sleep(max(start + watch.next_look() - perf_counter(), 0.0))
            at, told = perf_counter() - start, b""
            with suppress(OSError, ValueError, HTTPException):
                told = client.get(path).read()
            watch.saw(at, told)
