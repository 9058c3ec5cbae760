"""`lb ctl` against a control plane."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lb.admin.access import Access
from lb.admin.app import application
from lb.balancing import State
from tests.admin.house import Held, Plane, plane, run
from tests.cli.conftest import lb

Done = subprocess.CompletedProcess[str]


async def ctl(here: Plane, *words: object, **variables: str) -> Done:
    return await asyncio.to_thread(
        lb, "ctl", *words, LB_ADMIN=f"127.0.0.1:{here.client.port}", **variables
    )


def told(done: Done) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_status_shows_every_backend() -> None:
    async def test() -> None:
        async with plane() as here:
            shown = told(await ctl(here, "status")).splitlines()
            assert shown[0] == "round_robin, 3 of 3 backends usable, 2 workers, 0 requests"
            assert [line.split()[:3] for line in shown[4:7]] == [
                ["a", "up", "1"],
                ["127.0.0.1:3002", "up", "2"],
                ["c/d", "e", "up"],
            ]
            assert max(map(len, shown)) <= 80
            document = json.loads(told(await ctl(here, "status", "--json")))
            assert document["schema"] == 1
            assert [it["pid"] for it in document["workers"]] == [7, 8]

    run(test())


def test_picks_say_why_they_fell_as_they_did() -> None:
    async def test() -> None:
        async with plane() as here:
            shown = told(await ctl(here, "picks", "-n", "1")).splitlines()
            assert shown[0].endswith("s ago, key session-of-2: c/d e")
            assert shown[1:] == ["  the next in the order of the file"]
            document = json.loads(told(await ctl(here, "picks", "--json")))
            assert [it["backend"] for it in document["picks"]] == ["c/d e", "127.0.0.1:3002", "a"]
            here.held.picked = 0
            assert told(await ctl(here, "picks")).startswith("none yet")

    run(test())


def test_backends_are_changed() -> None:
    async def test() -> None:
        async with plane() as here:
            done = await ctl(here, "drain", "a")
            assert told(done) == "a: drain, weight 1, 0 in flight\n"
            assert here.row("a").state is State.DRAIN
            told(await ctl(here, "maint", "127.0.0.1:3002"))
            assert here.row("127.0.0.1:3002").state is State.MAINT
            assert json.loads(told(await ctl(here, "--json", "up", "a")))["state"] == "up"
            told(await ctl(here, "weight", "c/d e", "2.5"))
            assert here.row("c/d e").configured_weight == 2.5
            added = "127.0.0.1:4000*3", "--name", "n", "--max-in-flight", "7", "--zone", "z"
            assert told(await ctl(here, "add", *added)).startswith("n: up, weight 3,")
            assert (here.row("n").limit, here.row("n").zone) == (7, "z")
            assert told(await ctl(here, "remove", "[::1]:3003")).startswith("c/d e: removed")
            assert here.row("c/d e") is None

    run(test())


def test_algorithm_reload_and_stop() -> None:
    async def test() -> None:
        held = Held()
        async with plane(held) as here:
            shown = told(await ctl(here, "algorithm", "p2c:choices=3"))
            assert shown == "algorithm: p2c:choices=3\n"
            assert held.balancer.algorithm == "p2c"
            held.kept = ["server.listen: needs a restart"]
            shown = told(await ctl(here, "reload"))
            assert shown.splitlines() == [
                "reloaded",
                "not changed while it runs: server.listen: needs a restart",
            ]
            held.problems = ["lb.toml:3 retries.max: wrong", "lb.toml:9 key: wrong too"]
            done = await ctl(here, "reload")
            assert (done.returncode, done.stderr.splitlines()) == (3, held.problems)
            assert told(await ctl(here, "stop")) == "stopping\n"
            assert held.done[-1][0] == "stop"

    run(test())


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("drain", "127.0.0.1:3003"), 1, "no backend is named '127.0.0.1:3003'; did you mean"),
        (("weight", "a", "-1"), 2, "weight '-1' is not a number above zero"),
        (("weight", "a", "nan"), 2, "weight 'nan' is not"),
        (("algorithm", "p2"), 2, "did you mean 'p2c'?"),
        (("algorithm", "p2c:choices=x"), 2, "a whole number"),
        (("add", "127.0.0.1"), 2, "is not host:port"),
        (("add", "127.0.0.1:3001"), 1, "is there already"),
        (("add", "127.0.0.1:1*x"), 2, "weight 'x'"),
        (("stat",), 2, "Did you mean 'status'?"),
        (("drain",), 2, "Missing argument"),
    ],
)
def test_what_is_wrong_is_one_line(words: tuple[str, ...], status: int, said: str) -> None:
    async def test() -> None:
        async with plane() as here:
            done = await ctl(here, *words)
            assert done.returncode == status
            assert said in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert '{"' not in done.stderr
            assert not here.held.done

    run(test())


def test_a_token_is_taken_from_where_it_stands(tmp_path: Path) -> None:
    async def test() -> None:
        async with plane(access=Access("s3cret")) as here:
            done = await ctl(here, "status")
            assert done.returncode == 1
            assert "admin_token_file" in done.stderr
            (tmp_path / "token").write_text("s3cret\n")
            file = tmp_path / "lb.toml"
            file.write_text(
                f'[server]\nadmin = "127.0.0.1:{here.client.port}"\nadmin_token_file = "token"\n'
            )
            for before in (("--config", file), ("-c", file), (f"--config={file}",)):
                told(await asyncio.to_thread(lb, "ctl", *before, "status"))
                told(await asyncio.to_thread(lb, "ctl", "status", *before, LB_ADMIN="x:1"))
            told(await ctl(here, "status", "--token-file", tmp_path / "token"))
            told(await ctl(here, "status", LB_ADMIN_TOKEN="s3cret"))
            told(await ctl(here, "status", LB_ADMIN_TOKEN_FILE=str(tmp_path / "token")))
            done = await ctl(here, "status", LB_ADMIN_TOKEN="other")
            assert (done.returncode, "wrong token" in done.stderr) == (1, True)

    run(test())


def test_over_a_unix_socket(tmp_path: Path) -> None:
    async def test() -> None:
        held = Held()
        runner = web.AppRunner(application(held))
        await runner.setup()
        await web.UnixSite(runner, str(tmp_path / "s")).start()
        done = await asyncio.to_thread(lb, "ctl", "drain", "a", "--admin", f"unix:{tmp_path}/s")
        told(done)
        assert str(held.done[0][1]).startswith("unix pid=")
        await runner.cleanup()

    run(test())


def written(directory: Path, text: str | None) -> Path:
    file = directory / "lb.toml"
    if text is not None:
        file.write_text(text)
    return file


Arguments = Callable[[Path], list[Any]]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (lambda _: ["--admin", "127.0.0.1:1"], 1, "cannot reach 127.0.0.1:1: connection refused"),
        (lambda path: ["--admin", f"unix:{path}/none"], 1, "no such file"),
        (lambda _: ["--admin", "nonsense"], 2, "is not host:port"),
        (lambda _: ["--admin", "127.0.0.1:99999"], 2, "is not host:port"),
        (lambda path: ["-c", path / "none"], 3, "cannot be read"),
        (lambda path: ["-c", written(path, "[server]")], 3, "server.admin: missing"),
        (lambda path: ["-c", written(path, "[server")], 3, "not TOML"),
        (lambda path: ["--token-file", path / "none"], 1, "cannot be read"),
        (lambda path: ["--token-file", written(path, "")], 1, "holds no token"),
    ],
)
def test_who_cannot_be_reached(
    tmp_path: Path, arguments: Arguments, status: int, said: str
) -> None:
    done = lb("ctl", "status", *arguments(tmp_path))
    assert done.returncode == status
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_somebody_else_is_told_apart() -> None:
    async def test() -> None:
        async def page(_request: web.Request) -> web.Response:
            return web.Response(text="<html>")

        app = web.Application()
        app.router.add_get("/v1/snapshot", page)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        done = await asyncio.to_thread(lb, "ctl", "status", "--admin", f"127.0.0.1:{port}")
        assert (done.returncode, "no control plane" in done.stderr) == (1, True)
        await runner.cleanup()

    run(test())


def test_alone_it_tells_what_there_is() -> None:
    assert "algorithm" in told(lb("ctl"))
