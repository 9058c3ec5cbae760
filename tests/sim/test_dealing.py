"""One load on several generators: parts, clocks, and what all have seen."""

from __future__ import annotations

import numpy as np
import pytest

from sim import Schedule
from sim.live.dealing import (
    Gathered,
    Offset,
    offset,
    pack,
    pack_schedule,
    part,
    unpack,
    unpack_schedule,
)
from sim.live.measurement import Measurement


def schedule(n: int, **more: object) -> Schedule:
    return Schedule(np.arange(n) / 10, ("exponential",), np.arange(float(n))[None], **more)  # type: ignore[arg-type]


def test_every_request_is_in_one_part() -> None:
    whole = schedule(10, keys=np.arange(10), patience=np.ones(10))
    parts = [part(whole, number, 3) for number in range(3)]
    assert [len(one) for one in parts] == [4, 3, 3]
    keys = np.concatenate([one.keys for one in parts if one.keys is not None])
    np.testing.assert_array_equal(np.sort(keys), np.arange(10))
    np.testing.assert_array_equal(parts[1].times, whole.times[[1, 4, 7]])
    np.testing.assert_array_equal(parts[1].sizes, whole.sizes[:, [1, 4, 7]])


@pytest.mark.parametrize("texts", [None, ("a", "b")])
def test_a_schedule_travels_as_it_is(texts: tuple[str, ...] | None) -> None:
    whole = schedule(2, keys=np.arange(2), texts=texts)
    there = unpack_schedule(pack_schedule(whole))
    assert [there.fields(i) for i in range(2)] == [whole.fields(i) for i in range(2)]
    np.testing.assert_array_equal(there.times, whole.times)
    assert there.patience is None


def test_a_clock_is_compared_by_the_quickest_round_trip() -> None:
    """It is 100 s ahead; slow ways there or back mislead by half of their difference at most."""
    trips = [(1.0, 101.009, 1.010), (2.0, 102.002, 2.004), (3.0, 103.001, 3.030)]
    found = offset(trips)
    assert found == pytest.approx(Offset(100.0, 0.002))
    for sent, said, back in trips:
        one = offset([(sent, said, back)])
        assert abs(one.ahead - 100.0) <= one.within


def told(rows: list[int], sent: list[float], **more: list[float]) -> dict[str, np.ndarray]:
    """A report of these rows, as it comes from a worker."""
    blank = Measurement.blank(len(rows))
    blank.sent[:] = sent
    columns = blank.columns | {name: np.array(column) for name, column in more.items()}
    return unpack(pack({"row": np.array(rows), **columns}))


def test_what_all_have_seen_stands_in_the_place_of_the_schedule() -> None:
    gathered = Gathered(2, 5)
    gathered.add(1, told([1], [3.0]))
    gathered.add(0, told([0, 2], [0.0, 4.0]))
    gathered.add(0, told([], []))
    np.testing.assert_array_equal(gathered.measured().sent, [0.0, np.nan, np.nan, 3.0, 4.0])
    assert len(gathered) == 3
    assert len(Gathered(2, 5).measured().sent) == 5


def test_what_users_did_stands_in_the_order_of_sending() -> None:
    gathered = Gathered(2, None)
    gathered.add(1, told([0, 1], [0.2, 0.9], due=[0.1, 0.8], user=[1, 1]))
    gathered.add(0, told([0], [0.3], due=[0.3], user=[0]))
    measured = gathered.measured()
    np.testing.assert_array_equal(measured.sent, [0.2, 0.3, 0.9])
    assert measured.user is not None
    np.testing.assert_array_equal(measured.user, [1, 0, 1])
    assert Gathered(2, None).measured().any_sent is False
