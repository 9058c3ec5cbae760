"""Backends that are removed while they answer."""

from __future__ import annotations

import asyncio

from lb.balancing import Add, Remove, Settings
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Wire, echo, get, ok, origin, proxy


def test_what_ends_at_a_backend_that_has_left_is_counted_and_measured_alike(run: Run) -> None:
    go_on = asyncio.Event()

    async def script(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(ok(b"begun"))
            await it.take(wire)
            await go_on.wait()
            wire.send(ok(b"late"))

    async def test() -> None:
        async with (
            origin(script) as a,
            origin(echo) as b,
            proxy(a) as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            for client in (first, second):
                client.send(get())
                assert (await client.response()).body == b"begun"
                client.send(get())
            while len(a.requests) < 4:
                await asyncio.sleep(0)
            dispatcher = lb.driver.dispatcher
            dispatcher.perform(Add(Settings(b.address, name="b")))
            dispatcher.perform(Remove("a"))
            departed = lb.driver.report().snapshot.departed["a"]
            assert (departed.picked, departed.connections) == (4, 2)
            go_on.set()
            for client in (first, second):
                assert (await client.response()).body == b"late"
            report = lb.driver.report()
            departed = report.snapshot.departed["a"]
            assert (departed.succeeded, departed.connections) == (4, 0)
            assert sum(it.count for key, it in report.client.items() if key.backend == "a") == 4
            assert sum(it.count for key, it in report.server.items() if key.backend == "a") == 4

    run(test())
