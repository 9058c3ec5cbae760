"""Who may ask: tokens, origins, names; and what is told to those who ask for nothing there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.admin.access import Access, token_of
from lb.admin.serving import access_of
from lb.config import Scenario
from lb.errors import ConfigError
from tests.admin.house import plane, run

SECRET = "s3cret"


def test_control_by_get_is_405() -> None:
    async def test() -> None:
        async with plane() as lb:
            for path, allowed in (
                ("/v1/backends/a", "DELETE, PATCH"),
                ("/v1/backends", "POST"),
                ("/v1/algorithm", "PUT"),
                ("/v1/reload", "POST"),
                ("/v1/stop", "POST"),
            ):
                answer = await lb.ask("GET", path)
                assert (answer.status, answer.headers["Allow"]) == (405, allowed)
                assert answer.json["error"] == "method_not_allowed"
            answer = await lb.ask("POST", "/metrics", {})
            assert answer.status == 405
            assert not lb.held.done

    run(test())


def test_what_is_not_there_is_404_with_the_nearest() -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("GET", "/v1/snapshto")
            assert (answer.status, answer.json["error"]) == (404, "not_found")
            assert answer.json["hint"] == "did you mean '/v1/snapshot'?"
            answer = await lb.ask("GET", "/v1/snapshot/")
            assert answer.json["hint"] == "did you mean '/v1/snapshot'?"
            hint = (await lb.ask("GET", "/v1/")).json["hint"]
            assert hint.startswith("known: /v1/snapshot, /v1/forecast, ")
            assert hint.count("/v1/backends/{name}") == 1

    run(test())


def test_every_answer_keeps_to_itself() -> None:
    async def test() -> None:
        async with plane() as lb:
            for path in ("/", "/metrics", "/v1/snapshot", "/nothing", "/lb-health"):
                headers = (await lb.ask("GET", path)).headers
                assert headers["Server"] == "lb"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
                assert headers["Cache-Control"].startswith("no-")

    run(test())


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
    ],
)
def test_foreign_pages_may_not_ask(headers: dict[str, str]) -> None:
    async def test() -> None:
        async with plane() as lb:
            for method, path in (
                ("GET", "/events"),
                ("GET", "/v1/snapshot"),
                ("POST", "/v1/stop"),
                ("PATCH", "/v1/backends/a"),
            ):
                answer = await lb.ask(method, path, **headers)
                assert (answer.status, answer.json["error"]) == (403, "foreign_origin")
            assert not lb.held.done

    run(test())


def test_our_own_page_may_and_links_lead_to_it() -> None:
    async def test() -> None:
        async with plane() as lb:
            own = str(lb.client.make_url("/").origin())
            answer = await lb.ask("POST", "/v1/stop", Origin=own, Sec_Fetch_Site="same-origin")
            assert answer.status == 202
            link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
            assert (await lb.ask("GET", "/", **link)).status == 200
            assert (await lb.ask("POST", "/v1/stop", **link)).status == 403

    run(test())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8405", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:8405", 200),
        ("[::1]:8405", 200),
        ("lb.internal:8405", 200),
        ("evil.example:8405", 403),
        ("evil.example", 403),
        ("evil@localhost", 403),
        ("localhost/x", 403),
        ("192.0.2.1", 403),
        ("[::1", 403),
    ],
)
def test_on_loopback_only_names_of_this_place_lead_here(host: str, status: int) -> None:
    async def test() -> None:
        async with plane(access=Access(None, ["lb.internal"])) as lb:
            answer = await lb.ask("GET", "/v1/snapshot", Host=host)
            assert answer.status == status

    run(test())


def test_a_token_that_is_dropped_leaves_the_names(tmp_path: Path) -> None:
    """Whether there was one at the start or not."""
    (tmp_path / "token").write_text(SECRET)
    access = access_of(scenario(tmp_path, "127.0.0.1:1"))

    async def test() -> None:
        async with plane(access=access) as lb:
            foreign = {"Host": "evil.example"}
            bearing = {"Authorization": f"Bearer {SECRET}"}
            assert (await lb.ask("GET", "/v1/snapshot", **foreign, **bearing)).status == 200
            access.token = None
            answer = await lb.ask("GET", "/v1/snapshot", **foreign)
            assert (answer.status, answer.json["error"]) == (403, "foreign_host")
            assert (await lb.ask("GET", "/v1/snapshot")).status == 200

    run(test())


def test_a_token_is_asked_for_everything_but_the_page() -> None:
    async def test() -> None:
        async with plane(access=Access(SECRET)) as lb:
            for path in ("/v1/snapshot", "/metrics", "/events", "/lb-stats", "/nothing"):
                answer = await lb.ask("GET", path)
                assert (answer.status, answer.json["error"]) == (401, "unauthorized")
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            for wrong in ("Bearer wrong", "Bearer", "Basic s3cret", f"{SECRET}", "Bearer é"):
                answer = await lb.ask("POST", "/v1/stop", Authorization=wrong)
                assert answer.status == 401
                assert SECRET not in answer.text
            assert not lb.held.done
            for right in (f"Bearer {SECRET}", f"bearer  {SECRET}"):
                assert (await lb.ask("POST", "/v1/stop", Authorization=right)).status == 202

    run(test())


def test_the_page_comes_without_a_token_and_asks_for_it() -> None:
    async def test() -> None:
        async with plane(access=Access(SECRET)) as lb:
            answer = await lb.ask("GET", "/")
            assert answer.status == 401
            assert answer.headers["Content-Type"].startswith("text/html")
            assert "<html" in answer.text
            assert (await lb.ask("GET", "/pages/main.js")).status == 200
            assert (await lb.ask("GET", "/", Authorization=f"Bearer {SECRET}")).status == 200

    run(test())


FILE = """
[server]
admin = "{}"
admin_token_file = "token"
[[backend]]
address = "127.0.0.1:3001"
"""


def scenario(directory: Path, address: str = "0.0.0.0:8405") -> Scenario:
    file = directory / "lb.toml"
    file.write_text(FILE.format(address))
    return Scenario.load(file)


def test_the_token_stands_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"\n  {SECRET} \n")
    assert token_of(scenario(tmp_path)) == SECRET
    assert access_of(scenario(tmp_path, "127.0.0.1:1")).token == SECRET
    assert access_of(Scenario()).token is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"two words", "is no token"),
        (b"caf\xc3\xa9", "is no token"),
        (b"x" * 5000, "is no token"),
        (None, "is no file"),
    ],
)
def test_a_file_without_a_token_is_a_mistake_of_the_file(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError) as error:
        token_of(scenario(tmp_path))
    (problem,) = error.value.problems
    assert problem.startswith(f"{tmp_path}/lb.toml:4 server.admin_token_file: {tmp_path}/token: ")
    assert why in problem
