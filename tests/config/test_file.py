"""The file format: what it accepts, what it means, and what it says about mistakes."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from lb.balancing import Balancer, QueuePolicy, Settings, Setup
from lb.config import Scenario
from lb.errors import ConfigError
from lb.units import seconds

EXAMPLE = """\
algorithm = "least_connections"

[server]
listen = "127.0.0.1:9090"

[timeouts]
connect = "500ms"
response = "5s"

[health]
path = "/up"
interval = "10s"
rise = 3

[retries]
max = 2

[queue]
limit = 10
timeout = "250ms"

[[backend]]
address = "127.0.0.1:3001"
weight = 5
max_in_flight = 8
name = "big"

[backend.model]
service = { law = "lognormal", mean = "20ms", cv = 1.5 }
workers = 4

[[backend]]
address = "[::1]:3002"

[backend.model]
service = { law = "exponential", mean = "10ms" }
discipline = "ps"
queue = 3

[traffic]
arrivals = { process = "poisson", rate = 150 }
keys = { law = "zipf", count = 100, s = 1.1 }
network = { law = "constant", mean = "0.2ms" }

[run]
requests = 1000
warmup = "2s"
replications = 3
seed = 7

[expect]
p99 = "250ms"
"""


def complaints(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        Scenario.parse(text, "lb.toml")
    assert str(error.value) == "\n".join(error.value.problems)
    return error.value.problems


# --- what it accepts


def test_an_example_means_what_it_says() -> None:
    scenario = Scenario.parse(EXAMPLE)
    big, small = scenario.backends
    assert scenario.algorithm.name == "least_connections"
    assert scenario.server.listen == "127.0.0.1:9090"
    assert (scenario.timeouts.connect, scenario.timeouts.response) == (0.5, 5.0)
    assert (scenario.health.path, scenario.health.interval, scenario.health.rise) == ("/up", 10, 3)
    assert (scenario.retries.max, scenario.queue.limit, scenario.queue.timeout) == (2, 10, 0.25)
    assert (big.weight, big.max_in_flight, big.label) == (5, 8, "big")
    assert (small.weight, small.max_in_flight, small.label) == (1, None, "[::1]:3002")
    assert big.model is not None
    assert small.model is not None
    assert (big.model.workers, big.model.queue, big.model.discipline) == (4, None, "fifo")
    assert (small.model.workers, small.model.queue, small.model.discipline) == (1, 3, "ps")
    assert scenario.utilisation == pytest.approx(150 / (4 / 0.020 + 1 / 0.010))
    assert (scenario.run.requests, scenario.run.warmup, scenario.run.seed) == (1000, 2.0, 7)
    assert (scenario.expect.p99, scenario.expect.p50) == (0.25, None)


def test_an_empty_file_is_the_default_balancer() -> None:
    scenario = Scenario.parse("")
    assert scenario.algorithm.name == "round_robin"
    assert scenario.server.listen == "127.0.0.1:8080"
    assert [backend.address for backend in scenario.backends] == [
        "127.0.0.1:3001",
        "127.0.0.1:3002",
        "127.0.0.1:3003",
    ]
    assert scenario.health.enabled
    assert (scenario.health.interval, scenario.health.timeout) == (30.0, 2.0)
    assert (scenario.health.rise, scenario.health.fall, scenario.health.jitter) == (2, 3, 0.1)
    assert (scenario.retries.max, scenario.queue.limit) == (1, 0)
    assert (scenario.run.replications, scenario.run.seed, scenario.run.warmup) == (5, 1, None)


def test_what_is_left_out_is_not_taken_as_given() -> None:
    assert "response" not in Scenario.parse('[timeouts]\nconnect = "1s"').timeouts.model_fields_set


@pytest.mark.parametrize("text", ["", EXAMPLE], ids=["default", "example"])
def test_a_scenario_survives_its_own_description(text: str) -> None:
    scenario = Scenario.parse(text)
    described = scenario.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert described["algorithm"] == {"name": scenario.algorithm.name}
    assert [row["address"] for row in described["backend"]] == [
        backend.address for backend in scenario.backends
    ]


def test_a_file_is_read_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text(EXAMPLE)
    assert Scenario.load(path) == Scenario.parse(EXAMPLE)


def test_the_balancer_is_what_the_file_describes() -> None:
    balancer: Balancer[Any] = Balancer(Scenario.parse(EXAMPLE).setup(), Random(0))
    big, small = balancer.pool.backends
    assert balancer.algorithm == "least_connections"
    assert (big.name, big.address, big.weight, big.limit) == ("big", "127.0.0.1:3001", 5, 8)
    assert (small.name, small.order) == ("[::1]:3002", 1)
    policy = big.health.policy
    assert (policy.interval, policy.rise, policy.fall, policy.timeout) == (10.0, 3, 3, 2.0)
    assert Scenario.parse(EXAMPLE).setup("random").algorithm == "random"


def test_policies_have_the_defaults_of_the_balancer() -> None:
    setup = Scenario.parse('[[backend]]\naddress = "127.0.0.1:1"').setup()
    assert setup == Setup((Settings("127.0.0.1:1"),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("0s", 0.0),
        ("20us", 20e-6),
        ("2m", 120.0),
        ("1h", 3600.0),
        (" 3 s ", 3.0),
        ("0.2ms", 0.0002),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "wrong", ["", "5", "s", "-1s", "1 day", "1.s", ".5s", "1e3s", "1s2ms", "inf s", 5, 1.5, None]
)
def test_what_is_no_duration(wrong: object) -> None:
    with pytest.raises(ValueError, match='such as "250ms"'):
        seconds(wrong)


@pytest.mark.parametrize(
    ("low", "high", "status", "expected"),
    [
        ("200", "299", 200, True),
        ("200", "299", 299, True),
        ("200", "299", 199, False),
        ("200", "299", 300, False),
        ("204", "", 204, True),
        ("204", "", 200, False),
    ],
)
def test_expected_statuses(low: str, high: str, status: int, expected: bool) -> None:
    text = f'[health]\nexpect = "{low}{"-" if high else ""}{high}"'
    assert Scenario.parse(text).health.expects(status) is expected


# --- mistakes

MODEL = '[[backend]]\naddress = "h:1"\n[backend.model]\nservice = {{ {} }}\n'


def test_a_simulation_without_models_says_which_are_missing_and_where() -> None:
    modelled = MODEL.format('law = "exponential", mean = "1s"')
    assert len(Scenario.parse(modelled).modelled()) == 1
    with pytest.raises(ConfigError) as error:
        Scenario.parse(modelled + '[[backend]]\naddress = "h:2"\n', "lb.toml").modelled()
    assert error.value.problems == [
        "lb.toml:5 backend[1].model: missing; nothing to simulate h:2 with"
    ]


def test_a_simulation_without_traffic_says_so_and_what_else_it_misses() -> None:
    with pytest.raises(ConfigError) as error:
        Scenario.parse('[[backend]]\naddress = "h:1"\n', "lb.toml").offered()
    traffic, model = error.value.problems
    assert traffic.startswith("lb.toml:1 traffic: missing; give [traffic] arrivals")
    assert model.startswith("lb.toml:1 backend[0].model: missing")


def test_a_changed_scenario_still_knows_its_file() -> None:
    scenario = Scenario.parse("", "lb.toml")
    with pytest.raises(ConfigError, match=r"^lb\.toml:1 traffic: missing"):
        scenario.model_copy(update={"key": "path"}).offered()


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[traffic]\narrivals = { process = "poisson", rate = inf }', "traffic.arrivals.rate"),
        ('[traffic]\narrivals = { process = "poisson", rate = "400" }', "traffic.arrivals.rate"),
        ("[retries]\nmax = true", "retries.max"),
        ('[health]\nenabled = "yes"', "health.enabled"),
    ],
)
def test_values_of_another_kind_are_not_bent_to_fit(table: str, key: str) -> None:
    (problem,) = complaints(table)
    assert problem.startswith("lb.toml:2 ")
    assert key in problem


@pytest.mark.parametrize(
    ("algorithm", "weights", "notes"),
    [
        ("weighted_round_robin", (1, 1), 1),
        ("weighted_round_robin", (2, 1), 0),
        ("weighted_round_robin", (3,), 0),
        ("round_robin", (1, 1), 0),
        ("weighted_round_robin:sequence=edf", (1, 1), 1),
    ],
)
def test_an_algorithm_without_the_weights_it_goes_by_is_noted(
    algorithm: str, weights: tuple[int, ...], notes: int
) -> None:
    rows = [f'[[backend]]\naddress = "h:{i + 1}"\nweight = {w}' for i, w in enumerate(weights)]
    scenario = Scenario.parse("\n".join(rows))
    assert len(scenario.notes(algorithm)) == notes


@pytest.mark.parametrize(
    ("given", "name", "settings"),
    [
        (None, "p2c", {"choices": 3}),
        ("p2c", "p2c", {"choices": 3}),
        ("p2c:choices=4", "p2c", {"choices": "4"}),
        ("random", "random", {}),
    ],
)
def test_an_algorithm_given_by_its_name_alone_keeps_what_the_file_sets(
    given: str | None, name: str, settings: dict[str, object]
) -> None:
    chosen = Scenario.parse('algorithm = { name = "p2c", choices = 3 }').chosen(given)
    assert (chosen.name, chosen.settings) == (name, settings)


# --- sizes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100", 100),
        ('"100"', None),
        ('"512B"', 512),
        ('"8KiB"', 8192),
        ('"1 MiB"', 2**20),
        ('"2GiB"', 2**31),
        ('"10kB"', 10_000),
        ('"10MB"', 10**7),
        ('"1GB"', 10**9),
    ],
)
def test_sizes(text: str, expected: int | None) -> None:
    if expected is None:
        (problem,) = complaints(f"[limits]\nbody = {text}")
        assert 'did you mean "100B"?' in problem
    else:
        assert Scenario.parse(f"[limits]\nbody = {text}").limits.body == expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('body = "8 KB"', 'did you mean "8KiB"?'),
        ('body = "8k"', 'did you mean "8KiB"?'),
        ('body = "8mb"', 'did you mean "8MiB"?'),
        ('body = "much"', 'such as "8KiB"'),
        ('body = "1.5MiB"', "a whole number"),
        ("body = 1.5", "a whole number"),
        ("body = true", "a whole number"),
        ("body = -1", "greater than or equal to 0"),
        ("request_line = 0", "greater than or equal to 64"),
        ('header_bytes = "1B"', "greater than or equal to 256"),
        ("header_count = 0", "greater than or equal to 8"),
        ('header_byte = "1KiB"', "header_bytes"),
    ],
)
def test_what_is_no_limit(line: str, why: str) -> None:
    (problem,) = complaints(f"[limits]\n{line}")
    assert problem.startswith(f"lb.toml:2 limits.{line.split()[0]}: ")
    assert why in problem


def test_limits_have_defaults() -> None:
    limits = Scenario.parse("").limits
    assert (limits.request_line, limits.header_bytes, limits.header_count) == (8192, 65536, 200)
    assert limits.body is None
    assert Scenario.parse("").timeouts.tunnel == 3600.0


def test_a_line_and_limits_that_adapt() -> None:
    scenario = Scenario.parse(
        '[queue]\nlimit = 9\ndiscipline = "adaptive"\ninterval = "50ms"\nmax_lag = "1s"\n'
        '[[backend]]\naddress = "h:1"\nmax_in_flight = "adaptive"\n'
    )
    setup = scenario.setup()
    assert setup.queue == QueuePolicy(9, 1.0, discipline="adaptive", interval=0.05, max_lag=1.0)
    assert [row.max_in_flight for row in setup.backends] == ["adaptive"]
