"""A live proxy that is recorded: replayed, it picks the same; a file that fails, fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lb.errors import CannotRecord
from lb.proxy import lifecycle
from lb.proxy.logs.recorder import Recorder, emptied
from lb.recording.comparison import Replayed
from lb.recording.format import MAGIC
from lb.recording.replay import replay
from lb.recording.wanted import Recording
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    NO_HEALTH,
    Origin,
    Proxy,
    Wire,
    answering,
    echo,
    get,
    ok,
    origin,
    resets,
    scenario,
    silent,
)

DATA = Path(__file__).parents[1] / "recording" / "data"
CHECKED = '[health]\ninterval = "100ms"\nfast_interval = "60ms"\n'


@asynccontextmanager
async def recorded(
    path: Path, *backends: Origin, toml: str = NO_HEALTH, **settings: Any
) -> AsyncIterator[Proxy]:
    log: list[tuple[str, str, dict[str, object]]] = []

    def note(level: str, event: str, **fields: object) -> None:
        log.append((level, event, fields))

    seed = settings.pop("seed", None)
    recorder = Recorder(Recording(path, **settings), note, seed=seed)
    driver = lifecycle.Proxy(
        scenario(*backends, toml=toml, b="max_in_flight = 3"), note, recorder=recorder
    )
    it = Proxy(driver, log)
    try:
        await driver.start()
        yield it
    finally:
        driver.hurry()
        driver.clients.cut_off()
        await driver.stop()


async def visit(lb: Proxy, times: int) -> list[int]:
    """The statuses that one client sees."""
    async with lb.client() as client:
        statuses = []
        for number in range(times):
            client.send(get(f"/{number}"))
            statuses.append((await client.response()).status)
        return statuses


def again(path: Path, algorithm: str | None = None) -> Replayed:
    return replay(path.read_bytes(), algorithm, random=Random)


def ended(lb: Proxy) -> list[tuple[str, str, dict[str, object]]]:
    return [entry for entry in lb.log if entry[1] == "recording ends"]


def test_hedges_and_answers_tried_elsewhere_are_replayed_bit_for_bit(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "log"

    async def test() -> None:
        toml = NO_HEALTH + '[hedging]\nafter = "10ms"\n[retries]\non = [503]\n'
        failing = answering(ok(status=b"503 No"))
        async with (
            origin(silent) as a,
            origin(echo) as b,
            origin(failing) as c,
            recorded(path, a, b, c, toml=toml) as lb,
        ):
            assert await visit(lb, 12) == [200] * 12
            told = lb.driver.balancer.snapshot(0.0)
            assert told.hedged
            assert told.retried

    run(test())
    replayed = again(path)
    assert replayed.identical
    assert replayed.events["answered"] == 12
    assert replayed.events["declined"] > 0
    assert again(path, "least_connections").complete


@pytest.mark.parametrize("algorithm", ["round_robin", "p2c", "peak_ewma", "ip_hash"])
def test_what_happened_live_is_replayed_bit_for_bit(
    run: Run, tmp_path: Path, algorithm: str
) -> None:
    """Several clients at once; a backend breaks in the middle, is found down, and comes back."""
    path = tmp_path / "recording"

    async def test() -> None:
        async with (
            origin(echo) as a,
            origin(echo) as b,
            origin(echo) as c,
            recorded(path, a, b, c, toml=f'algorithm = "{algorithm}"\n{CHECKED}') as lb,
        ):
            await asyncio.gather(*(visit(lb, 10) for _ in range(8)))
            backend = lb.backends[1]
            b.script = resets
            for wire in b.wires:
                wire.writer.transport.abort()
            while backend.healthy:
                statuses = await asyncio.gather(*(visit(lb, 5) for _ in range(8)))
                assert {status for row in statuses for status in row} <= {200, 502}
            b.script = echo
            while not backend.healthy:
                await visit(lb, 5)
            await visit(lb, 5)
        replayed = again(path)
        assert replayed.complete
        assert replayed.identical
        assert replayed.end == path.stat().st_size
        assert replayed.events["admit"] == lb.driver.balancer.admitted
        assert len(replayed.recorded) == len(lb.leases)
        if algorithm != "ip_hash":
            assert max(replayed.attempts) == 1, "something was tried again"
        for live, twin in zip(lb.backends, replayed.balancer.pool.backends, strict=True):
            for name in ("picked", "succeeded", "failed", "active", "response_time", "checked_at"):
                assert getattr(live, name) == getattr(twin, name)

    run(test())


def test_clients_that_leave(run: Run, tmp_path: Path) -> None:
    async def never(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        await asyncio.Event().wait()

    async def test() -> None:
        path = tmp_path / "recording"
        async with origin(never) as a, recorded(path, a) as lb:
            async with lb.client() as client:
                client.send(get())
                await a.arrived.get()
                client.reset()
            await lb.ended.get()
        replayed = again(path)
        assert replayed.identical
        assert dict(replayed.events) == {"admit": 1, "done": 1}
        assert replayed.balancer.pool.backends[0].active == 0

    run(test())


def test_keys_are_recorded_for_algorithms_that_need_none(run: Run, tmp_path: Path) -> None:
    """Else no hash could be tried on the recording."""

    async def test() -> None:
        path = tmp_path / "recording"
        toml = f'algorithm = "round_robin"\nkey = "path"\n{NO_HEALTH}'
        async with origin(echo) as a, origin(echo) as b, recorded(path, a, b, toml=toml) as lb:
            await visit(lb, 40)
        assert len(set(again(path, "maglev").replayed)) == 2

    run(test())


def test_what_has_been_written_can_be_replayed_at_any_time(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "recording"
        async with origin(echo) as a, recorded(path, a) as lb:
            await visit(lb, 5)
            while not path.stat().st_size:
                await asyncio.sleep(0)
            while (replayed := again(path)).events.total() < 10:
                await asyncio.sleep(0)
            assert replayed.identical
            assert not replayed.complete

    run(test())


def test_a_recording_ends_at_its_limit_and_the_service_does_not(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "recording"
        async with origin(echo) as a, recorded(path, a, size=1000) as lb:
            while not ended(lb):
                assert await visit(lb, 10) == [200] * 10
            assert await visit(lb, 20) == [200] * 20
        ((level, _, fields),) = ended(lb)
        assert level == "warning"
        assert fields == {"file": str(path), "reason": "the limit of 1000 bytes is reached"}
        assert again(path).identical
        assert again(path).complete
        assert again(path).events["admit"] < lb.driver.balancer.admitted

    run(test())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_ends_the_recording_and_not_the_service(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, recorded(Path("/dev/full"), a) as lb:
            assert await visit(lb, 3) == [200] * 3
        ((level, _, fields),) = ended(lb)
        assert level == "error"
        assert fields == {"file": "/dev/full", "reason": "no space left on device"}

    run(test())


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(CannotRecord, match=r"nowhere/file: no such file or directory"):
        Recorder(Recording(tmp_path / "nowhere" / "file"), lambda *_, **__: None)


def test_a_file_that_another_records_into_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.lbrec"
    first = Recorder(Recording(path), lambda *_, **__: None)
    try:
        path.write_bytes(b"of the first")
        with pytest.raises(CannotRecord, match="another process does"):
            Recorder(Recording(path), lambda *_, **__: None)
        assert path.read_bytes() == b"of the first"
    finally:
        first.close()


def test_only_a_recording_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text("[server]\n")
    with pytest.raises(CannotRecord, match="it holds something else, which would be lost"):
        Recorder(Recording(path), lambda *_, **__: None)
    with pytest.raises(CannotRecord, match="it holds something else"):
        emptied(path)
    assert path.read_text() == "[server]\n"
    for former in (b"", MAGIC[:3], MAGIC + b"whatever"):
        path.write_bytes(former)
        emptied(path)
        assert path.read_bytes() == b""


def test_a_recording_stays_until_something_is_served(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "today.rec"
    part = tmp_path / "today.part1.rec"

    async def test() -> None:
        async with origin(echo) as a:
            async with recorded(path, a) as lb:
                assert await visit(lb, 1) == [200]
            before = path.read_bytes()
            part.write_bytes(before)
            never = lifecycle.Proxy(
                scenario(a, toml=NO_HEALTH),
                lambda *_, **__: None,
                recorder=Recorder(Recording(path), lambda *_, **__: None),
            )
            await never.stop()
            assert path.read_bytes() == part.read_bytes() == before
            async with recorded(path, a):
                pass
            assert path.read_bytes() != before
            assert not part.exists()

    run(test())


def test_every_recording_draws_a_seed_of_its_own(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        seeds = set()
        for name in ("one", "two"):
            async with origin(echo) as a, recorded(tmp_path / name, a):
                pass
            seeds.add(again(tmp_path / name).header.seed)
        assert len(seeds) == 2
        async with origin(echo) as a, recorded(tmp_path / "three", a, seed=5):
            pass
        assert again(tmp_path / "three").header.seed == 5

    run(test())
