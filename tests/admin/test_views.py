"""What there is to see, and its description."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lb.admin.control import NEW
from lb.admin.routes import ROUTES
from lb.admin.schemas import NEW_BACKEND
from lb.config import BackendTable, Scenario
from tests.admin.house import FILE, Held, plane, run
from tests.admin.test_metrics import filled


def test_the_snapshot_holds_everything() -> None:
    async def test() -> None:
        async with plane(filled(Held())) as lb:
            told = (await lb.ask("GET", "/v1/snapshot")).json
            assert [worker["pid"] for worker in told["workers"]] == [7, 8]
            assert told["latency"]["p50"] == pytest.approx(0.00390625, rel=0.01)
            assert told["latency"]["p99"] == pytest.approx(0.1875, rel=0.01)
            assert told["traffic"]["outcomes"] == {"ok": 2, "no_backend": 1}
            assert told["backends"][0]["open_connections"] == {"active": 1, "idle": 4}
            stats = (await lb.ask("GET", "/lb-stats")).json
            assert stats["algorithm"] == "round_robin"
            assert set(stats) <= set(told)
            assert (await lb.ask("GET", "/lb-health")).json["healthy_backends"] == 3

    run(test())


def test_health_is_503_when_nobody_is_usable() -> None:
    async def test() -> None:
        async with plane() as lb:
            for name in ("a", "127.0.0.1:3002", "c%2Fd%20e"):
                await lb.ask("PATCH", f"/v1/backends/{name}", {"state": "maint"})
            assert (await lb.ask("GET", "/lb-health")).status == 503

    run(test())


def test_the_config_is_a_file_with_what_was_changed_since() -> None:
    async def test() -> None:
        held = Held(FILE.replace("[health]", '[retries]\nmax = 2\n[health]\ninterval = "3s"'))
        async with plane(held) as lb:
            await lb.ask("PATCH", "/v1/backends/a", {"weight": 7})
            await lb.ask("PUT", "/v1/algorithm", {"name": "p2c", "choices": 3})
            await lb.ask("POST", "/v1/backends", {"address": "127.0.0.1:9", "zone": "z"})
            await lb.ask("DELETE", "/v1/backends/c%2Fd%20e")
            told = (await lb.ask("GET", "/v1/config")).json
            assert told["algorithm"] == {"name": "p2c", "choices": 3}
            assert (told["retries"]["max"], told["health"]["interval"]) == (2, "3s")
            rows = [(row["address"], row["weight"], row["zone"]) for row in told["backend"]]
            assert rows == [
                ("127.0.0.1:3001", 7, ""),
                ("127.0.0.1:3002", 2, ""),
                ("127.0.0.1:9", 1, "z"),
            ]

    run(test())


def test_the_description_lists_the_routes_and_nothing_else() -> None:
    async def test() -> None:
        async with plane() as lb:
            told = (await lb.ask("GET", "/v1/openapi.json")).json
            assert told["openapi"].startswith("3.1")
            listed = {
                (method.upper(), path)
                for path, item in told["paths"].items()
                for method in item
                if method != "parameters"
            }
            app = lb.client.app
            assert app is not None
            there = {
                (route.method, route.resource.canonical)
                for route in app.router.routes()
                if route.resource is not None
            }
            pages = {(method, path) for method, path in there if path.startswith("/pages/")}
            assert listed == there - pages - {("GET", "/"), ("HEAD", "/")} - {
                ("HEAD", path) for _, path in there
            }
            identifiers = [
                it["operationId"]
                for item in told["paths"].values()
                for name, it in item.items()
                if name != "parameters"
            ]
            assert len(set(identifiers)) == len(identifiers)
            for schema in schemas(told):
                Draft202012Validator.check_schema(schema)

    run(test())


def schemas(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [found for one in value for found in schemas(one)]
    if not isinstance(value, dict):
        return []
    own = [value["schema"]] if isinstance(value.get("schema"), dict) else []
    return own + [found for one in value.values() for found in schemas(one)]


def test_answers_are_as_described() -> None:
    sent = {
        "/v1/backends": {"address": "127.0.0.1:9"},
        "/v1/backends/{name}": {"weight": 2},
        "/v1/algorithm": {"name": "random"},
    }

    async def test() -> None:
        async with plane(filled(Held())) as lb:
            for route in ROUTES:
                if route.media != "application/json":
                    continue
                body = sent.get(route.path) if route.body else None
                if route.body:
                    Draft202012Validator(route.body).validate(body)
                answer = await lb.ask(route.method, route.path.replace("{name}", "a"), body)
                assert answer.status == route.status, answer.text
                Draft202012Validator(route.answer).validate(answer.json)

    run(test())


def test_a_backend_may_be_added_with_what_a_file_may_say() -> None:
    assert set(NEW) == set(NEW_BACKEND["properties"])
    assert set(NEW) <= set(BackendTable.model_fields)


def test_of_secrets_the_files_are_named_alone(tmp_path: Any) -> None:
    (tmp_path / "token").write_text("s3cret")
    (tmp_path / "lb.toml").write_text(
        f'[server]\nadmin_token_file = "{tmp_path}/token"\n'
        '[tracing]\notlp = "http://me:pa55@127.0.0.1:4318"\n[[backend]]\naddress = "127.0.0.1:3001"'
    )

    async def test() -> None:
        held = Held()
        held.scenario = Scenario.load(tmp_path / "lb.toml")
        async with plane(held) as lb:
            answer = await lb.ask("GET", "/v1/config")
            assert answer.json["server"]["admin_token_file"] == f"{tmp_path}/token"
            assert answer.json["tracing"]["otlp"] == "http://***@127.0.0.1:4318"
            assert "s3cret" not in answer.text
            assert "pa55" not in answer.text

    run(test())
