"""Closed loops: users who think, send, wait for what becomes of it, and think again."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from sim import simulate
from sim.engine.world import World
from sim.model.users import Population
from tests.sim.scenarios import EXPONENTIAL, serves


def closed(
    users: str,
    *models: str,
    traffic: str = "",
    run: str = "requests = 2000",
    more: str = "",
    replications: int = 1,
) -> Scenario:
    lines = [more, f"[traffic]\nusers = {{ {users} }}", traffic]
    lines += ["[run]", 'warmup = "0s"', "seed = 20261123", f"replications = {replications}", run]
    for i, model in enumerate(models or (serves(EXPONENTIAL),)):
        lines += ["[[backend]]", f'address = "b:{i}"', "[backend.model]", model]
    return Scenario.parse("\n".join(lines), "lb.toml")


def mean_value_analysis(users: int, think: float, demands: list[float]) -> tuple[float, float]:
    """Throughput and mean response of a closed product-form network (Reiser, Lavenberg 1980)."""
    held = [0.0] * len(demands)
    throughput = 0.0
    for n in range(1, users + 1):
        stays = [demand * (1 + inside) for demand, inside in zip(demands, held, strict=True)]
        throughput = n / (think + sum(stays))
        held = [throughput * stay for stay in stays]
    return throughput, users / throughput - think


# --- exact results


@pytest.mark.parametrize("think", ["exponential:4s", "constant:4s", "hyperexponential:4s,cv=2"])
def test_machine_repair_is_exact_whatever_the_law_of_thinking(think: str) -> None:
    """M/M/1 with a finite source depends on the mean of the thinking alone (Takacs 1962)."""
    file = closed(f'count = 6, think = "{think}"', run='duration = "20000s"', replications=5)
    run = simulate(file).runs[0]
    throughput, response = mean_value_analysis(6, 4.0, [1.0])
    assert run.throughput == pytest.approx(throughput, rel=0.01)
    assert run.latency["mean"].value == pytest.approx(response, rel=0.02)
    assert run.backends[0].utilisation == pytest.approx(throughput, rel=0.01)


@pytest.mark.no_cover
@pytest.mark.parametrize("discipline", ["fifo", "ps"])
def test_two_servers_at_random_are_a_product_form_network(discipline: str) -> None:
    fast = serves('"exponential:500ms"', discipline=discipline)
    slow = serves(EXPONENTIAL, discipline=discipline)
    file = closed(
        'count = 8, think = "exponential:2s"',
        fast,
        slow,
        run='duration = "20000s"',
        more='algorithm = "random"',
        replications=4,
    )
    run = simulate(file).runs[0]
    throughput, response = mean_value_analysis(8, 2.0, [0.25, 0.5])
    assert run.throughput == pytest.approx(throughput, rel=0.01)
    assert run.latency["mean"].value == pytest.approx(response, rel=0.02)


def test_one_user_never_waits() -> None:
    file = closed('count = 1, think = "constant:2s"', serves('"constant:1s"'), run="requests = 5")
    record = World(file, None).replicate()
    np.testing.assert_allclose(record.arrived, [2, 5, 8, 11, 14])
    np.testing.assert_allclose(record.ended - record.arrived, 1)


# --- how a run ends


def test_a_run_holds_exactly_its_requests() -> None:
    file = closed('count = 7, think = "exponential:1s"', run="requests = 100")
    record = World(file, None).replicate()
    assert (record.requests, record.completed, record.failed) == (100, 100, 0)


def test_a_duration_ends_it_and_what_is_under_way_is_followed_to_its_end() -> None:
    file = closed(
        'count = 3, think = "constant:1s"', serves('"constant:10s"'), run='duration = "12s"'
    )
    record = World(file, None).replicate()
    assert record.arrived.tolist() == [1, 1, 1]
    assert record.ended.tolist() == [11, 21, 31]


def test_whoever_would_send_at_the_end_does_not() -> None:
    file = closed(
        'count = 1, think = "constant:1s"', serves('"constant:1s"'), run='duration = "3s"'
    )
    assert World(file, None).replicate().arrived.tolist() == [1]


def test_a_duration_in_which_nobody_sends_is_told() -> None:
    file = closed('count = 3, think = "constant:10s"', run='duration = "5s"')
    with pytest.raises(ConfigError, match=r"lb\.toml:\d+ run\.duration: no request arrives in it"):
        simulate(file)


# --- common random numbers


def test_the_same_user_does_the_same_under_every_algorithm() -> None:
    file = closed('count = 20, think = "exponential:1s"', serves(EXPONENTIAL), serves(EXPONENTIAL))
    one, other = Population(file), Population(file)
    late = [one.think(3, k) for k in range(1000)][-1]
    assert other.think(3, 999) == late
    sizes = one.sizes["exponential"]
    assert other.sizes["exponential"](19, 0) == sizes(19, 0) != sizes(18, 0)
    assert Population(file, 1).think(0, 0) != one.think(0, 0)


def test_runs_repeat_and_replications_differ() -> None:
    file = closed('count = 5, think = "exponential:1s"', run="requests = 300")
    first, again = World(file, None).replicate(), World(file, None).replicate()
    np.testing.assert_array_equal(first.ended, again.ended)
    assert not np.array_equal(first.ended, World(file, None, replication=1).replicate().ended)


# --- keys and sessions


class Keys(list[bytes]):
    """What a balancer was given."""

    def of(self, file: Scenario, algorithm: str = "round_robin") -> Keys:
        world = World(file, None, algorithm)
        for dispatcher in world.dispatchers:
            admit = dispatcher._admit

            def noting(call, now, admit=admit):  # type: ignore[no-untyped-def]
                self.append(call.key)
                return admit(call, now)

            dispatcher._admit = noting
        world.replicate()
        return self


def test_users_are_their_own_keys() -> None:
    file = closed('count = 4, think = "exponential:1s"', run="requests = 200")
    assert set(Keys().of(file)) == {b"0", b"1", b"2", b"3"}
    assert simulate(file, "maglev").runs[0].completed == 200


def test_after_a_session_another_user_takes_the_place() -> None:
    file = closed('count = 2, think = "constant:1s", session = 3', run="requests = 12")
    keys = Keys().of(file)
    assert sorted(keys) == sorted([b"0", b"1", b"2", b"3"] * 3)


def test_sessions_of_random_length() -> None:
    file = closed(
        'count = 1, think = "constant:1s", session = "geometric:4"', run="requests = 8000"
    )
    lengths = np.unique(Keys().of(file), return_counts=True)[1]
    assert len(lengths) == pytest.approx(2000, abs=5 * math.sqrt(2000 * 0.75))


def test_keys_of_the_file_are_drawn_for_each_request() -> None:
    file = closed(
        'count = 2, think = "constant:1s"',
        traffic='keys = { law = "zipf", count = 5, s = 0 }',
        run="requests = 500",
    )
    assert set(Keys().of(file)) == {b"%d" % key for key in range(5)}


# --- trouble


def test_a_request_that_failed_lets_its_user_think_again() -> None:
    file = closed(
        'count = 3, think = "constant:1s"',
        serves('"constant:10s"', queue=0),
        run='duration = "100s"',
        more="[outliers]\nenabled = false\n[retries]\nmax = 0",
    )
    record = World(file, None).replicate()
    assert record.requests > 150
    assert record.failed == record.requests - record.completed
    assert record.completed <= 10


def test_a_user_without_patience_thinks_again() -> None:
    file = closed(
        'count = 2, think = "constant:1s"',
        serves('"constant:10s"'),
        traffic='patience = "constant:3s"\ncancels = true',
        run='duration = "9s"',
    )
    record = World(file, None).replicate()
    assert (record.requests, record.gone) == (4, 4)
    assert record.failures[0].tolist() == [1, 1, 5, 5]


@pytest.mark.parametrize(
    ("more", "traffic"),
    [
        ("[hedging]\nafter = '2s'", ""),
        ("[timeouts]\ntotal = '3s'", ""),
        ("[timeouts]\nattempt = '2s'\n[retries]\nmax = 2", "client_retries = 2"),
        ("", 'client_retries = 1\npatience = "exponential:2s"'),
    ],
)
def test_every_request_ends_once_and_its_user_goes_on(more: str, traffic: str) -> None:
    models = [serves(EXPONENTIAL, queue=1), serves('"exponential:2s"', queue=1)]
    file = closed(
        'count = 6, think = "exponential:1s"',
        *models,
        traffic=traffic,
        run="requests = 600",
        more=f"{more}\n[outliers]\nenabled = false",
    )
    record = World(file, None, "least_connections").replicate()
    assert record.completed + record.failed == record.requests == 600
    busy = np.concatenate([record.ended - record.arrived, record.failures[1] - record.failures[0]])
    # Six users are always thinking or waiting; at the end each may do either.
    assert busy.sum() + 600 * 1.0 == pytest.approx(6 * record.until, rel=0.1)


def test_a_client_that_comes_again_thinks_when_it_has_given_up() -> None:
    file = closed(
        'count = 1, think = "constant:1s"',
        serves('"constant:1s"', queue=0),
        traffic="client_retries = 2",
        run="requests = 2",
        more='[retries]\nmax = 0\n[outliers]\nenabled = false\n[[fault]]\nbackend = "b:0"\n'
        'kind = "fail_fast"\nfrom = "0s"\nto = "10s"',
    )
    record = World(file, None).replicate()
    # It fails at 1 s and, 0.1 and 0.2 s later, again; then it thinks.
    assert record.came_again == 4
    np.testing.assert_allclose(np.diff(record.failures[0]), [1.3], atol=0.02)


def test_network_delays_belong_to_the_request() -> None:
    file = closed(
        'count = 2, think = "constant:1s"',
        serves('"constant:1s"', workers=2),
        traffic='network = "constant:500ms"',
        run="requests = 4",
    )
    record = World(file, None).replicate()
    np.testing.assert_allclose(record.ended - record.arrived, 2)
    np.testing.assert_allclose(record.left - record.reached, 1)
    np.testing.assert_allclose(record.arrived, [1, 1, 4, 4])


def test_several_balancers() -> None:
    file = closed('count = 10, think = "exponential:1s"', run="requests = 400\nbalancers = 3")
    world = World(file, None)
    record = world.replicate()
    assert record.completed == 400
    taken = [d.balancer.pool.backends[0].picked for d in world.dispatchers]
    assert sum(taken) == 400
    assert min(taken) > 80


def test_users_and_faults() -> None:
    fault = '[[fault]]\nbackend = "b:0"\nkind = "down"\nfrom = "10s"\nto = "20s"'
    file = closed(
        'count = 5, think = "exponential:1s"',
        serves('"exponential:100ms"'),
        run='duration = "60s"',
        more=fault,
    )
    run = simulate(file).runs[0]
    assert run.failed > 0
    assert run.completed + run.failed == run.requests


# --- users who come and go


def test_users_come_and_go_as_the_steps_say() -> None:
    steps = 'steps = [["0s", 2], ["50s", 6], ["120s", 1]]'
    file = closed(f'count = 6, think = "constant:9s", {steps}', run='duration = "200s"')
    arrived = World(file, None).replicate().arrived
    early, full, late = np.histogram(arrived, [0.0, 50.0, 120.0, 200.0])[0]
    # Nine seconds of thought and one of service on average, and little waiting.
    assert early <= 2 * 6
    assert full / 70 > 2 * early / 50
    assert late <= 9
    people = Population(file)
    assert [people.comes(5, at) for at in (0.0, 49.9, 50.0, 119.0)] == [50.0, 50.0, 50.0, 119.0]
    assert people.comes(5, 120.0) == math.inf
    assert people.comes(0, 130.0) == 130.0


def test_who_stays_sends_the_same_whoever_else_comes() -> None:
    """Steps at which nobody comes or goes change nothing."""
    users = 'count = 5, think = "exponential:1s"'
    plain = World(closed(users, run="requests = 300"), None).replicate()
    stepped = closed(users + ', steps = [["1s", 5], ["9s", 5]]', run="requests = 300")
    np.testing.assert_array_equal(plain.ended, World(stepped, None).replicate().ended)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ("[]", "there are none"),
        ('[["9s", 1], ["9s", 2]]', "their times do not ascend"),
        ('[["0s", 7]]', "there are 7 users in one, and 5 at most; give that as count"),
        ('[["0s", 0]]', "steps"),
        ('["0s", 3]', "a step is a time and the users from there on"),
    ],
)
def test_steps_that_say_nothing_are_refused(steps: str, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        closed(f'count = 5, think = "exponential:1s", steps = {steps}')
