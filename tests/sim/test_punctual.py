"""The event loop of generators and modelled backends."""

from __future__ import annotations

import asyncio
import select
import selectors
import socket
import sys

import pytest

from sim.live import punctual

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")


def test_waits_are_asked_for_to_the_microsecond(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []
    really = select.select

    def noted(*arguments: object) -> object:
        asked.append(arguments[3])  # type: ignore[arg-type]
        return really(*arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(select, "select", noted)

    async def sleeps() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + 0.0123
        await asyncio.sleep(due - loop.time())
        assert loop.time() >= due

    punctual.run(sleeps())
    assert any(wait is not None and wait % 0.001 > 1e-6 for wait in asked)


def test_whatever_comes_ends_a_wait() -> None:
    one, other = socket.socketpair()
    with one, other, punctual.PunctualSelector() as selector:
        selector.register(one, selectors.EVENT_READ, "mine")
        assert selector.select(0.001) == []
        other.send(b"x")
        for timeout in (60.0, 0, None):
            ((key, events),) = selector.select(timeout)
            assert (key.data, events) == ("mine", selectors.EVENT_READ)


def test_it_gives_what_comes_of_it_and_what_breaks() -> None:
    async def breaks() -> None:
        raise ValueError("so")

    async def gives() -> int:
        await asyncio.sleep(0)
        return 3

    assert punctual.run(gives()) == 3
    with pytest.raises(ValueError, match="so"):
        punctual.run(breaks())
