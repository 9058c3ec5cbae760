"""Where a proxy listens: several places, both versions of IP, and Unix sockets with their files."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lb.balancing.health import Health
from lb.errors import CannotListen
from lb.proxy.listening import bind, place_of
from tests.proxy.conftest import Run
from tests.proxy.doubles import echo, get, origin, proxy
from tests.proxy.wires import Wire

ANYWHERE = "127.0.0.1:0"


@asynccontextmanager
async def at(place: str) -> AsyncIterator[Wire]:
    """A client of what listens at `place`."""
    if place.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(place.removeprefix("unix:"))
    else:
        host, _, port = place.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def status(place: str) -> int:
    async with at(place) as client:
        client.send(get())
        return (await client.response()).status


def test_a_proxy_listens_in_several_places_at_once(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "lb.sock"
        toml = (
            f'[server]\nlisten = ["{ANYWHERE}", "[::1]:0"]\n'
            f'[[listener]]\naddress = "unix:{path}"\nmode = "0600"\n'
        )
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            first, second, third = lb.driver.addresses
            assert first.startswith("127.0.0.1:")
            assert second.startswith("[::1]:")
            assert third == f"unix:{path}"
            assert path.stat().st_mode & 0o777 == 0o600
            for place in (first, second, third):
                assert await status(place) == 200
            clients = [message["X-Forwarded-For"] for message in a.requests]
            assert clients == ["127.0.0.1", "::1", "unknown"]
        assert not path.exists(), "nothing is left of it"

    run(test())


def test_a_file_that_a_dead_process_has_left_is_replaced(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "lb.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        toml = f'[server]\nlisten = "unix:{path}"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            assert await status(lb.driver.addresses[0]) == 200

    run(test())


@pytest.mark.parametrize("kind", ["in use", "a file", "no directory"])
def test_a_path_that_cannot_be_listened_on_is_told(run: Run, tmp_path: Path, kind: str) -> None:
    async def test() -> None:
        path = tmp_path / ("none/lb.sock" if kind == "no directory" else "lb.sock")
        taken = bind([f"unix:{path}"], 0) if kind == "in use" else []
        if kind == "a file":
            path.write_text("precious")
        toml = f'[server]\nlisten = "unix:{path}"\n'
        why = "no such file" if kind == "no directory" else "address already in use"
        with pytest.raises(CannotListen, match=f"cannot listen on unix:{path}: {why}"):
            async with proxy("127.0.0.1:1", toml=toml):
                raise AssertionError("it listens")
        for bound in taken:
            bound.close()
            path.unlink()
        assert kind != "a file" or path.read_text() == "precious"

    run(test())


def test_where_one_place_cannot_be_had_none_is_kept(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        (taken,) = bind(["127.0.0.1"], 0)
        path = tmp_path / "lb.sock"
        toml = f'[server]\nlisten = ["unix:{path}", "{place_of(taken)}"]\n'
        with pytest.raises(CannotListen, match="already in use"):
            async with proxy("127.0.0.1:1", toml=toml):
                raise AssertionError("it listens")
        assert not path.exists()
        taken.close()

    run(test())


def test_where_a_version_of_ip_is_missing_the_other_is_listened_on() -> None:
    (bound,) = bind(["192.0.2.1", "127.0.0.1"], 0)  # the first is nobody's here
    assert place_of(bound).startswith("127.0.0.1:")
    bound.close()
    with pytest.raises(OSError, match="assign"):
        bind(["192.0.2.1"], 0)


def test_who_was_accepted_elsewhere_is_welcome(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            theirs, ours = socket.socketpair()
            ours.setblocking(False)
            lb.driver.welcome(lb.driver.listeners[0], ours)
            reader, writer = await asyncio.open_unix_connection(sock=theirs)
            client = Wire(reader, writer)
            client.send(get())
            assert (await client.response()).status == 200
            client.close()

    run(test())


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_backend_at_a_unix_socket_is_checked_and_used(
    run: Run, tmp_path: Path, kind: str
) -> None:
    async def test() -> None:
        path = tmp_path / "app.sock"
        health = f'[health]\nkind = "{kind}"\n'
        async with origin(echo, path) as a, proxy(a, health=health) as lb:
            assert lb.backends[0].health.state is Health.UP
            answer = await lb.get("/x")
            assert (answer.status, answer["X-Backend-Server"]) == (200, f"unix:{path}")
        *checks, request = a.requests
        assert request.target == "/x"
        assert [check["Host"] for check in checks] == (["localhost"] if kind == "http" else [])

    run(test())
