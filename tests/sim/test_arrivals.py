"""Arrivals, keys, and the schedule that both sides of a comparison share."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lb import wire
from lb.config import Paced, Poisson, Zipf
from lb.errors import ConfigError
from sim.model.arrivals import Schedule, network_delays, streams
from sim.model.keys import zipf_keys
from sim.model.processes import arrival_times
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

SIGNIFICANCE = 0.001
KEYS = 'keys = { law = "zipf", count = 50, s = 1.1 }'


def same(one: Schedule, other: Schedule) -> bool:
    keys = (one.keys is None and other.keys is None) or np.array_equal(one.keys, other.keys)
    return bool(
        keys
        and one.shapes == other.shapes
        and np.array_equal(one.times, other.times)
        and np.array_equal(one.sizes, other.sizes)
    )


# --- processes


def test_paced_arrivals_are_evenly_spaced() -> None:
    times = arrival_times(Paced(process="deterministic", rate=4), np.random.default_rng(1), 5)
    np.testing.assert_allclose(times, [0.25, 0.5, 0.75, 1.0, 1.25])


def test_gaps_between_poisson_arrivals_are_exponential() -> None:
    times = arrival_times(Poisson(process="poisson", rate=4), np.random.default_rng(1), 50_000)
    gaps = np.diff(times, prepend=0.0)
    assert gaps.min() >= 0
    assert stats.kstest(gaps, stats.expon(scale=1 / 4).cdf).pvalue > SIGNIFICANCE


@pytest.mark.parametrize(("count", "s"), [(2, 1.0), (5, 0.0), (10, 1.1), (4, 2.5)])
def test_keys_follow_zipf(count: int, s: float) -> None:
    n = 100_000
    keys = zipf_keys(Zipf(law="zipf", count=count, s=s), np.random.default_rng(2), n)
    weights = np.arange(1, count + 1, dtype=float) ** -s
    counts = Counter(keys.tolist())
    assert set(counts) <= set(range(count))
    seen = [counts[key] for key in range(count)]
    assert stats.chisquare(seen, n * weights / weights.sum()).pvalue > SIGNIFICANCE


# --- schedules


def test_a_schedule_is_a_function_of_seed_and_replication() -> None:
    file = scenario(serves(EXPONENTIAL), traffic=KEYS)
    assert same(Schedule.draw(file, 0), Schedule.draw(file, 0))
    first, second = Schedule.draw(file, 0), Schedule.draw(file, 1)
    assert not np.array_equal(first.times, second.times)
    assert not np.array_equal(first.sizes, second.sizes)
    assert not np.array_equal(first.keys, second.keys)


def test_backends_of_one_shape_share_their_sizes() -> None:
    fast = '{ law = "exponential", mean = "20ms" }'
    drawn = Schedule.draw(scenario(serves(EXPONENTIAL), serves(fast)))
    assert (drawn.shapes, drawn.sizes.shape) == (("exponential",), (1, 1000))


def test_another_backend_changes_nobody_elses_requests() -> None:
    alone = Schedule.draw(scenario(serves(EXPONENTIAL), traffic=KEYS))
    more = Schedule.draw(scenario(serves(CONSTANT), serves(EXPONENTIAL), traffic=KEYS))
    assert more.shapes == ("deterministic", "exponential")
    np.testing.assert_array_equal(more.sizes[1], alone.sizes[0])
    np.testing.assert_array_equal(more.times, alone.times)
    np.testing.assert_array_equal(more.keys, alone.keys)


def test_keys_change_neither_times_nor_sizes() -> None:
    without = Schedule.draw(scenario(serves(EXPONENTIAL)))
    with_keys = Schedule.draw(scenario(serves(EXPONENTIAL), traffic=KEYS))
    assert without.keys is None
    np.testing.assert_array_equal(without.times, with_keys.times)
    np.testing.assert_array_equal(without.sizes, with_keys.sizes)


@pytest.mark.parametrize("process", ["poisson", "deterministic"])
def test_a_duration_bounds_the_times(process: str) -> None:
    run = 'duration = "60s"\nreplications = 1'
    drawn = Schedule.draw(scenario(serves(EXPONENTIAL), rate=50, process=process, run=run))
    assert drawn.times[-1] < 60
    assert abs(len(drawn) - 3000) < 5 * math.sqrt(3000)
    assert drawn.sizes.shape == (1, len(drawn))


def test_a_duration_too_short_for_any_request_is_an_empty_schedule() -> None:
    run = 'duration = "1ms"\nreplications = 1'
    file = scenario(serves(EXPONENTIAL), rate=1, process="deterministic", run=run)
    assert len(Schedule.draw(file)) == 0


def test_the_first_requests_of_a_schedule() -> None:
    drawn = Schedule.draw(scenario(serves(EXPONENTIAL), traffic=KEYS))
    head = drawn.head(10)
    assert len(head) == 10
    assert head.keys is not None
    assert drawn.keys is not None
    np.testing.assert_array_equal(head.times, drawn.times[:10])
    np.testing.assert_array_equal(head.sizes, drawn.sizes[:, :10])
    np.testing.assert_array_equal(head.keys, drawn.keys[:10])


def test_work_and_key_travel_exactly() -> None:
    drawn = Schedule.draw(scenario(serves(EXPONENTIAL), traffic=KEYS))
    assert drawn.keys is not None
    fields = drawn.fields(3)
    assert float(fields["X-LB-Size"]) == drawn.sizes[0, 3]
    assert int(fields["X-LB-Key"]) == drawn.keys[3]
    mixed = Schedule.draw(scenario(serves(CONSTANT), serves(EXPONENTIAL)))
    for row, law in enumerate(mixed.shapes):
        assert wire.read_size(mixed.fields(3)[wire.SIZE], law) == mixed.sizes[row, 3]


# --- files


@pytest.mark.parametrize("traffic", ["", KEYS])
def test_a_saved_schedule_comes_back_bit_for_bit(tmp_path: Path, traffic: str) -> None:
    drawn = Schedule.draw(scenario(serves(CONSTANT), serves(EXPONENTIAL), traffic=traffic))
    drawn.save(tmp_path / "run.npz")
    assert same(Schedule.load(tmp_path / "run.npz"), drawn)


def test_a_missing_schedule_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.npz: cannot be read: no such file"):
        Schedule.load(tmp_path / "none.npz")


def truncated(good: bytes) -> bytes:
    return good[: len(good) // 2]


def flipped(good: bytes) -> bytes:
    at = len(good) // 3
    return good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]


CORRUPTIONS = {
    "empty": lambda _: b"",
    "text": lambda _: b"times, sizes\n1, 2\n",
    "half of it": truncated,
    "one byte wrong": flipped,
    "end cut off": lambda good: good[:-10],
    "zeros": lambda good: bytes(len(good)),
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_a_corrupted_schedule_is_called_so(tmp_path: Path, corrupt: object) -> None:
    path = tmp_path / "run.npz"
    Schedule.draw(scenario(serves(EXPONENTIAL))).save(path)
    path.write_bytes(corrupt(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ConfigError, match=r"run\.npz: "):
        Schedule.load(path)


def test_no_wrong_byte_is_anything_but_a_schedule_or_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    Schedule.draw(scenario(serves(EXPONENTIAL), run="requests = 5")).save(path)
    good, told = path.read_bytes(), 0
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        try:
            Schedule.load(path)
        except ConfigError:
            told += 1
    assert told > len(good) / 2


def save_one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.arange(3))


def save_without_header(path: Path) -> None:
    np.savez(path, times=np.arange(3.0), sizes=np.ones((1, 3)))


def save_without_sizes(path: Path) -> None:
    np.savez(path, header=np.frombuffer(b'{"shapes": []}', np.uint8), times=np.arange(3.0))


def save_wrong_header(path: Path) -> None:
    header = np.frombuffer(b"[1, 2]", np.uint8)
    np.savez(path, header=header, times=np.arange(3.0), sizes=np.ones((1, 3)))


@pytest.mark.parametrize(
    "write", [save_one_array, save_without_header, save_without_sizes, save_wrong_header]
)
def test_an_archive_of_something_else_is_no_schedule(tmp_path: Path, write: object) -> None:
    path = tmp_path / "run.npz"
    write(path)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=r"run\.npz: not a schedule"):
        Schedule.load(path)


# --- streams and delays


SEEDS = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1), st.integers(0, 2**130))
PLACES = st.tuples(SEEDS, st.integers(0, 9), st.sampled_from(["", "a", "ab", "patience"]))


@given(st.lists(PLACES, min_size=2, max_size=8, unique=True), st.integers(1, 9))
def test_no_two_runs_share_a_stream(places: list[tuple[int, int, str]], high: int) -> None:
    (seed, replication, purpose), *_ = places
    places = [*{*places, (seed + high * 2**32, replication, purpose)}]
    first = [stream.integers(2**63) for place in places for stream in streams(*place)]
    assert len({*first}) == 4 * len(places)


@pytest.mark.parametrize("high", [7 * 2**32, 2**64, 7 + 2**64])
def test_what_stands_above_32_bits_counts(high: int) -> None:
    """NumPy's own seeding takes [1 + 7 * 2**32, 0] for [1, 7]."""
    seeds = [(1, 0), (1, 7), (1 + high, 0), (1 + high, 7)]
    assert len({streams(*seed)[0].integers(2**63) for seed in seeds}) == 4


def test_streams_of_short_seeds_are_those_of_numpy() -> None:
    entropy = np.random.SeedSequence([2**32 - 1, 3, *b"patience"])
    for ours, theirs in zip(streams(2**32 - 1, 3, "patience"), entropy.spawn(4), strict=True):
        assert ours.integers(2**63) == np.random.default_rng(theirs).integers(2**63)


def test_streams_are_independent_of_each_other() -> None:
    draws = {
        stream.random()
        for replication in range(3)
        for purpose in ("", "x")
        for stream in streams(1, replication, purpose)
    }
    assert len(draws) == 3 * 2 * 4


def test_no_network_no_delay() -> None:
    assert network_delays(scenario(serves(EXPONENTIAL)), np.random.default_rng(1), 5) is None


def test_delays_there_and_back_are_drawn_apart() -> None:
    file = scenario(serves(EXPONENTIAL), traffic=f"network = {EXPONENTIAL}")
    delays = network_delays(file, np.random.default_rng(1), 50)
    assert delays is not None
    assert delays.shape == (2, 50)
    assert not np.array_equal(delays[0], delays[1])


def test_a_schedule_that_lacks_a_backends_sizes_is_refused() -> None:
    drawn = Schedule.draw(scenario(serves(EXPONENTIAL)))
    drawn.check(scenario(serves(EXPONENTIAL)))
    with pytest.raises(ConfigError, match="deterministic"):
        drawn.check(scenario(serves(CONSTANT)))
    with pytest.raises(ConfigError, match="no request"):
        drawn.head(0).check(scenario(serves(EXPONENTIAL)))


def test_a_schedule_is_saved_under_the_very_name_given(tmp_path: Path) -> None:
    drawn = Schedule.draw(scenario(serves(EXPONENTIAL))).head(3)
    drawn.save(tmp_path / "schedule")
    assert same(Schedule.load(tmp_path / "schedule"), drawn)
