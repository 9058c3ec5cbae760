"""/lb-health and /lb-stats on the proxy's own port."""

from __future__ import annotations

from contextlib import closing

from lb import BUILD
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    answering,
    echo,
    get,
    ok,
    origin,
    post,
    proxy,
    refusing,
    silent,
)

HEALTH = '[health]\ninterval = "10s"\n'


def test_health(run: Run) -> None:
    async def test() -> None:
        with closing(refusing()) as b:
            async with origin(answering(ok(b"x"))) as a, proxy(a, b, health=HEALTH) as lb:
                answer = await lb.get("/lb-health")
                assert answer.status == 200
                document = answer.json
                assert document["status"] == "ok"
                assert document["healthy_backends"] == 1
                assert document["total_backends"] == 2
                up, down = document["backends"]
                assert {"address", "healthy", "connections", "response_time_ms"} <= set(up)
                assert (up["address"], up["healthy"], up["connections"]) == (a.address, True, 0)
                assert 0 < up["response_time_ms"] < 5000
                assert down["healthy"] is False
                assert down["response_time_ms"] is None

    run(test())


def test_health_when_nobody_is_usable(run: Run) -> None:
    async def test() -> None:
        with closing(refusing()) as a:
            async with proxy(a, health=HEALTH) as lb:
                answer = await lb.get("/lb-health")
                assert answer.status == 503
                assert answer.json["status"] != "ok"
                assert answer.json["healthy_backends"] == 0

    run(test())


def test_stats(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(b"x"))) as a,
            origin(echo) as b,
            proxy(a, b, toml='algorithm = "least_connections"', health=HEALTH) as lb,
        ):
            await lb.get()
            document = (await lb.get("/lb-stats")).json
            assert document["algorithm"] == "least_connections"
            assert document["build"] == BUILD.name
            first, second = document["backends"]
            assert [first["address"], second["address"]] == [a.address, b.address]
            for row in document["backends"]:
                assert {
                    *("address", "healthy", "connections", "weight"),
                    *("response_time_ms", "last_health_check"),
                } <= set(row)
                assert row["healthy"] is True
                assert type(row["connections"]) is int
                assert row["weight"] == 1
                assert 0 <= row["last_health_check"] < 5
            assert first["picked"] + second["picked"] == 1
            assert first["succeeded"] + second["succeeded"] == 1
            assert document["requests"] == 1

    run(test())


def test_no_check_yet_is_null(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            (row,) = (await lb.get("/lb-stats")).json["backends"]
            assert row["last_health_check"] is None
            assert row["response_time_ms"] is None
            client.send(get())
            await a.arrived.get()
            (row,) = (await lb.get("/lb-stats")).json["backends"]
            assert row["connections"] == 1

    run(test())


def test_our_own_answers_keep_the_connection_and_their_place_in_line(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/1"), get("/lb-health"), get("/2"), get("/lb-stats"))
            assert b"/1" in (await client.response()).body
            assert (await client.response()).json["status"] == "ok"
            assert b"/2" in (await client.response()).body
            assert (await client.response()).json["requests"] == 2
            assert [request.target for request in a.requests] == ["/1", "/2"]

    run(test())


def test_only_reading_is_ours(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(post(b"x", target="/lb-health"), get("/lb-healthy"))
            assert (await client.response()).body.startswith(b"POST /lb-health ")
            assert (await client.response()).body.startswith(b"GET /lb-healthy ")

    run(test())


def test_elsewhere_and_switched_off(run: Run) -> None:
    server = '[server]\nlisten = "127.0.0.1:0"\nhealth_path = "/up"\nstats_path = ""\n'

    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=server) as lb:
            assert (await lb.get("/up")).json["status"] == "ok"
            for path in ("/lb-health", "/lb-stats"):
                assert (await lb.get(path)).body.startswith(b"GET " + path.encode())

    run(test())
