"""Names of backends: one address for probes and requests, remembered; nobody waits for a lookup.

The name server is a function that the test holds in its hand.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Sequence

import pytest

from lb.aside import is_address, system_lookup
from lb.proxy.names import APART, FRESH, KEPT, Name, Names, Unresolved
from tests.proxy.conftest import Run

Logged = list[tuple[str, dict[str, object]]]


class Server:
    """A name server: `answers` by name, an exception is raised, None is never answered."""

    def __init__(self, **answers: Sequence[str] | Exception | None) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers[host]
        if answer is None:
            self.go_on.wait()
            answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer or ()


class Clock:
    """A loop's time and threads, for one `Name`, turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.loop = asyncio.get_running_loop()

    def time(self) -> float:
        return self.now

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: object) -> None:
        self.loop.call_soon_threadsafe(callback, *arguments)


def name(server: Server, log: Logged | None = None) -> tuple[Name, Clock]:
    clock = Clock()
    lines: Logged = [] if log is None else log

    def note(_level: str, event: str, **fields: object) -> None:
        lines.append((event, fields))

    return Name("backend", clock, note, server), clock  # type: ignore[arg-type]


async def taken(address: str) -> str:
    return address


async def refused(address: str) -> str:
    raise ConnectionRefusedError(errno.ECONNREFUSED, f"connect to {address}")


async def never(address: str) -> str:
    await asyncio.Event().wait()
    return address


async def settled(server: Server, it: Name, times: int) -> None:
    """So many lookups have been made, and have been heard of."""
    while len(server.asked) < times or it._asking:
        await asyncio.sleep(0)


NOT_KNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_an_address_is_never_looked_up(run: Run) -> None:
    async def test() -> None:
        server = Server()
        for host in ("127.0.0.1", "::1", "2001:db8::1"):
            it = Name(host, asyncio.get_running_loop(), lambda *_, **__: None, server)
            assert await it.each(taken, 1.0) == host
            with pytest.raises(ConnectionRefusedError):
                await it.each(refused, 1.0)
            assert await it.each(taken, 1.0) == host
        assert not server.asked

    run(test())


def test_a_name_is_looked_up_once(run: Run) -> None:
    async def test() -> None:
        server = Server(backend=["10.0.0.1", "10.0.0.2"])
        it, clock = name(server)
        answers = await asyncio.gather(*(it.each(taken, 1.0) for _ in range(5)))
        assert answers == ["10.0.0.1"] * 5
        clock.now += FRESH - 0.1
        assert await it.each(taken, 1.0) == "10.0.0.1"
        assert server.asked == ["backend"]
        assert repr(it) == "<Name backend ('10.0.0.1', '10.0.0.2')>"

    run(test())


def test_a_refused_connection_goes_on_with_the_next_address_and_so_does_everybody(
    run: Run,
) -> None:
    async def test() -> None:
        it, _ = name(Server(backend=["10.0.0.1", "10.0.0.2", "10.0.0.3"]))
        tried = []

        async def first_is_down(address: str) -> str:
            tried.append(address)
            return await (refused if address == "10.0.0.1" else taken)(address)

        assert await it.each(first_is_down, 1.0) == "10.0.0.2"
        assert tried == ["10.0.0.1", "10.0.0.2"]
        assert await it.each(taken, 1.0) == "10.0.0.2"
        with pytest.raises(ConnectionRefusedError):
            await it.each(refused, 1.0)
        assert await it.each(taken, 1.0) == "10.0.0.2"

    run(test())


def test_a_silent_address_takes_the_time_there_is_and_the_next_attempt_another(run: Run) -> None:
    async def test() -> None:
        it, _ = name(Server(backend=["10.0.0.1", "10.0.0.2"]))
        with pytest.raises(TimeoutError):
            await it.each(never, 0.2)
        assert await it.each(taken, 1.0) == "10.0.0.2"

    run(test())


def test_no_address_is_to_blame_for_a_lack_of_descriptors(run: Run) -> None:
    async def test() -> None:
        it, _ = name(Server(backend=["10.0.0.1", "10.0.0.2"]))

        async def scarce(address: str) -> str:
            raise OSError(errno.EMFILE, "Too many open files")

        with pytest.raises(OSError, match="Too many"):
            await it.each(scarce, 1.0)
        assert await it.each(taken, 1.0) == "10.0.0.1"

    run(test())


def test_the_reason_that_is_told_is_the_other_sides_if_there_is_one(run: Run) -> None:
    """Where there is no IPv6, connecting to ::1 fails for a lack on this side."""

    async def test() -> None:
        it, _ = name(Server(backend=["::1", "127.0.0.1"]))

        async def no_ipv6(address: str) -> str:
            if ":" in address:
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            return await refused(address)

        with pytest.raises(ConnectionRefusedError):
            await it.each(no_ipv6, 1.0)

    run(test())


def test_what_is_old_is_refreshed_and_nobody_waits_for_it(run: Run) -> None:
    async def test() -> None:
        server = Server(backend=["10.0.0.1"])
        log: Logged = []
        it, clock = name(server, log)
        await it.each(taken, 1.0)
        clock.now += FRESH
        server.answers["backend"] = None
        assert [await it.each(taken, 1.0) for _ in range(3)] == ["10.0.0.1"] * 3
        assert len(server.asked) == 2
        server.answers["backend"] = ["10.0.0.2"]
        server.go_on.set()
        await settled(server, it, 2)
        assert await it.each(taken, 1.0) == "10.0.0.2"
        assert log == [("name resolved", {"name": "backend", "address": "10.0.0.2"})]

    run(test())


def test_a_refresh_in_another_order_changes_nothing(run: Run) -> None:
    async def test() -> None:
        server = Server(backend=["10.0.0.1", "10.0.0.2"])
        log: Logged = []
        it, clock = name(server, log)
        await it.each(taken, 1.0)
        server.answers["backend"] = ["10.0.0.2", "10.0.0.1"]
        clock.now += FRESH
        await it.each(taken, 1.0)
        await settled(server, it, 2)
        assert it.addresses == ("10.0.0.1", "10.0.0.2")
        assert log == []

    run(test())


def test_an_address_that_fails_makes_the_name_due_soon(run: Run) -> None:
    async def test() -> None:
        server = Server(backend=["10.0.0.1"])
        it, clock = name(server)
        await it.each(taken, 1.0)
        with pytest.raises(ConnectionRefusedError):
            await it.each(refused, 1.0)
        clock.now += APART - 0.1
        await it.each(taken, 1.0)
        assert len(server.asked) == 1
        clock.now += 0.1
        server.answers["backend"] = ["10.0.0.2"]
        await it.each(taken, 1.0)
        await settled(server, it, 2)
        assert await it.each(taken, 1.0) == "10.0.0.2"

    run(test())


@pytest.mark.parametrize("answer", [NOT_KNOWN, ()], ids=["error", "empty"])
def test_what_was_known_last_is_used_through_an_outage(
    run: Run, answer: Sequence[str] | Exception
) -> None:
    async def test() -> None:
        server = Server(backend=["10.0.0.1", "10.0.0.2"])
        log: Logged = []
        it, clock = name(server, log)
        await it.each(taken, 1.0)
        server.answers["backend"] = answer
        for times in (2, 3, 4):
            clock.now += FRESH
            assert await it.each(taken, 1.0) == "10.0.0.1"
            await settled(server, it, times)
        why = "name or service not known" if answer else "it has no address"
        assert log == [("lookup failed", {"name": "backend", "reason": why, "kept": "10.0.0.1"})], (
            "one line an outage"
        )
        server.answers["backend"] = ["10.0.0.1"]
        clock.now += FRESH
        await it.each(taken, 1.0)
        await settled(server, it, 5)
        assert log[1:] == [("name resolved", {"name": "backend", "address": "10.0.0.1"})]

    run(test())


def test_a_name_that_nobody_knows_is_not_asked_for_at_every_request(run: Run) -> None:
    async def test() -> None:
        server = Server(backend=NOT_KNOWN)
        it, clock = name(server)
        for _ in range(5):
            with pytest.raises(Unresolved, match="name or service not known"):
                await it.each(taken, 1.0)
        assert len(server.asked) == 1
        clock.now += APART
        server.answers["backend"] = ["10.0.0.1"]
        assert await it.each(taken, 1.0) == "10.0.0.1"

    run(test())


def test_a_silent_name_server_is_waited_for_as_long_as_an_attempt_may_take(run: Run) -> None:
    async def test() -> None:
        server = Server(backend=None)
        it, _ = name(server)
        for _ in range(3):
            with pytest.raises(Unresolved, match=r"no answer of a name server within 0\.01 s"):
                await it.each(taken, 0.01)
        assert len(server.asked) == 1, "one lookup at a time"
        server.answers["backend"] = ["10.0.0.1"]
        waiting = asyncio.ensure_future(it.each(taken, 5.0))
        server.go_on.set()
        assert await waiting == "10.0.0.1"

    run(test())


def test_an_answer_that_comes_after_the_end_is_for_nobody() -> None:
    server = Server(backend=None)

    async def test() -> None:
        it = Name("backend", asyncio.get_running_loop(), lambda *_, **__: None, server)
        with pytest.raises(Unresolved):
            await it.each(taken, 0.01)

    asyncio.run(test())
    (thread,) = [it for it in threading.enumerate() if it.name == "lookup of backend"]
    server.answers["backend"] = ["10.0.0.1"]
    server.go_on.set()
    thread.join(10.0)
    assert not thread.is_alive()


def test_a_process_without_threads_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr("lb.aside.Thread.start", start)
        it, _ = name(Server(backend=["10.0.0.1"]))
        with pytest.raises(Unresolved, match="can't start new thread"):
            await it.each(taken, 1.0)

    run(test())


def test_names_that_nobody_asks_for_are_forgotten(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        names = Names(lambda *_, **__: None)
        clock = Clock()
        monkeypatch.setattr(names, "_loop", clock)
        first, used = names.name("192.0.2.1"), names.name("192.0.2.2")
        clock.now = KEPT
        assert names.name("192.0.2.2") is used
        clock.now = KEPT + 1.0
        for number in range(100):
            names.name(f"198.51.100.{number}")
        assert names.name("192.0.2.2") is used
        assert names.name("192.0.2.1") is not first

    run(test())


def test_the_system_knows_this_machine() -> None:
    addresses = system_lookup("localhost")
    assert set(addresses) & {"127.0.0.1", "::1"}
    assert all(is_address(it) for it in addresses)
    assert len(set(addresses)) == len(addresses)
