"""What is said to a running proxy: backends that come and go, other algorithms, another setup."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lb.balancing import Add, Apply, Outcome, Remove, SetState, Settings, SetWeight, State, Swap
from lb.errors import UsageError
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Proxy,
    Wire,
    echo,
    get,
    ok,
    origin,
    proxy,
    silent,
)


async def served_by(lb: Proxy, times: int, *fields: str) -> list[str | None]:
    return [(await lb.get("/", *fields))["X-Backend-Server"] for _ in range(times)]


def test_a_backend_that_is_added_to_a_running_proxy_is_served(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, origin(echo) as b, proxy(a) as lb:
            assert await served_by(lb, 2) == [a.address] * 2
            lb.driver.dispatcher.perform(Add(Settings(b.address, name="b")))
            added = lb.backends[-1]
            assert set(await served_by(lb, 4)) == {a.address, b.address}
            assert added.succeeded == 2

    run(test())


def test_a_backend_that_is_added_is_checked_first(run: Run) -> None:
    async def test() -> None:
        health = '[health]\ninterval = "1h"\n'
        async with origin(echo) as a, origin(silent) as b, proxy(a, health=health) as lb:
            lb.driver.dispatcher.perform(Add(Settings(b.address, name="b")))
            assert (await b.arrived.get()).target == "/health"
            assert await served_by(lb, 3) == [a.address] * 3

    run(test())


def test_who_waits_in_line_goes_to_a_backend_that_is_added(run: Run) -> None:
    async def test() -> None:
        toml = '[queue]\nlimit = 5\ntimeout = "1h"\n'
        async with (
            origin(silent) as a,
            origin(echo) as b,
            proxy(a, toml=toml, a="max_in_flight = 1") as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get())
            await a.arrived.get()
            second.send(get())
            while not lb.driver.balancer.snapshot(0.0).waiting:
                await asyncio.sleep(0)
            lb.driver.dispatcher.perform(Add(Settings(b.address, name="b")))
            assert (await second.response())["X-Backend-Server"] == b.address

    run(test())


def held(go_on: asyncio.Event) -> object:
    async def script(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            await go_on.wait()
            wire.send(ok(b"held"))

    return script


@pytest.mark.parametrize("half", [False, True])
def test_a_backend_that_is_removed_ends_what_it_has_begun(run: Run, half: bool) -> None:
    """And its connections are closed: the unused ones at once, the others when they are free."""

    async def test() -> None:
        go_on = asyncio.Event()

        async def script(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
                wire.send(head if half else b"")
                await go_on.wait()
                wire.send(b"held" if half else head + b"held")

        async with (
            origin(script) as a,
            origin(echo) as b,
            proxy(a, b) as lb,
            lb.client() as client,
            lb.client() as other,
        ):
            go_on.set()
            for one in (client, other):  # two connections to each
                one.send(get(), get())
            for one in (client, other):
                for _ in range(2):
                    await one.response()
            go_on.clear()
            while not a.arrived.empty():
                a.arrived.get_nowait()
            client.send(get(), get())
            await a.arrived.get()
            removed = lb.backends[0]
            assert removed.address == a.address
            lb.driver.dispatcher.perform(Remove(removed.name))
            assert removed.site.idle == []
            assert await served_by(lb, 4) == [b.address] * 4
            go_on.set()
            answers = [await client.response() for _ in range(2)]
            assert b"held" in [answer.body for answer in answers]
            for _ in range(a.connections):
                await a.left.get()
            assert removed.site.idle == []
            assert removed.active == 0
            assert lb.backends == [it for it in lb.backends if it.address == b.address]

    run(test())


def test_removal_under_load_loses_nobody(run: Run) -> None:
    """Backends come and go while clients ask without a pause."""

    async def test() -> None:
        async with origin(echo) as a, origin(echo) as b, origin(echo) as c, proxy(a, b) as lb:
            statuses = []

            async def asking() -> None:
                async with lb.client() as client:
                    for _ in range(60):
                        client.send(get())
                        statuses.append((await client.response()).status)

            async def changing() -> None:
                places, control = [c.address, a.address, b.address], lb.driver.dispatcher
                for number in range(30):
                    control.perform(Add(Settings(places[number % 3], name=f"new {number}")))
                    await served_by(lb, 1)
                    control.perform(Remove(lb.backends[0].name))
                    await served_by(lb, 1)

            await asyncio.gather(*(asking() for _ in range(5)), changing())
            assert statuses == [200] * 300
            assert {outcome for _, outcome in lb.outcomes} == {Outcome.OK}

    run(test())


def test_the_last_backend_that_is_removed_leaves_a_refusal(run: Run) -> None:
    async def test() -> None:
        toml = '[queue]\nlimit = 5\ntimeout = "1h"\n'
        async with (
            origin(silent) as a,
            proxy(a, toml=toml, a="max_in_flight = 1") as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get())
            await a.arrived.get()
            second.send(get())
            while not lb.driver.balancer.snapshot(0.0).waiting:
                await asyncio.sleep(0)
            lb.driver.dispatcher.perform(Remove(lb.backends[0].name))
            refusal = await second.response()
            assert refusal.status == 503
            assert refusal.json["error"] == "no_backend"
            assert (await lb.get()).status == 503

    run(test())


def test_callers_in_line_are_told_when_the_last_usable_backend_goes(run: Run) -> None:
    """It is at its limit, so they wait; then its checks fail, and nobody is left to wait for."""

    async def test() -> None:
        healthy = True

        async def script(wire: Wire, it: Origin) -> None:
            while (request := await it.take(wire)) is not None:
                if request.target == "/health":
                    wire.send(ok() if healthy else ok(status=b"500 Oh"))

        toml = '[queue]\nlimit = 5\ntimeout = "1h"\n'
        health = '[health]\ninterval = "50ms"\nfast_interval = "10ms"\nfall = 2\n'
        async with (
            origin(script) as a,
            proxy(a, toml=toml, health=health, a="max_in_flight = 1") as lb,
            lb.client() as first,
            lb.client() as second,
            lb.client() as third,
        ):
            first.send(get())
            while not lb.leases:
                await asyncio.sleep(0)
            second.send(get())
            third.send(get())
            while lb.driver.balancer.snapshot(0.0).waiting != 2:
                await asyncio.sleep(0)
            healthy = False
            for client in (second, third):
                refusal = await client.response()
                assert (refusal.status, refusal.json["error"]) == (503, "no_backend")
            assert lb.driver.balancer.snapshot(0.0).refused["no_backend"] == 2

    run(test())


def test_an_operator_may_drain_a_backend_and_weigh_it(run: Run) -> None:
    async def test() -> None:
        toml = 'algorithm = "weighted_round_robin"\n'
        async with origin(echo) as a, origin(echo) as b, proxy(a, b, toml=toml) as lb:
            control, (first, second) = lb.driver.dispatcher, lb.backends
            control.perform(SetState(first.name, State.DRAIN))
            assert await served_by(lb, 3) == [b.address] * 3
            control.perform(SetState(first.name, State.UP))
            control.perform(SetWeight(second.name, 3))
            assert sorted(await served_by(lb, 4)) == sorted([a.address, *[b.address] * 3])

    run(test())


HEADER = 'key = "header:X-User"\n'
COOKIE = 'key = "cookie:lb"\n'


def test_an_algorithm_that_needs_keys_gets_them_once_it_is_chosen(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, origin(echo) as b, proxy(a, b, toml=HEADER) as lb:
            assert len(set(await served_by(lb, 4, "X-User: one"))) == 2
            lb.driver.dispatcher.perform(Swap("consistent_hash"))
            users = [f"X-User: {number}" for number in range(30)]
            places = {user: await served_by(lb, 3, user) for user in users}
            assert all(len(set(found)) == 1 for found in places.values())
            assert {found[0] for found in places.values()} == {a.address, b.address}
            lb.driver.dispatcher.perform(Swap("round_robin"))
            assert len(set(await served_by(lb, 4, "X-User: one"))) == 2

    run(test())


def test_an_algorithm_that_sets_cookies_sets_them_once_it_is_chosen(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, origin(echo) as b, proxy(a, b, toml=COOKIE) as lb:
            assert (await lb.get())["Set-Cookie"] is None
            lb.driver.dispatcher.perform(Swap("sticky", {"inner": "random"}))
            first = await lb.get()
            cookie = first["Set-Cookie"]
            assert cookie is not None
            said = cookie.partition(";")[0]
            answers = [await lb.get("/", f"Cookie: {said}") for _ in range(8)]
            assert {answer["X-Backend-Server"] for answer in answers} == {first["X-Backend-Server"]}
            assert {answer["Set-Cookie"] for answer in answers} == {None}
            lb.driver.dispatcher.perform(Swap("round_robin"))
            assert (await lb.get())["Set-Cookie"] is None

    run(test())


def test_algorithms_are_exchanged_while_requests_run(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()
        async with (
            origin(held(go_on)) as a,  # type: ignore[arg-type]
            origin(held(go_on)) as b,  # type: ignore[arg-type]
            proxy(a, b) as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get())
            await a.arrived.get()
            for name in ("consistent_hash", "least_connections", "p2c", "maglev", "prequal"):
                lb.driver.dispatcher.perform(Swap(name))
            lb.driver.dispatcher.perform(Swap("least_connections"))
            second.send(get())
            await b.arrived.get()  # the one at a is still known
            go_on.set()
            for client in (first, second):
                assert (await client.response()).status == 200
            assert [it.active for it in lb.backends] == [0, 0]

    run(test())


def test_an_unknown_algorithm_changes_nothing(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=HEADER) as lb:
            with pytest.raises(UsageError):
                lb.driver.dispatcher.perform(Swap("nonsense"))
            assert lb.driver.balancer.algorithm == "round_robin"
            assert lb.driver.context.key_of is None
            assert (await lb.get()).status == 200

    run(test())


def test_another_setup_moves_a_running_proxy_to_it(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, origin(echo) as b, proxy(a, toml=HEADER) as lb:
            before = lb.driver.balancer.setup
            lb.driver.dispatcher.perform(
                Apply(
                    replace(
                        before,
                        algorithm="maglev",
                        backends=(*before.backends, Settings(b.address, name="b")),
                    )
                )
            )
            places = {user: await served_by(lb, 2, f"X-User: {user}") for user in range(30)}
            assert all(len(set(found)) == 1 for found in places.values())
            assert {found[0] for found in places.values()} == {a.address, b.address}
            lb.driver.dispatcher.perform(Apply(before))
            assert set(await served_by(lb, 4)) == {a.address}

    run(test())
