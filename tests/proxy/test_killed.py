"""A backend that is killed under load, and trouble of our own: what is lost, who is blamed."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from lb.balancing import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Proxy, Wire, echo, get, ok, origin, post, proxy
from tests.proxy.test_departures import connecting

CHECKED = "[health]\n"
"""Checks as they are by default: one in 30 seconds."""


async def working(wire: Wire, it: Origin) -> None:
    while (request := await it.take(wire)) is not None:
        if request.target != "/health":
            await asyncio.sleep(0.001)  # so that some are always in flight
        if wire.writer.is_closing():
            return  # killed
        wire.send(ok(b"done"))


def kill(it: Origin) -> None:
    """As the system does with a process that ends at once: every connection is reset."""
    it.stop_listening()
    for wire in it.wires:
        if not wire.writer.is_closing():
            wire.reset()


@pytest.mark.parametrize("fresh", [False, True], ids=["kept", "fresh"])
def test_a_backend_that_is_killed_under_load_loses_nothing_and_is_seen(
    run: Run, fresh: bool
) -> None:
    """Long before its next check would be due, and with one line in the log."""

    async def test() -> None:
        async with (
            origin(working) as a,
            origin(working) as b,
            origin(working) as c,
            proxy(a, b, c, health=CHECKED) as lb,
        ):
            statuses: list[int] = []

            async def asking() -> None:
                for _ in range(3):
                    async with lb.client() as client:
                        for _ in range(20):
                            client.send(get("/", *["Connection: close"] * fresh))
                            statuses.append((await client.response()).status)
                            if fresh:
                                break

            await asyncio.gather(*(asking() for _ in range(8)))
            before = len(statuses)
            assert all(it.healthy for it in lb.backends)
            later = [asyncio.create_task(asking()) for _ in range(8)]
            while len(statuses) < before + 5:
                await asyncio.sleep(0)
            kill(a)
            await asyncio.gather(*later)
            while lb.backends[0].healthy:
                statuses.append((await lb.get()).status)
            assert set(statuses) == {200}
            lines = [
                (fields["backend"], level, event)
                for level, event, fields in lb.log
                if event != "backend up"
            ]
            assert lines == [("a", "warning", "backend down")]
            assert {it.name for it in lb.backends if it.healthy} == {"b", "c"}
            a_views, *_ = lb.driver.balancer.snapshot(0.0).backends
            assert a_views.picked == a_views.succeeded + a_views.failed

    run(test())


# --- trouble of our own


OURS = [
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENFILE, "Too many open files in system"),
    OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.ENOBUFS, "No buffer space available"),
]


def failing_with(lb: Proxy, error: OSError) -> None:
    async def fails(*_: Any, **__: Any) -> Any:
        raise error

    lb.driver.context.loop = connecting(fails)


@pytest.mark.parametrize("error", OURS, ids=[errno.errorcode[e.errno] for e in OURS])
def test_trouble_of_our_own_is_nobody_elses(run: Run, error: OSError) -> None:
    """The client is told 503, and the backend is neither blamed nor asked how it is."""

    async def test() -> None:
        async with origin(echo) as a, proxy(a, health=CHECKED) as lb:
            loop = lb.driver.context.loop
            failing_with(lb, error)
            for _ in range(5):
                async with lb.client() as client:
                    client.send(post(b"body"))
                    refusal = await client.response()
                    assert refusal.status == 503
                    assert refusal.json["error"] == "cancelled"
            (view,) = lb.driver.balancer.snapshot(0.0).backends
            assert view.healthy
            assert (view.failed, view.cancelled) == (0, view.picked)
            assert {outcome for _, outcome in lb.outcomes} == {Outcome.CANCELLED}
            lb.driver.context.loop = loop
            assert (await lb.get()).status == 200
            assert a.requests[0].target == "/health"
            assert len(a.requests) == 2

    run(test())


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_trouble_of_the_backends_side_is_its_own(run: Run, number: int) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, health=CHECKED) as lb:
            loop = lb.driver.context.loop
            failing_with(lb, OSError(number, "it is there, not here"))
            refusal = await lb.get()
            assert (refusal.status, refusal.json["error"]) == (502, "connect")
            assert lb.driver.balancer.snapshot(0.0).backends[0].failed
            lb.driver.context.loop = loop

    run(test())
