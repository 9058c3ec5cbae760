"""Why picks fell as they did, as the control plane tells it."""

from __future__ import annotations

from tests.admin.house import FILE, Held, plane, run


def test_the_last_picks_come_first_with_all_who_were_looked_at() -> None:
    async def test() -> None:
        held = Held(FILE.replace("round_robin", "least_connections"))
        held.balancer.pool.backends[0].active = 2
        async with plane(held) as lb:
            told = (await lb.ask("GET", "/v1/picks?last=2")).json
            assert [it["key"] for it in told["picks"]] == ["session-of-2", "session-of-1"]
            newest = told["picks"][0]
            assert newest["rule"] == "lowest"
            figures = {it["backend"]: it["figure"] for it in newest["candidates"]}
            assert figures == {"a": 1.0, "127.0.0.1:3002": 0.5, "c/d e": 1.0}
            assert newest["backend"] == "127.0.0.1:3002"
            assert newest["seconds_ago"] >= 0

    run(test())


def test_of_a_cookie_no_more_than_the_beginning_is_shown() -> None:
    async def test() -> None:
        async with plane(Held('key = "cookie:id"\n' + FILE)) as lb:
            (pick,) = (await lb.ask("GET", "/v1/picks?last=1")).json["picks"]
            assert pick["key"] == "session-..."

    run(test())


def test_a_number_that_is_none() -> None:
    async def test() -> None:
        async with plane() as lb:
            other = await lb.ask("GET", "/v1/picks?n=1")
            assert (other.status, other.json["message"]) == (400, "unknown parameter 'n'")
            for wrong in ("0", "101", "x", "-1", "\u0663"):
                answer = await lb.ask("GET", f"/v1/picks?last={wrong}")
                assert (answer.status, answer.json["hint"]) == (
                    400,
                    "last is a whole number from 1 to 100",
                )

    run(test())
