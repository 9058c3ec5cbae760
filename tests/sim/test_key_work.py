"""Work that goes by key, and what slows every backend for a while."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lb.config import Scenario, Zipf
from lb.errors import ConfigError
from sim import Schedule, simulate
from sim.engine.world import World
from sim.model.keys import key_factors, zipf_chances
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

SIGNIFICANCE = 0.001
KEYS = 'keys = { law = "zipf", count = 50, s = 1.1 }\n'


def test_factors_are_lognormal_and_do_not_change_the_load() -> None:
    chances = zipf_chances(Zipf(law="zipf", count=20_000, s=0.0))
    factors = key_factors(1.5, chances, np.random.default_rng(1))
    assert factors @ chances == pytest.approx(1)
    variance = np.log1p(1.5**2)
    logs = (np.log(factors) + variance / 2) / np.sqrt(variance)
    # The scaling shifts the logarithm by about cv / sqrt(n), which is a thousandth of its spread.
    assert stats.kstest(logs - logs.mean(), stats.norm.cdf).pvalue > SIGNIFICANCE
    assert abs(logs.mean()) < 5 * 1.5 / np.sqrt(20_000)


def test_the_mean_over_requests_counts_each_key_as_often_as_it_comes() -> None:
    chances = zipf_chances(Zipf(law="zipf", count=50, s=1.5))
    for seed in range(5):
        factors = key_factors(3.0, chances, np.random.default_rng(seed))
        assert factors @ chances == pytest.approx(1)


def test_one_key_brings_one_amount_of_work() -> None:
    drawn = Schedule.draw(scenario(serves(CONSTANT), traffic=KEYS + "work_by_key = 2.0"))
    assert drawn.keys is not None
    for key in np.unique(drawn.keys):
        assert np.unique(drawn.sizes[0, drawn.keys == key]).size == 1
    assert np.unique(drawn.sizes).size > 20


def test_it_multiplies_what_would_be_drawn_without() -> None:
    plain = Schedule.draw(scenario(serves(CONSTANT), serves(EXPONENTIAL), traffic=KEYS))
    file = scenario(serves(CONSTANT), serves(EXPONENTIAL), traffic=KEYS + "work_by_key = 2.0")
    drawn = Schedule.draw(file)
    np.testing.assert_allclose(drawn.sizes / plain.sizes, [drawn.sizes[0]] * 2)
    np.testing.assert_array_equal(drawn.keys, plain.keys)
    np.testing.assert_array_equal(drawn.times, plain.times)
    assert file.utilisation == 0.4


def test_hashing_sends_heavy_keys_together() -> None:
    """With the same keys, work that goes by key makes the backends more unlike."""

    def spread(traffic: str) -> float:
        file = scenario(
            *[serves('"constant:10ms"')] * 4,
            rate=100,
            traffic=traffic,
            run="requests = 4000\nreplications = 8",
        )
        records = simulate(file, "maglev").runs[0].records
        busy = [
            [float((r.left - r.reached)[r.backend == place].sum()) for place in range(4)]
            for r in records
        ]
        return float(np.mean([np.std(row) / np.mean(row) for row in busy]))

    even = 'keys = { law = "zipf", count = 400, s = 0 }\n'
    assert spread(even + "work_by_key = 3.0") > 1.5 * spread(even)


def test_users_bring_their_own_amount_of_work_until_another_takes_the_place() -> None:
    users = 'users = { count = 3, think = "constant:1s", session = 2 }\nwork_by_key = 1.0'
    text = f'[traffic]\n{users}\n[run]\nrequests = 12\n[[backend]]\naddress = "b:1"\n'
    file = Scenario.parse(f"{text}[backend.model]\n{serves(CONSTANT, workers=3)}")
    record = World(file, None).replicate()
    stays = (record.left - record.reached).round(9)
    assert sorted(np.unique(stays, return_counts=True)[1]) == [2] * 6


def test_users_with_keys_of_a_law() -> None:
    users = f'users = {{ count = 3, think = "constant:1s" }}\n{KEYS}work_by_key = 1.0'
    text = f'[traffic]\n{users}\n[run]\nrequests = 400\n[[backend]]\naddress = "b:1"\n'
    file = Scenario.parse(f"{text}[backend.model]\n{serves(CONSTANT, workers=3)}")
    record = World(file, None).replicate()
    assert 10 < np.unique((record.left - record.reached).round(9)).size <= 50


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("time,key\n1,a\n2,b\n3,a\n", "drawn"),
        ("time,size,key\n1,1,a\n2,1,b\n3,1,a\n", "given"),
        ("time\n1\n", "lacking"),
    ],
)
def test_a_trace_gives_keys_and_what_it_gives_of_sizes_stays(
    tmp_path: Path, text: str, sizes: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    arrivals = 'arrivals = { process = "trace", file = "t.csv" }\nwork_by_key = 1.0'
    file = Scenario.parse(
        f'[traffic]\n{arrivals}\n[[backend]]\naddress = "b:1"\n[backend.model]\n{serves(CONSTANT)}',
        str(tmp_path / "lb.toml"),
    )
    if sizes == "lacking":
        with pytest.raises(ConfigError, match=r"traffic\.keys: missing; work_by_key needs keys"):
            Schedule.draw(file)
        assert len(file.lacking()) == 1
        return
    first, second, third = Schedule.draw(file).sizes[0]
    assert (first == third != second) if sizes == "drawn" else (first == second == third == 1)


def test_without_keys_it_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"traffic\.work_by_key: there are no keys; give keys = "):
        scenario(serves(CONSTANT), traffic="work_by_key = 1.0")


def test_a_fault_that_comes_and_goes_slows_all_its_backends_at_the_same_times() -> None:
    """The common shock: what is served at one time is slow everywhere."""
    fault = (
        '[[fault]]\nbackend = ["b:0", "b:1"]\nkind = "slow"\nfrom = "0s"\nto = "2000s"\n'
        'factor = 5\nmttf = "40s"\nmttr = "10s"'
    )
    file = scenario(
        serves('"constant:100ms"'),
        serves('"constant:100ms"'),
        rate=4,
        process="deterministic",
        run='duration = "2000s"\nreplications = 1',
        more=fault,
    )
    record = World(file, Schedule.draw(file)).replicate()
    slow = record.left - record.reached > 0.3
    pairs = slow[: len(slow) // 2 * 2].reshape(-1, 2)
    assert 0.05 < slow.mean() < 0.4
    assert np.corrcoef(pairs.T)[0, 1] > 0.9
