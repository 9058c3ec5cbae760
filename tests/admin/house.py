"""A control plane over a balancer without a proxy, and clients for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from lb.admin.access import Access
from lb.admin.app import application
from lb.balancing import Balancer, Change, Pick, perform
from lb.config import Scenario
from lb.errors import ConfigError
from lb.measures import Connections, Events, Report, Requests, Worker
from tests.loops import runner

FILE = """
algorithm = "round_robin"
[health]
enabled = false
[[backend]]
address = "127.0.0.1:3001"
name = "a"
[[backend]]
address = "127.0.0.1:3002"
weight = 2
[[backend]]
address = "[::1]:3003"
name = "c/d e"
"""
LIMIT = 20.0


class Held:
    """`Operations` over one balancer."""

    def __init__(self, text: str = FILE) -> None:
        self.scenario = Scenario.parse(text, "lb.toml")
        self.balancer: Balancer[Any] = Balancer(self.scenario.setup(), Random(1), 0.0)
        self.events = Events()
        self.measured = Requests()
        self.done: list[tuple[object, str]] = []
        self.problems: list[str] = []
        self.picked = 3
        self.kept: Sequence[str] = ()
        self.pause: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def report(self) -> Report:
        worker = Worker(pid=7, started_at=1e9, clients=3, requests=5, lag=0.002, descriptors=11)
        return Report(
            "pure",
            self.balancer.snapshot(1.0),
            (worker, replace(worker, pid=8, lag=0.004)),
            {"bad_request": 2},
            self.measured.server,
            self.measured.client,
            self.measured.good,
            self.measured.ends,
            {"a": Connections(1, 4)},
            {"access_log": 6},
            {"/etc/lb.pem": 2e9},
            {"plain_http": 3},
        )

    async def picks(self) -> Sequence[Pick]:
        found: list[Pick] = []
        self.balancer.pool.explain(found.append)
        for number in range(self.picked):
            self.balancer.pool.pick(1.0, b"session-of-%d" % number)
        self.balancer.pool.explain(None)
        return found

    async def forecast(self) -> dict[str, Any]:
        return {"schema": 1, "state": "none"}

    async def perform(self, change: Change, who: str) -> None:
        if self.pause is not None:
            await self.pause()
        perform(self.balancer, change, 1.0)
        self.done.append((change, who))

    async def reload(self, who: str) -> Sequence[str]:
        self.done.append(("reload", who))
        if self.problems:
            raise ConfigError(self.problems)
        return self.kept

    def stop(self, who: str) -> None:
        self.done.append(("stop", who))


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Plane:
    """One that runs."""

    def __init__(self, client: TestClient[web.Request, web.Application], held: Held) -> None:
        self.client = client
        self.held = held

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """`body` is JSON unless it is bytes."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, path, data=data, headers=names) as response:
            text = await response.text()
            return Answer(response.status, dict(response.headers), text)

    def row(self, name: str) -> Any:
        found = [it for it in self.held.balancer.pool.backends if it.name == name]
        return found[0] if found else None


@asynccontextmanager
async def plane(held: Held | None = None, access: Access | None = None) -> AsyncIterator[Plane]:
    held = held or Held()
    server = TestServer(application(held, access))
    async with TestClient(server) as client:
        yield Plane(client, held)


run = runner("uvloop", LIMIT)
"""On the loop that `lb serve` has."""

__all__ = ["FILE", "Answer", "ClientSession", "Held", "Plane", "plane", "run"]
