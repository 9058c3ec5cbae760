"""What changes something: right ones do, wrong ones say what is right and change nothing."""

from __future__ import annotations

import asyncio

import pytest

from lb.admin import bodies
from lb.balancing import SetState, SetWeight, State
from tests.admin.house import Held, plane, run

A = "/v1/backends/a"


def test_a_backend_is_drained_and_restored_and_weighed() -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("PATCH", A, {"state": "drain"})
            assert (answer.status, answer.json["state"]) == (200, "drain")
            assert lb.row("a").state is State.DRAIN
            answer = await lb.ask("PATCH", A, {"state": "up", "weight": 2.5})
            assert (answer.json["state"], answer.json["weight"]) == ("up", 2.5)
            assert lb.row("a").configured_weight == 2.5
            changes = [change for change, _ in lb.held.done]
            assert changes[1:] == [SetWeight("a", 2.5), SetState("a", State.UP)]
            assert all(who.startswith("127.0.0.1:") for _, who in lb.held.done)

    run(test())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/backends/127.0.0.1:3002", "127.0.0.1:3002"),
        ("/v1/backends/127.0.0.1%3A3002", "127.0.0.1:3002"),
        ("/v1/backends/127.0.0.1:3001", "a"),
        ("/v1/backends/[::1]:3003", "c/d e"),
        ("/v1/backends/%5B%3A%3A1%5D%3A3003", "c/d e"),
        ("/v1/backends/c%2Fd%20e", "c/d e"),
    ],
)
def test_a_backend_is_named_by_its_name_else_its_address(path: str, name: str) -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("PATCH", path, {"state": "maint"})
            assert (answer.status, answer.json["name"]) == (200, name)
            assert lb.row(name).state is State.MAINT

    run(test())


@pytest.mark.parametrize(
    ("body", "said", "hint"),
    [
        ({"weight": -1}, "weight: -1 is not a number above zero", '"weight": 3'),
        ({"weight": 0}, "weight: 0 is not", "drain"),
        ({"weight": True}, "weight: true is not", ""),
        ({"weight": "3"}, "weight: '3' is not", ""),
        ({"weight": None}, "weight: null is not", ""),
        ({"weight": [1]}, "weight: a list is not", ""),
        ({"state": "maintenance"}, "'maintenance'", "did you mean 'maint'?"),
        ({"state": 1}, "state: 1", "known: up, drain, maint"),
        ({"state": "drain", "weight": -1}, "weight", ""),
        ({"state": "x", "weight": 1}, "state", ""),
        ({"wieght": 1}, "unknown key 'wieght'", "did you mean 'weight'?"),
        ({}, "nothing to change", "state"),
        ([1], "a list, not an object", ""),
        (b"", "the body is empty", ""),
        (b'{"weight": NaN}', "NaN is no number", ""),
        (b'{"weight": 1e999}', "weight: inf", ""),
        (b'{\n "weight" 1}', "line 2, column 11", ""),
        (b'{"weight": 1, "weight": 2}', "'weight' is given twice", ""),
        (b"\xff", "not UTF-8", ""),
        (b"[" * 20000, "too deeply", ""),
        (b'{"weight": 1' + b"0" * 5000 + b"}", "a number of 5001 digits", ""),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(body: object, said: str, hint: str) -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("PATCH", A, body)
            assert answer.status == 400
            assert set(answer.json) == {"error", "message", "hint"}
            assert said in answer.json["message"]
            assert hint in answer.json["hint"]
            assert not lb.held.done

    run(test())


def test_an_unknown_backend_is_404_with_the_nearest() -> None:
    async def test() -> None:
        async with plane() as lb:
            for method, body in (("PATCH", {"weight": 1}), ("DELETE", None)):
                answer = await lb.ask(method, "/v1/backends/127.0.0.1:3003", body)
                assert answer.status == 404
                assert answer.json["error"] == "unknown_backend"
                assert answer.json["hint"] == "did you mean '127.0.0.1:3002'?"

    run(test())


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE", 0.01)

    async def test() -> None:
        async with plane() as lb:
            reader, writer = await asyncio.open_connection("127.0.0.1", lb.client.port)
            writer.write(b"PATCH /v1/backends/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert b" 408 " in await reader.readline()
            writer.close()
            await writer.wait_closed()
            assert not lb.held.done

    run(test())


@pytest.mark.parametrize(
    ("method", "path", "hint"),
    [
        ("PATCH", A, '{"state": "drain"}'),
        ("POST", "/v1/backends", '{"address": "127.0.0.1:3001", "weight": 2}'),
        ("PUT", "/v1/algorithm", '{"name": "p2c", "choices": 3}'),
    ],
)
def test_who_sends_nothing_hears_what_could_be_sent_there(
    method: str, path: str, hint: str
) -> None:
    async def test() -> None:
        async with plane() as lb:
            for body, why in ((b"", "the body is empty"), (b"[]", "a list"), (b"{", "not JSON")):
                answer = await lb.ask(method, path, body)
                assert answer.status == 400
                assert why in answer.json["message"]
                assert f"such as {hint}" in answer.json["hint"]

    run(test())


def test_a_long_body_is_refused() -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("PATCH", A, b'{"weight": 1' + b" " * 70000 + b"}")
            assert (answer.status, answer.json["error"]) == (413, "too_large")

    run(test())


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (b'{"address": "h:1", "name": "a\\nb"}', "letters that cannot be printed"),
        (b'{"address": "h:1", "name": "x\\ud800"}', "name: "),
        (b'{"address": "h\\u007f:1"}', "is not host:port"),
        (b'{"address": "127.0.0.1:0"}', "nobody can be reached at port 0"),
        (b'{"address": "h:1", "name": " "}', "is blank"),
        (b'{"address": null}', "address: should be a text in quotes, not null"),
        (b'{"address": "h:1", "weight": null}', "a number above zero, not null"),
        (b'{"address": "h:1", "max_in_flight": true}', "max_in_flight: true is neither"),
    ],
)
def test_what_is_no_backend_does_not_join(new: bytes, said: str) -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("POST", "/v1/backends", new)
            assert (answer.status, answer.json["error"]) == (400, "bad_request")
            assert said in answer.json["message"]
            assert not lb.held.done

    run(test())


def test_no_backend_is_called_by_the_address_of_another() -> None:
    async def test() -> None:
        async with plane() as lb:
            new = {"address": "h:1", "name": "127.0.0.1:3001"}
            answer = await lb.ask("POST", "/v1/backends", new)
            assert (answer.status, answer.json["error"]) == (409, "exists")
            assert "backend a at 127.0.0.1:3001" in answer.json["message"]
            assert not lb.held.done
            await lb.ask("POST", "/v1/backends", {"address": "h:1", "name": "h:2"})
            assert (await lb.ask("POST", "/v1/backends", {"address": "h:2"})).status == 409
            assert len(lb.held.done) == 1

    run(test())


def test_where_a_new_backend_is_found_is_an_url() -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("POST", "/v1/backends", {"address": "h:1", "name": "é/ %"})
            assert (answer.status, answer.headers["Location"]) == (
                201,
                "/v1/backends/%C3%A9%2F%20%25",
            )
            path = answer.headers["Location"]
            assert (await lb.ask("DELETE", path)).json["name"] == "é/ %"

    run(test())


def test_backends_join_and_leave() -> None:
    async def test() -> None:
        async with plane() as lb:
            new = {"address": "127.0.0.1:4000", "name": "n", "weight": 3, "max_in_flight": 5}
            answer = await lb.ask("POST", "/v1/backends", new)
            assert answer.status == 201
            assert (answer.json["name"], answer.json["max_in_flight"]) == ("n", 5)
            assert lb.row("n").configured_weight == 3
            for again in ({"address": "127.0.0.1:4000"}, {"address": "127.0.0.1:1", "name": "n"}):
                assert (await lb.ask("POST", "/v1/backends", again)).status == 409
            answer = await lb.ask("DELETE", "/v1/backends/n")
            assert (answer.status, answer.json["state"]) == (200, "removed")
            assert lb.row("n") is None

    run(test())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "address: missing"),
        ({"address": "127.0.0.1"}, "is not host:port"),
        ({"address": "127.0.0.1:1", "weight": -1}, "weight"),
        ({"address": "127.0.0.1:1", "max_in_flight": 0}, "max_in_flight"),
        ({"address": "127.0.0.1:1", "adress": 0}, "unknown key 'adress'"),
        ({"address": 80}, "address"),
    ],
)
def test_a_wrong_backend_is_not_added(body: object, said: str) -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("POST", "/v1/backends", body)
            assert answer.status == 400
            assert said in answer.json["message"]
            assert not lb.held.done

    run(test())


def test_another_algorithm() -> None:
    async def test() -> None:
        async with plane() as lb:
            for body in ({"name": "p2c", "choices": 3}, {"name": "p2c:choices=3"}):
                answer = await lb.ask("PUT", "/v1/algorithm", body)
                assert answer.status == 200
                assert answer.json["name"] == "p2c"
                assert int(answer.json["settings"]["choices"]) == 3
                assert lb.held.balancer.algorithm == "p2c"
            answer = await lb.ask("PUT", "/v1/algorithm", {"name": "ip_hash"})
            assert answer.status == 200
            for body, said in (
                ({"name": "p2"}, "did you mean 'p2c'?"),
                ({"name": "p2c", "choises": 3}, "did you mean 'choices'?"),
                ({"name": "p2c", "choices": "many"}, "a whole number"),
                ({"name": "p2c:choices=many"}, "a whole number"),
                ({"choices": 3}, "name: missing"),
            ):
                answer = await lb.ask("PUT", "/v1/algorithm", body)
                assert answer.status == 400
                assert said in answer.json["message"]
            assert lb.held.balancer.algorithm == "ip_hash"

    run(test())


def test_reload_and_stop() -> None:
    async def test() -> None:
        held = Held()
        held.kept = ["server.listen: needs a restart"]
        async with plane(held) as lb:
            answer = await lb.ask("POST", "/v1/reload")
            assert answer.status == 200
            assert answer.json == {"reloaded": True, "not_changed": held.kept}
            held.problems = ["lb.toml:3 retries.max: wrong", "lb.toml:9 key: wrong too"]
            answer = await lb.ask("POST", "/v1/reload")
            assert (answer.status, answer.json["error"]) == (400, "config")
            assert answer.json["message"].splitlines() == held.problems == answer.json["problems"]
            assert (await lb.ask("POST", "/v1/stop")).status == 202
            assert [what for what, _ in held.done] == ["reload", "reload", "stop"]

    run(test())


def test_two_at_once_are_done_in_order() -> None:
    async def test() -> None:
        held = Held()
        inside, most = 0, 0

        async def pause() -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            for _ in range(20):
                await asyncio.sleep(0)
            inside -= 1

        held.pause = pause
        async with plane(held) as lb:
            both = {"state": "drain", "weight": 7}, {"state": "up", "weight": 9}
            await asyncio.gather(*(lb.ask("PATCH", A, body) for body in both))
            assert most == 1
            weights = [change.weight for change, _ in held.done if isinstance(change, SetWeight)]
            states = [change.state for change, _ in held.done if isinstance(change, SetState)]
            assert {7: State.DRAIN, 9: State.UP}[int(weights[-1])] is states[-1]
            kinds = [type(change) for change, _ in held.done]
            assert kinds == [SetWeight, SetState] * 2  # none is done between another's halves

    run(test())
