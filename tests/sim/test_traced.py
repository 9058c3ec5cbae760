"""Traces in a run: times, pace, cuts, sizes and keys."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lb.config import Scenario
from lb.errors import ConfigError
from sim import Schedule, simulate
from sim.live.system import relocated, rooted
from sim.output.words import offered
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, serves

SIGNIFICANCE = 0.001
TRACE = "time,size,key\n1,1,ann\n2,0.5,bob\n2,3,ann\n4,0,été\n8,0.5,bob\n"


class Traced:
    """Scenarios whose file is beside their trace."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(
        self, *models: str, run: str = "", more: str = "", traffic: str = "", text: str = TRACE
    ) -> Scenario:
        (self.directory / "t.csv").write_text(text, encoding="utf-8")
        lines = [f'[traffic]\narrivals = {{ process = "trace", file = "t.csv"{more} }}\n{traffic}']
        lines += [f"[run]\nreplications = 2\nseed = 20261123\n{run}"]
        for i, model in enumerate(models or (serves(EXPONENTIAL),)):
            lines += ["[[backend]]", f'address = "127.0.0.1:{i + 1}"', "[backend.model]", model]
        source = str(self.directory / "lb.toml")
        return Scenario.parse("\n".join(lines), source)


@pytest.fixture
def traced(tmp_path: Path) -> Traced:
    return Traced(tmp_path)


# --- times


def test_times_are_those_of_the_file_in_every_replication(traced: Traced) -> None:
    file = traced()
    for replication in (0, 1):
        assert Schedule.draw(file, replication).times.tolist() == [1, 2, 2, 4, 8]
    assert file.rate == pytest.approx(5 / 8)


def test_it_may_say_which_balancer_each_comes_to(traced: Traced) -> None:
    file = traced(text="time,balancer\n1,2\n2,1\n3,2\n", run="requests = 2")
    assert Schedule.draw(file).balancers.tolist() == [1, 0]


def test_at_twice_the_pace_it_takes_half_the_time(traced: Traced) -> None:
    file = traced(more=", scale = 2.0")
    drawn = Schedule.draw(file)
    assert drawn.times.tolist() == [0.5, 1, 1, 2, 4]
    assert drawn.sizes[0].tolist() == [1, 0.5, 3, 0, 0.5]
    assert file.rate == pytest.approx(5 / 4)


@pytest.mark.parametrize(
    ("run", "count", "rate"),
    [
        ('duration = "3s"', 3, 1.0),
        ('duration = "4s"', 3, 0.75),
        ('duration = "100s"', 5, 5 / 8),
        ("requests = 4", 4, 1.0),
        ("requests = 100", 5, 5 / 8),
    ],
)
def test_a_run_cuts_the_trace_and_its_end_ends_the_run(
    traced: Traced, run: str, count: int, rate: float
) -> None:
    file = traced(run=run)
    assert len(Schedule.draw(file)) == count
    assert file.rate == pytest.approx(rate)


def test_what_is_longer_than_an_ordinary_run_is_taken_whole(traced: Traced) -> None:
    text = "time\n" + "".join(f"{i / 1000}\n" for i in range(150_000))
    file = traced(serves('"constant:100us"'), text=text)
    assert len(Schedule.draw(file)) == 150_000
    assert file.rate == pytest.approx(1000, rel=1e-4)


def test_nothing_comes_before_the_first_line(traced: Traced) -> None:
    with pytest.raises(ConfigError, match=r"run\.duration: no request arrives in it"):
        simulate(traced(run='duration = "500ms"'))


def access_log(counts: list[int]) -> str:
    line = '10.0.0.{host} - - [10/Oct/2000:13:55:{second:02d} +0000] "GET / HTTP/1.0" 200 1\n'
    return "".join(
        line.format(host=host % 200, second=second)
        for second, count in enumerate(counts)
        for host in range(count)
    )


def test_requests_of_a_log_are_spread_over_their_second(traced: Traced) -> None:
    counts = [300, 1000, 50, 0, 400]
    file = traced(text=access_log(counts))
    drawn = Schedule.draw(file)
    assert np.bincount(drawn.times.astype(int)).tolist() == counts
    assert stats.kstest(drawn.times[300:1300] - 1, stats.uniform.cdf).pvalue > SIGNIFICANCE
    assert [drawn.key(i) for i in range(3)] == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]
    np.testing.assert_array_equal(Schedule.draw(file, 1).times, drawn.times)
    other = file.model_copy(update={"run": file.run.model_copy(update={"seed": 2})})
    assert not np.array_equal(Schedule.draw(other).times, drawn.times)
    assert file.rate == pytest.approx(1750 / 5)


def test_a_log_is_keyed_by_what_the_file_goes_by(traced: Traced) -> None:
    file = traced(text=access_log([2, 1]))
    by_path = file.model_copy(update={"key": "path"})
    assert Schedule.draw(by_path).all_keys() == [b"/"] * 3
    assert Schedule.draw(file).key(1) == "10.0.0.1"


# --- sizes


def test_sizes_of_the_file_are_work_relative_to_each_backends_mean(traced: Traced) -> None:
    fast = serves('"constant:500ms"')
    drawn = Schedule.draw(traced(serves(EXPONENTIAL), fast))
    assert drawn.shapes == ("exponential", "deterministic")
    for row in drawn.sizes:
        assert row.tolist() == [1, 0.5, 3, 0, 0.5]
    record = simulate(traced(serves('"constant:100ms"'))).runs[0].records[0]
    np.testing.assert_allclose(
        sorted(record.left - record.reached), sorted([0.1, 0.05, 0.35, 0, 0.05]), atol=1e-12
    )


def test_sizes_that_it_does_not_give_are_drawn_in_each_replication(traced: Traced) -> None:
    file = traced(text="time\n1\n2\n3\n")
    first, second = Schedule.draw(file, 0), Schedule.draw(file, 1)
    np.testing.assert_array_equal(first.times, second.times)
    assert (first.sizes != second.sizes).all()


def test_the_load_counts_the_work_that_comes(traced: Traced) -> None:
    text = "time,size\n" + "".join(f"{i},3\n" for i in range(1, 101))
    file = traced(serves('"constant:200ms"'), text=text)
    assert file.utilisation == pytest.approx(0.6)
    assert file.at_load(0.3).rate == pytest.approx(0.5)
    use = simulate(file).runs[0].backends[0]
    assert use.offered == pytest.approx(0.6, rel=0.02)
    assert use.utilisation == pytest.approx(0.6, rel=0.02)


# --- keys


def test_strategies_see_the_text_of_the_keys(traced: Traced) -> None:
    file = traced(serves(CONSTANT), serves(CONSTANT))
    drawn = Schedule.draw(file)
    assert drawn.all_keys() == [b"ann", b"bob", b"ann", "été".encode(), b"bob"]
    assert drawn.fields(3)["X-LB-Key"] == "été"
    record = simulate(file, "maglev").runs[0].records[0]
    assert record.backend[0] == record.backend[2]
    assert record.backend[1] == record.backend[4]
    assert Schedule.draw(file).head(2).key(1) == "bob"


def test_keys_come_from_the_law_where_the_trace_has_none(traced: Traced) -> None:
    text = "time\n1\n2\n"
    with pytest.raises(ConfigError, match=r"traffic\.keys: missing; maglev needs"):
        simulate(traced(text=text), "maglev")
    file = traced(text=text, traffic='keys = { law = "zipf", count = 3, s = 0 }')
    assert set(Schedule.draw(file).all_keys()) <= {b"0", b"1", b"2"}


def test_a_schedule_with_texts_is_saved_and_comes_back(traced: Traced, tmp_path: Path) -> None:
    drawn = Schedule.draw(traced())
    drawn.save(tmp_path / "s.npz")
    again = Schedule.load(tmp_path / "s.npz")
    assert again.texts == drawn.texts == ("ann", "bob", "été")
    assert again.all_keys() == drawn.all_keys()


def test_a_scenario_and_its_files_travel_to_another_process(traced: Traced, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("0.1\n0.3\n")
    file = traced(serves('"empirical:x.txt"'))
    there = pickle.loads(pickle.dumps(file))
    assert there == file
    assert there.modelled()[0][1].service.mean == pytest.approx(0.2)
    np.testing.assert_array_equal(Schedule.draw(there).times, Schedule.draw(file).times)


# --- what is said


def test_what_is_in_it_is_told_and_that_it_ends_too_soon(traced: Traced) -> None:
    said = list(offered(traced(run='duration = "60s"', more=", scale = 2.0"), ["random"]))
    path = traced.directory / "t.csv"
    same = "It is the same in every replication, so intervals say nothing of other days."
    assert said[1:3] == [
        f"{path}: 5 requests in 4 s at 2 times its pace. {same}",
        "It ends the run after 4 s, before its 60 s are over.",
    ]
    said = list(offered(traced(run="requests = 6"), ["random"]))
    assert said[2] == "It ends the run after 5 requests, before there are 6."
    assert len(list(offered(traced(), ["random"]))) == 2 + (traced().utilisation > 0.985)


def test_mistakes_of_the_trace_are_told_when_it_is_needed(traced: Traced) -> None:
    file = traced(text="time\n2\n1\n")
    with pytest.raises(ConfigError, match=r"t\.csv:3: time 1 is before that above it, 2; sort"):
        file.lacking()
    with pytest.raises(ConfigError, match=r"t\.csv:3"):
        simulate(file)


def test_a_warm_up_as_long_as_the_trace(traced: Traced) -> None:
    assert traced(run='warmup = "7s"').lacking() == []
    [line] = traced(run='warmup = "8s"').lacking()
    assert "is not shorter than the run, about 8 s" in line


def test_a_trace_that_is_missing_has_its_line(tmp_path: Path) -> None:
    text = '[traffic]\narrivals = { process = "trace", file = "none.csv" }\n'
    source = str(tmp_path / "lb.toml")
    with pytest.raises(ConfigError) as caught:
        Scenario.parse(text, source)
    assert caught.value.problems == [
        f"{source}:2 traffic.arrivals.file: there is no file '{tmp_path}/none.csv'"
    ]


def test_a_text_that_stands_elsewhere_still_finds_its_files(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "t.csv").write_text(TRACE)
    (here / "x.txt").write_text("1\n")
    text = (
        '[traffic]\narrivals = { process = "trace", file = "t.csv" }\n'
        '[[backend]]\naddress = "127.0.0.1:1"\n[backend.model]\nservice = "empirical:x.txt"\n'
    )
    moved = Scenario.parse(rooted(relocated(text), here), str(there / "lb.toml"))
    assert moved.rate == pytest.approx(5 / 8)
    assert rooted("file = 'none.csv'", here) == "file = 'none.csv'"
