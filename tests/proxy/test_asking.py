"""Probes are started a few at a time; what they bring is handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lb.balancing import Backend, HealthPolicy, LoadReport, Probe, ProbeKind, ProbeResult, Settings
from lb.proxy.health.asking import AT_ONCE, SLICE, Asking
from tests.proxy.conftest import Run


class Prober:
    """Counts the probes that have begun, and lets them go on when the test says so."""

    def __init__(self) -> None:
        self.begun: list[Backend] = []
        self.ended = asyncio.Event()
        self.report: LoadReport | None = None

    async def probe(self, backend: Backend) -> ProbeResult:
        self.begun.append(backend)
        await self.ended.wait()
        return ProbeResult(ok=True)

    async def load(self, backend: Backend) -> LoadReport | None:
        self.begun.append(backend)
        return self.report


BACKENDS = [Backend(Settings(f"h:{port}"), port, HealthPolicy()) for port in range(1000)]


def asking_of(
    prober: Prober, heard: Callable[..., object], now: Callable[[], float] = lambda: 0.0
) -> Asking:
    return Asking(asyncio.get_running_loop(), prober, heard, now)  # type: ignore[arg-type]


def test_a_thousand_that_fall_due_together_begin_a_few_in_each_turn_of_the_loop(run: Run) -> None:
    async def test() -> None:
        prober, heard = Prober(), dict[Backend, object]()
        asking = asking_of(prober, heard.__setitem__)
        for backend in BACKENDS:
            asking.ask(Probe(backend))
        turns = before = 0
        while len(prober.begun) < len(BACKENDS):
            await asyncio.sleep(0)
            assert len(prober.begun) - before <= AT_ONCE
            before = len(prober.begun)
            turns += 1
            assert turns <= len(BACKENDS)
        assert prober.begun == BACKENDS
        assert not heard
        prober.ended.set()
        while len(heard) < len(BACKENDS):
            await asyncio.sleep(0)
        assert set(heard.values()) == {ProbeResult(ok=True)}
        await asking.close()

    run(test())


def test_a_load_report_is_handed_on_and_none_is_not(run: Run) -> None:
    async def test() -> None:
        prober, heard = Prober(), list[tuple[Backend, object]]()
        asking = asking_of(prober, lambda *it: heard.append(it))
        asking.ask(Probe(BACKENDS[0], ProbeKind.LOAD))
        while not prober.begun:
            await asyncio.sleep(0)
        assert heard == []
        prober.report = LoadReport(3, 0.5)
        asking.ask(Probe(BACKENDS[1], ProbeKind.LOAD))
        while not heard:
            await asyncio.sleep(0)
        assert heard == [(BACKENDS[1], LoadReport(3, 0.5))]
        await asking.close()

    run(test())


def test_after_the_end_nobody_is_asked_and_nothing_is_heard(run: Run) -> None:
    async def test() -> None:
        prober, heard = Prober(), dict[Backend, object]()
        asking = asking_of(prober, heard.__setitem__)
        for backend in BACKENDS[: 2 * AT_ONCE]:
            asking.ask(Probe(backend))
        while not prober.begun:
            await asyncio.sleep(0)
        await asking.close()
        begun = len(prober.begun)
        prober.ended.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(prober.begun) == begun < 2 * AT_ONCE + 1
        assert not heard

    run(test())


def test_a_turn_hands_on_what_has_come_until_its_time_is_over(run: Run) -> None:
    """Each piece of news takes a third of it, so three of them fit into a turn."""

    async def test() -> None:
        prober, clock = Prober(), 0.0
        heard: list[Backend] = []

        def hear(backend: Backend, _: object) -> None:
            nonlocal clock
            clock += SLICE / 3 + 1e-9
            heard.append(backend)

        asking = asking_of(prober, hear, lambda: clock)
        for backend in BACKENDS[:50]:
            asking.ask(Probe(backend))
        while len(prober.begun) < 50:
            await asyncio.sleep(0)
        prober.ended.set()
        before = 0
        for _ in range(50):
            await asyncio.sleep(0)
            assert len(heard) - before <= 3
            before = len(heard)
        assert heard == BACKENDS[:50]
        await asking.close()

    run(test())
