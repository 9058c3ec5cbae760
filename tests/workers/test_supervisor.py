"""A crew of several with workers that are not there: who is awaited, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from lb.balancing import SetState, SetWeight, State
from lb.config import Scenario
from lb.errors import LbError
from lb.workers import supervisor
from lb.workers.beside import Beside
from lb.workers.messages import Begin, Said
from lb.workers.passing import Accepted
from lb.workers.supervisor import Supervisor
from lb.workers.watch import DRAINED

LIMIT = 20.0
TEXT = """
[server]
workers = 2
[health]
enabled = false
[[backend]]
address = "127.0.0.1:1"
name = "a"
[[backend]]
address = "127.0.0.1:2"
name = "b"
"""

Scene = Callable[["Place"], Awaitable[None]]


class FakeHand:
    """A worker that serves when `serving` says so, and ends when it is killed."""

    serving = True

    def __init__(
        self,
        number: int,
        heard: Callable[[Any, Any], None],
        returned: Callable[[Sequence[Accepted]], None],
    ) -> None:
        self.number, self.pid = number, 1000 + number
        self.heard = heard
        self.ready = asyncio.get_running_loop().create_future()
        self.begun = self.retiring = self.late = False
        self.in_time, self.report = True, None
        self.clients = self.on_their_way = self.silent = 0
        self.pings = 0
        self.gone = asyncio.Event()

    async def start(self, begin: Callable[[], Begin]) -> None:
        begin()
        self.begun = True
        if self.serving:
            self.ready.set_result(None)

    async def ended(self) -> str:
        await self.gone.wait()
        return "signal SIGKILL"

    def kill(self) -> None:
        self.gone.set()
        self.ready.cancel()

    def unserved(self) -> list[Accepted]:
        return []

    def ping(self) -> bool:
        self.pings += 1
        return False

    def send(self, message: object) -> None:
        """Nobody hears it."""

    async def ask(self, question: Callable[[int], object], seconds: float) -> None:
        """Nobody answers."""


class Place:
    """A supervisor of such workers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.crew = Supervisor(Scenario.parse(TEXT), self._log, Beside())

    def _log(self, level: str, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    @property
    def hands(self) -> list[FakeHand]:
        return [cast(FakeHand, self.crew._hands[number]) for number in sorted(self.crew._hands)]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [fields for it, fields in self.lines if it == event]

    async def until(self, true: Callable[[], object]) -> None:
        while not true():
            await asyncio.sleep(0.001)

    async def close(self) -> None:
        for hand in self.hands:
            hand.retiring = True
        stopping = asyncio.ensure_future(self.crew.stop(0.0))
        while not stopping.done():
            for hand in self.hands:
                hand.kill()
            await asyncio.sleep(0.001)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scene], None]:
    monkeypatch.setattr(supervisor, "Hand", FakeHand)
    monkeypatch.setattr(FakeHand, "serving", True)

    def play(scene: Scene) -> None:
        async def played() -> None:
            async with asyncio.timeout(LIMIT):
                place = Place()
                try:
                    await scene(place)
                finally:
                    await place.close()

        asyncio.run(played())

    return play


def test_workers_that_never_serve_are_an_error_when_it_starts(
    monkeypatch: pytest.MonkeyPatch, play: Callable[[Scene], None]
) -> None:
    monkeypatch.setattr(supervisor, "READY_WITHIN", 0.01)
    monkeypatch.setattr(FakeHand, "serving", False)

    async def scene(place: Place) -> None:
        with pytest.raises(LbError, match=r"worker 100\d did not serve within 0.01 s"):
            await place.crew.start([])
        assert place.told("worker ended: it does not serve")

    play(scene)


def test_one_that_never_serves_is_asked_whether_it_hangs_and_replaced(
    monkeypatch: pytest.MonkeyPatch, play: Callable[[Scene], None]
) -> None:
    async def scene(place: Place) -> None:
        await place.crew.start([])
        monkeypatch.setattr(supervisor, "READY_WITHIN", 0.3)
        monkeypatch.setattr(FakeHand, "serving", False)
        first = place.hands[0]
        first.kill()
        await place.until(lambda: place.hands and place.hands[0] not in (first, place.hands[-1]))
        silent = place.hands[0]
        place.crew._tick()
        assert (silent.pings, silent.gone.is_set()) == (1, False), "it is starting"
        monkeypatch.setattr(FakeHand, "serving", True)
        await place.until(lambda: place.told("worker ended: it does not serve"))
        await place.until(lambda: len(place.hands) == 2 and place.hands[0].ready.done())
        assert silent.gone.is_set()

    play(scene)


def test_a_backend_is_drained_when_all_have_said_so_whatever_else_is_changed(
    play: Callable[[Scene], None],
) -> None:
    async def scene(place: Place) -> None:
        await place.crew.start([])
        one, other = place.hands
        await place.crew.perform(SetState("a", State.DRAIN))
        one.heard(one, Said("info", DRAINED, {"backend": "a"}))
        await place.crew.perform(SetWeight("b", 2.0))
        assert not place.told(DRAINED)
        other.heard(other, Said("info", DRAINED, {"backend": "a"}))
        assert place.told(DRAINED) == [{"backend": "a"}]
        one.heard(one, Said("info", DRAINED, {"backend": "a"}))
        other.heard(other, Said("info", DRAINED, {"backend": "a"}))
        assert len(place.told(DRAINED)) == 1, "once"

    play(scene)


def test_a_backend_is_drained_when_the_last_worker_that_has_requests_there_ends(
    play: Callable[[Scene], None],
) -> None:
    async def scene(place: Place) -> None:
        await place.crew.start([])
        one, other = place.hands
        await place.crew.perform(SetState("a", State.DRAIN))
        await place.crew.perform(SetState("b", State.DRAIN))
        await place.crew.perform(SetState("b", State.UP))
        for backend in "ab":
            one.heard(one, Said("info", DRAINED, {"backend": backend}))
        other.kill()
        await place.until(lambda: place.told(DRAINED))
        assert place.told(DRAINED) == [{"backend": "a"}], "the other is back"

    play(scene)
