"""What is looked at beside the requests: how busy this machine is, who is in rotation, and what
the balancer says it runs.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from time import perf_counter
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


def runs_another(plan: Plan) -> str:
    """Why a verdict would be about another algorithm than the balancer says it runs.

    Empty where both are the same, or the balancer does not say.
    """
    own, path = plan.scenario.algorithm.name, plan.scenario.server.stats_path
    told = _algorithm(urljoin(plan.url, path)) if path else ""
    if told in ("", own):
        return ""
    says = "the scenario says" if plan.asked["algorithm"] is None else "--algorithm says"
    return f"the balancer at {plan.url} runs {told} and {says} {own}: give --algorithm {told}"


def _algorithm(url: str) -> str:
    client = _client(url, ASKED_FOR)
    try:
        told = json.loads(client.get(urlsplit(url).path).read())["algorithm"]
    except (OSError, ValueError, HTTPException, KeyError, TypeError):
        return ""
    finally:
        client.close()
    return told if isinstance(told, str) else ""


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
