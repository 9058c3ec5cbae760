"""The simulator's driver: the balancer's decisions, exact times, every request accounted for."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from lb.balancing import Balancer, Cancel, Lease, Outcome, Probe, ProbeResult, Refuse
from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from lb.strategies import REGISTRY
from sim import simulate
from sim.analysis.record import Record
from sim.engine.alarms import Alarm
from sim.engine.world import World
from sim.model.arrivals import Schedule, streams
from tests.doubles import Request
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

COUNTS = ("completed", "rejected", "timed_out", "gone")
THREE = [serves(EXPONENTIAL)] * 3


def replicated(file: Scenario, algorithm: str | None = None, replication: int = 0) -> Record:
    return World(file, Schedule.draw(file, replication), algorithm, replication).replicate()


def counts(record: Record) -> dict[str, int]:
    """What became of its requests; those that failed in another way than the others are broken."""
    told = {name: getattr(record, name) for name in COUNTS}
    assert record.completed + record.failed == record.requests
    broken = record.failed - record.rejected - record.timed_out - record.gone
    return {name: number for name, number in {**told, "broken": broken}.items() if number}


def letters(record: Record) -> str:
    return "".join("abcdefgh"[order] for order in record.picks)


# --- the same decisions


def by_hand(file: Scenario, algorithm: str) -> list[int]:
    """The balancer driven by a plain loop over FIFO single workers: no SimPy, no stations."""
    drawn = Schedule.draw(file)
    *_, picks, _ = streams(file.run.seed, 0)
    lb: Balancer[Any] = Balancer(file.setup(algorithm), Random(int(picks.integers(2**63))))
    free = dict.fromkeys(lb.pool.backends, 0.0)
    running: list[tuple[float, int, Lease[Any]]] = []
    chosen = []

    def probes_until(now: float) -> None:
        while lb.wakes_at <= now:
            at = lb.wakes_at
            ends_until(at)
            lb.wake(at)
            while lb.out:
                match lb.out.popleft():
                    case Probe(backend):
                        lb.observed(backend, at, ProbeResult(ok=True))

    def ends_until(now: float) -> None:
        for end in sorted(running, key=lambda row: row[:2]):
            if end[0] <= now:
                running.remove(end)
                end[2].done(end[0])

    for index, now in enumerate(drawn.times.tolist()):
        probes_until(now)
        ends_until(now)
        lease = lb.admit(Request(), now)
        assert lease is not None
        chosen.append(lease.backend.order)
        free[lease.backend] = max(free[lease.backend], now) + drawn.sizes[0, index]
        running.append((free[lease.backend], index, lease))
    return chosen


@pytest.mark.parametrize(
    "algorithm", [name for name, row in REGISTRY.items() if not row.needs & {"probes", "reports"}]
)
def test_it_picks_as_the_balancer_driven_by_hand(algorithm: str) -> None:
    file = scenario(
        *THREE, rate=2.5, run="requests = 800", backend=["weight = 3", "", "weight = 2"]
    )
    assert replicated(file, algorithm).picks.tolist() == by_hand(file, algorithm)


def test_weighted_round_robin_is_the_textbook_sequence_in_simulation_too() -> None:
    file = scenario(*THREE, backend=["weight = 5"], run="requests = 21")
    assert letters(replicated(file, "weighted_round_robin")) == 3 * "aabacaa"


def test_round_robin_takes_turns() -> None:
    assert letters(replicated(scenario(*THREE, run="requests = 9"), "round_robin")) == 3 * "abc"


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_a_seed_settles_everything(algorithm: str) -> None:
    file = scenario(*THREE, rate=2.4, traffic=f"network = {EXPONENTIAL}")
    one, again = replicated(file, algorithm), replicated(file, algorithm)
    other = replicated(file, algorithm, replication=1)
    np.testing.assert_array_equal(one.latency, again.latency)
    np.testing.assert_array_equal(one.backend, again.backend)
    assert not np.array_equal(one.latency, other.latency)


PICKS = {
    "random": "abbcacbccccbcbbabaaacccccccccbacacababbbcbbaccbccacccca",
    "least_connections": "abcbcbcbccccbcaccbcacccacaccbcbcbbbcbcbbcbbbccccbac",
    "p2c": "acabbcabcccccbacbccaaccaccccbbbccbbccbbbccbcbacb",
    "peak_ewma": "acabacbbbbcaacccacabaaaaccccacaaabcaaccabcccabbcbccbca",
    "prequal": "accbbcbbcbcbbcccaaccccccbbbbbbbbbbbbbbbbcccca",
    "maglev": "abcbbbbcacabbbaaccacccaaaabbaabbbbcbbaccbaabbbabac",
    "weighted_feedback:blackout=0s,update=0s": "abcabcbccbbbbbbccacccccacbcabacabbbcbcabcbbcbabcb",
    "weighted_round_robin": "abcabcbccbcabcbaccbccacacaaccbbcbcbcbcbccbcbbbcbcabcc",
}


@pytest.mark.parametrize("algorithm", PICKS)
def test_a_seed_means_the_same_for_ever(algorithm: str) -> None:
    """Arrivals, sizes, keys, network and luck of a seed, with a bit of everything between them."""
    file = scenario(
        serves(EXPONENTIAL, queue=2),
        serves('{ law = "gamma", mean = "2s", cv = 2 }', discipline="ps", workers=2, queue=3),
        serves(EXPONENTIAL, workers=2),
        rate=3,
        run="requests = 60",
        traffic='network = { law = "exponential", mean = "200ms" }\n'
        'keys = { law = "zipf", count = 50, s = 1.1 }',
        backend=["max_in_flight = 3\nweight = 2", "", "max_in_flight = 4"],
        more='[queue]\nlimit = 3\ntimeout = "1s"\n[timeouts]\nresponse = "4s"\n'
        "[outliers]\nenabled = false",
    )
    assert letters(replicated(file, algorithm)) == PICKS[algorithm]


# --- common random numbers


def test_all_algorithms_meet_the_same_requests() -> None:
    """Whatever picks, arrivals and work are the same: on one server all latencies are."""
    file = scenario(*THREE, rate=2.0)
    records = [replicated(file, algorithm) for algorithm in REGISTRY]
    for record in records[1:]:
        np.testing.assert_array_equal(record.arrived, records[0].arrived)
    alone = scenario(serves(EXPONENTIAL))
    for algorithm in REGISTRY:
        np.testing.assert_array_equal(
            replicated(alone, algorithm).latency, replicated(alone, "round_robin").latency
        )


def test_work_follows_the_request_and_not_the_backend() -> None:
    """With a worker for everyone, latency is the size, whoever serves."""
    file = scenario(*[serves(EXPONENTIAL, workers=1000)] * 2, rate=50)
    sizes = Schedule.draw(file).sizes[0]
    for algorithm in ("random", "round_robin"):
        np.testing.assert_allclose(replicated(file, algorithm).latency, sizes)


def test_a_comparison_is_between_paired_replications() -> None:
    result = simulate(
        scenario(*THREE, rate=2.4, run="requests = 500\nreplications = 4"),
        ["random", "least_connections"],
    )
    row = result.between("least_connections", "random", "mean")
    pairs = [
        b["mean"] - a["mean"]
        for a, b in zip(result["random"].blocks, result["least_connections"].blocks, strict=True)
    ]
    assert (row.a, row.b) == ("random", "least_connections")
    assert row.difference.value == pytest.approx(np.mean(pairs))


def test_a_schedule_of_ones_own_is_used_in_every_replication() -> None:
    file = scenario(serves(CONSTANT), run="requests = 50\nreplications = 3")
    schedule = Schedule(np.array([1.0, 1.5, 9.0]), ("deterministic",), np.array([[1.0, 2.0, 0.5]]))
    run = simulate(file, schedule=schedule).runs[0]
    for record in run.records:
        assert record.latency.tolist() == [1.0, 2.5, 0.5]
    assert run.requests == 3


# --- times


def test_below_capacity_nothing_waits_when_nothing_varies() -> None:
    file = scenario(serves(CONSTANT), rate=0.8, process="deterministic", run="requests = 100")
    np.testing.assert_allclose(replicated(file).latency, 1.0)


def test_at_capacity_departures_make_room_for_arrivals_of_the_same_moment() -> None:
    file = scenario(
        serves(CONSTANT, queue=0), rate=1, process="deterministic", run="requests = 100"
    )
    record = replicated(file)
    assert counts(record) == {"completed": 100}
    np.testing.assert_array_equal(record.latency, 1.0)


def test_above_capacity_the_wait_grows_by_the_excess() -> None:
    file = scenario(serves(CONSTANT), rate=2, process="deterministic", run="requests = 50")
    np.testing.assert_allclose(replicated(file).latency, 1 + 0.5 * np.arange(50))


def test_the_network_adds_its_delay_there_and_back() -> None:
    """An idle system: exactly twice the delay, to the last bit but rounding."""
    quiet: dict[str, Any] = {"rate": 0.1, "process": "deterministic", "run": "requests = 50"}
    delay = 'network = { law = "constant", mean = "30ms" }'
    near = replicated(scenario(serves(CONSTANT), **quiet))
    far = replicated(scenario(serves(CONSTANT), traffic=delay, **quiet))
    np.testing.assert_allclose(far.latency - near.latency, 0.060, rtol=1e-9)
    np.testing.assert_allclose(far.reached - far.started, 0.030, rtol=1e-9)
    np.testing.assert_allclose(far.ended - far.left, 0.030, rtol=1e-9)
    np.testing.assert_allclose(far.left - far.reached, 1.0)


def test_a_request_in_the_network_is_in_flight() -> None:
    """The first is still on its way when the second is picked: it goes elsewhere."""
    delay = 'network = { law = "constant", mean = "10s" }'
    file = scenario(
        *[serves(CONSTANT)] * 4,
        rate=1,
        process="deterministic",
        traffic=delay,
        run="requests = 4",
    )
    assert sorted(letters(replicated(file, "least_connections"))) == list("abcd")


# --- results


def test_counts_are_per_replication_and_shares_add_up() -> None:
    file = scenario(*THREE, rate=2.4, run="requests = 600\nreplications = 3")
    run = simulate(file, ["least_connections"]).runs[0]
    assert (run.requests, run.completed) == (600, 600)
    assert len(run.records) == 3
    assert len(run.blocks) % 3 == 0
    assert sum(backend.share for backend in run.backends) == pytest.approx(1)
    assert [backend.name for backend in run.backends] == ["b:0", "b:1", "b:2"]


def test_utilisation_and_flow_of_what_never_varies() -> None:
    """One request every two seconds that takes one: half the time, half a request."""
    file = scenario(serves(CONSTANT), rate=0.5, process="deterministic", run="requests = 1000")
    run = simulate(file).runs[0]
    (backend,) = run.backends
    assert backend.utilisation == pytest.approx(0.5, rel=0.01)
    assert backend.mean_in_flight == pytest.approx(0.5, rel=0.01)
    assert run.throughput == pytest.approx(0.5, rel=0.01)
    assert run.latency["p99"].value == pytest.approx(1.0)


def test_a_missed_objective_is_told() -> None:
    file = scenario(
        serves(CONSTANT),
        process="deterministic",
        run="requests = 5000\nreplications = 1",
        more='[expect]\np50 = "900ms"\np99 = "2s"',
    )
    (missed,) = simulate(file).missed()
    assert missed.startswith("round_robin: p50: missed")


def test_a_ranking_puts_together_what_cannot_be_told_apart() -> None:
    file = scenario(*THREE, rate=2.4, run="requests = 3000\nreplications = 5")
    result = simulate(file, ["random", "round_robin", "weighted_round_robin", "least_connections"])
    ranking = result.ranking("mean")
    assert ranking[0] == ["least_connections"]
    assert sorted(ranking[1]) == ["round_robin", "weighted_round_robin"]
    assert ranking[2] == ["random"]


def test_a_plain_name_is_one_algorithm() -> None:
    file = scenario(serves(CONSTANT), run="requests = 20")
    assert [run.algorithm for run in simulate(file, "round_robin").runs] == ["round_robin"]


def test_what_cannot_be_simulated_is_refused() -> None:
    file = scenario(serves(CONSTANT))
    with pytest.raises(UsageError, match="given twice"):
        simulate(file, ["random", "random"])
    with pytest.raises(UsageError, match="did you mean 'random'"):
        simulate(file, ["rndom"])
    with pytest.raises(ConfigError, match=r"backend\[0\]\.model: missing"):
        simulate(Scenario.parse('[traffic]\narrivals = { process = "poisson", rate = 1 }'))
    with pytest.raises(ConfigError, match="no request arrives"):
        simulate(scenario(serves(CONSTANT), process="deterministic", run='duration = "1ms"'))


# --- what only a balancer that hedges or is steered asks for


def test_a_cancelled_attempt_ends_at_once_and_its_work_goes_on() -> None:
    slow = serves('{ law = "deterministic", mean = "10s" }')
    file = scenario(slow, run="requests = 1")
    world = World(file, Schedule.draw(file), express=False)  # whose requests hold leases
    (dispatcher,) = world.dispatchers
    balancer, (backend,) = dispatcher.balancer, dispatcher.balancer.pool.backends
    leases: list[Lease[Any]] = []

    def noting(*arguments: Any) -> Lease[Any]:
        leases.append(Lease(*arguments))
        return leases[-1]

    balancer.lease_type = noting  # type: ignore[assignment]

    def cancel(now: float) -> None:
        (lease,) = leases
        balancer.out.extend([Cancel(lease), Refuse(lease.call, Outcome.CANCELLED)])
        dispatcher.drain(now)
        assert (backend.active, backend.cancelled, lease.open) == (0, 1, False)
        assert len(backend.site.station) == 1

    world.set(Alarm(cancel), 5.0)
    record = world.replicate()
    assert counts(record) == {"broken": 1}


def test_a_probing_algorithm_that_takes_over_finds_sites_that_measure() -> None:
    file = scenario(*THREE, run="requests = 200")
    world = World(file, Schedule.draw(file), "round_robin")
    (dispatcher,) = world.dispatchers

    def swap(now: float) -> None:
        dispatcher.balancer.swap("prequal", now=now)
        dispatcher.drain(now)

    world.set(Alarm(swap), Schedule.draw(file).times[100])
    assert counts(world.replicate()) == {"completed": 200}
    assert all(
        backend.site.report(world.now).latency > 0 for backend in dispatcher.balancer.pool.backends
    ), "what has left since is known"
