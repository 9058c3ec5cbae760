"""The file format: what it accepts, what it means, and what it says about mistakes."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from lb.balancing import Balancer, Settings, Setup
from lb.config import BackendTable, Scenario, backend_flag, backend_flags, host_and_port, law_flag
from lb.errors import ConfigError, UsageError
from lb.strategies import spec
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


# --- flags


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("127.0.0.1:3001", {"address": "127.0.0.1:3001"}),
        ("localhost:80*5", {"address": "localhost:80", "weight": 5}),
        (" h:1*0.5 ", {"address": "h:1", "weight": 0.5}),
        ("[::1]:8080*2", {"address": "[::1]:8080", "weight": 2}),
    ],
)
def test_a_backend_flag(flag: str, expected: dict[str, object]) -> None:
    assert backend_flag(flag) == expected


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ("localhost", "is not host:port"),
        (":80", "is not host:port"),
        ("http://h:80", "is not host:port"),
        ("::1:80", "is not host:port"),
        ("h:65536", "port 65536"),
        ("h:80*", "weight '' is not a number above zero"),
        ("h:80*0", "weight '0' is not a number above zero"),
        ("h:80*-1", "weight '-1' is not a number above zero"),
        ("h:80*x", "weight 'x' is not a number above zero"),
    ],
)
def test_what_is_no_backend_flag(flag: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        backend_flag(flag)
    assert why in str(error.value)
    assert repr(flag) in str(error.value)


def test_flags_are_a_list_without_repetition() -> None:
    assert [row["address"] for row in backend_flags("a:1, b:2*3,c:3,")] == ["a:1", "b:2", "c:3"]
    with pytest.raises(UsageError, match="a:1 is given twice"):
        backend_flags("a:1,b:2,a:1*4")
    with pytest.raises(UsageError, match="no backends given"):
        backend_flags(" , ")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("h:80", ("h", 80)), ("[::1]:0", ("::1", 0)), ("10.0.0.1:65535", ("10.0.0.1", 65535))],
)
def test_an_address_in_its_parts(address: str, expected: tuple[str, int]) -> None:
    assert host_and_port(address) == expected


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("exponential:20ms", {"law": "exponential", "mean": 0.02}),
        ("constant:0s", {"law": "constant", "mean": 0.0}),
        ("lognormal:20ms,cv=1.5", {"law": "lognormal", "mean": 0.02, "cv": 1.5}),
        ("erlang:k=3,mean=1s", {"law": "erlang", "mean": 1.0, "k": 3}),
        ("uniform:low=1ms,high=3ms", {"law": "uniform", "low": 0.001, "high": 0.003}),
    ],
)
def test_a_law_flag(flag: str, expected: dict[str, object]) -> None:
    assert law_flag(flag).model_dump() == expected


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ("", "unknown law"),
        ("exponental:20ms", "did you mean 'exponential'"),
        ("exponential", "missing"),
        ("exponential:20", "250ms"),
        ("lognormal:20ms", "missing"),
        ("lognormal:20ms,cv=1,meen=2", "did you mean 'mean'"),
    ],
)
def test_what_is_no_law_flag(flag: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        law_flag(flag)
    assert str(error.value).startswith(repr(flag))
    assert why in str(error.value)


# --- what strategies that hash see


@pytest.mark.parametrize(
    "key", ["client_ip", "path", "uri", "header:X-LB-Key", "cookie:session.id"]
)
def test_the_key_of_a_request(key: str) -> None:
    assert Scenario.parse(f'key = "{key}"\n').key == key


def test_without_a_word_it_is_the_address_of_the_client() -> None:
    assert Scenario.parse("").key == "client_ip"


# --- mistakes

MODEL = '[[backend]]\naddress = "h:1"\n[backend.model]\nservice = {{ {} }}\n'
TRAFFIC = "[traffic]\narrivals = {{ {} }}\n"

MISTAKES = {
    # the text, where the complaint points, and what it must say
    "unknown table": ("[sever]\n", "lb.toml:1 sever", "did you mean 'server'"),
    "the table once called verify": (
        "[verify]\np99 = 0.2\n",
        "lb.toml:1 verify",
        "this table is called [verdict]",
    ),
    "unknown key": (
        '[server]\nlisten = "h:1"\nlitsen = "h:2"\n',
        "lb.toml:3 server.litsen",
        "did you mean 'listen'",
    ),
    "unknown key, nothing near": ("[queue]\nxyz = 1\n", "lb.toml:2 queue.xyz", "limit, timeout"),
    "unknown algorithm": (
        '# one\nalgorithm = "least_conections"\n',
        "lb.toml:2 algorithm",
        "did you mean 'least_connections'",
    ),
    "unknown parameter": (
        'algorithm = { name = "random", choices = 3 }\n',
        "lb.toml:1 algorithm",
        "'choices'",
    ),
    "a short form that sets nothing": (
        'algorithm = "p2c:3"\n',
        "lb.toml:1 algorithm",
        "NAME=VALUE",
    ),
    "a short form of what is unknown": (
        'algorithm = "p2d:choices=3"\n',
        "lb.toml:1 algorithm",
        "did you mean 'p2c'",
    ),
    "an algorithm by number": ("algorithm = 3\n", "lb.toml:1 algorithm", "a table, not 3"),
    "duration without a unit": ("[health]\ninterval = 30\n", "lb.toml:2 health.interval", "250ms"),
    "duration of zero": (
        '[health]\ntimeout = "0s"\n',
        "lb.toml:2 health.timeout",
        "greater than 0",
    ),
    "address without a port": ('[server]\nlisten = "h"\n', "lb.toml:2 server.listen", "host:port"),
    "port too large": ('[server]\nlisten = "h:99999"\n', "lb.toml:2 server.listen", "99999"),
    "negative rate": (
        TRAFFIC.format('process = "poisson", rate = -5'),
        "lb.toml:2 traffic.arrivals.rate",
        "greater than 0, not -5",
    ),
    "rate missing": (
        TRAFFIC.format('process = "poisson"'),
        "lb.toml:2 traffic.arrivals.rate",
        "missing",
    ),
    "unknown process": (
        TRAFFIC.format('process = "poison", rate = 5'),
        "lb.toml:2 traffic.arrivals",
        "did you mean 'poisson'",
    ),
    "process missing": (TRAFFIC.format("rate = 5"), "lb.toml:2 traffic.arrivals", "process"),
    "traffic without arrivals": ("[traffic]\n", "lb.toml:1 traffic.arrivals", "missing"),
    "unknown law": (
        MODEL.format('law = "lognromal", mean = "1s", cv = 1'),
        "lb.toml:4 backend[0].model.service",
        "did you mean 'lognormal'",
    ),
    "parameter of another law": (
        MODEL.format('law = "exponential", mean = "1s", cv = 2'),
        "lb.toml:4 backend[0].model.service.cv",
        "unknown key",
    ),
    "hyperexponential below one": (
        MODEL.format('law = "hyperexponential", mean = "1s", cv = 0.5'),
        "lb.toml:4 backend[0].model.service.cv",
        "greater than or equal to 1",
    ),
    "uniform upside down": (
        MODEL.format('law = "uniform", low = "2s", high = "1s"'),
        "lb.toml:4 backend[0].model.service",
        "low is above high",
    ),
    "no workers": (
        MODEL.format('law = "exponential", mean = "1s"') + "workers = 0\n",
        "lb.toml:5 backend[0].model.workers",
        "not 0",
    ),
    "unknown discipline": (
        MODEL.format('law = "exponential", mean = "1s"') + 'discipline = "lifo"\n',
        "lb.toml:5 backend[0].model.discipline",
        "fifo, ps",
    ),
    "negative weight": (
        '[[backend]]\naddress = "h:1"\nweight = -1\n',
        "lb.toml:3 backend[0].weight",
        "above zero, not -1",
    ),
    "weight of zero": (
        '[[backend]]\naddress = "h:1"\nweight = 0\n',
        "lb.toml:3 backend[0].weight",
        "above zero, not 0",
    ),
    "weight in words": (
        '[[backend]]\naddress = "h:1"\nweight = "heavy"\n',
        "lb.toml:3 backend[0].weight",
        "above zero, not 'heavy'",
    ),
    "endless weight": (
        '[[backend]]\naddress = "h:1"\nweight = inf\n',
        "lb.toml:3 backend[0].weight",
        "not inf",
    ),
    "address missing": ("[[backend]]\nweight = 2\n", "lb.toml:1 backend[0].address", "missing"),
    "in the second backend": (
        '[[backend]]\naddress = "h:1"\n\n[[backend]]\naddress = "h:2"\nwieght = 2\n',
        "lb.toml:6 backend[1].wieght",
        "did you mean 'weight'",
    ),
    "address twice": (
        '[[backend]]\naddress = "h:1"\n[[backend]]\naddress = "h:1"\n',
        "lb.toml:4 backend[1].address",
        "backend h:1 is given twice, first as backend[0]",
    ),
    "name twice": (
        '[[backend]]\naddress = "h:1"\nname = "x"\n[[backend]]\naddress = "h:2"\nname = "x"\n',
        "lb.toml:6 backend[1].name",
        "backend x is given twice, first as backend[0]",
    ),
    "a name that is the address of another": (
        '[[backend]]\naddress = "h:1"\n[[backend]]\naddress = "h:2"\nname = "h:1"\n',
        "lb.toml:5 backend[1].name",
        "backend h:1 is given twice",
    ),
    "one backend as a table": ('[backend]\naddress = "h:1"\n', "lb.toml:1 backend", "a list"),
    "a value for a table": ("server = true\n", "lb.toml:1 server", "a table, not true"),
    "the name used in code": ('[[backends]]\naddress = "h:1"\n', "lb.toml:1 backends", "'backend'"),
    "a setting in a table of its own": (
        '[algorithm]\nname = "p2c"\nchoices = "many"\n',
        "lb.toml:3 algorithm.choices",
        "a whole number",
    ),
    "a dotted key": ('# a\nserver . lissten = "h:1"\n', "lb.toml:2 server.lissten", "'listen'"),
    "a quoted key": ('["server"]\n"lissten" = "h:1"\n', "lb.toml:2 server.lissten", "'listen'"),
    "the second of two in a list over several lines": (
        'backend = [\n  { address = "h:1" }, # [[backend]]\n  { address = "h:1" },\n]\n',
        "lb.toml:3 backend[1].address",
        "backend h:1 is given twice",
    ),
    "a date": ("[run]\nseed = 2026-01-02\n", "lb.toml:2 run.seed", "not 2026-01-02"),
    "one of several networks": (
        '[server]\ntrusted_proxies = [\n  "10.0.0.0/8", # ours\n  "nowhere",\n]\n',
        "lb.toml:4 server.trusted_proxies[1]",
        "nowhere",
    ),
    "no backends": ("backend = []\n", "lb.toml:1 backend", "no backends"),
    "duration and requests": (
        '[run]\nduration = "1s"\nrequests = 5\n',
        "lb.toml:1 run",
        "not both",
    ),
    "warm-up in words": ('[run]\nwarmup = "some"\n', "lb.toml:2 run.warmup", "250ms"),
    "no replication": ("[run]\nreplications = 0\n", "lb.toml:2 run.replications", "not 0"),
    "share above one": ("[retries]\nbudget = 1.5\n", "lb.toml:2 retries.budget", "not 1.5"),
    "half a try": (
        "[retries]\nmax = 0.5\n",
        "lb.toml:2 retries.max",
        "should be a whole number, not 0.5",
    ),
    "a number for a text": ("key = 1\n", "lb.toml:1 key", "should be a text in quotes, not 1"),
    "expected status": (
        '[health]\nexpect = "2xx"\n',
        "lb.toml:2 health.expect",
        "'2xx' is no status",
    ),
    "no such status": (
        '[health]\nexpect = "600"\n',
        "lb.toml:2 health.expect",
        "'600' is no status",
    ),
    "a path of our own": (
        '[server]\nstats_path = "stats"\n',
        "lb.toml:2 server.stats_path",
        "'stats' is no path",
    ),
    "HTTP by the back door": (
        '[server]\nupgrades = ["H2C"]\n',
        "lb.toml:2 server.upgrades[0]",
        "would pass requests that nobody has looked at",
    ),
    "a protocol that is none": (
        '[server]\nupgrades = ["websocket",\n"a b"]\n',
        "lb.toml:3 server.upgrades[1]",
        "'a b' is no protocol",
    ),
    "statuses backwards": (
        '[health]\nexpect = "299-200"\n',
        "lb.toml:2 health.expect",
        "ends before it begins",
    ),
    "health path": ('[health]\npath = "health"\n', "lb.toml:2 health.path", "health"),
    "unknown key of requests": ('key = "heder:X"\n', "lb.toml:1 key", "did you mean 'header:X'"),
    "key, nothing near": ('key = "zzz"\n', "lb.toml:1 key", "client_ip, header:NAME, cookie:NAME"),
    "key without a name": ('key = "cookie"\n', "lb.toml:1 key", 'write "cookie:NAME"'),
    "key with a name too many": ('key = "path:/x"\n', "lb.toml:1 key", "path takes no name"),
    "key that no header is": ('key = "header:a b"\n', "lb.toml:1 key", "'a b' is no name"),
    "not a network": (
        '[server]\ntrusted_proxies = ["10.0.0.0/8", "nowhere"]\n',
        "lb.toml:2 server.trusted_proxies[1]",
        "nowhere",
    ),
    "an upgrade past all rules": (
        '[server]\nupgrades = ["websocket", "H2C"]\n',
        "lb.toml:2 server.upgrades[1]",
        "H2C would pass requests that nobody has looked at",
    ),
    "an upgrade that is no protocol": (
        '[server]\nupgrades = ["web socket"]\n',
        "lb.toml:2 server.upgrades[0]",
        "is no protocol",
    ),
}


@pytest.mark.parametrize(("text", "where", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, where: str, what: str) -> None:
    (problem,) = complaints(text)
    place, _, why = problem.partition(": ")
    assert place.startswith(where)
    assert what in why


def test_every_mistake_is_told_at_once_in_the_order_of_the_lines() -> None:
    text = """\
algorithm = "rond_robin"
[health]
intervall = "1s"
rise = 0
[[backend]]
address = "h:1"
weight = -2
[traffic]
arrivals = { process = "poisson", rate = "often" }
"""
    places = [problem.split(" ")[0] for problem in complaints(text)]
    assert places == [f"lb.toml:{line}" for line in (1, 3, 4, 7, 9)]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, why in [(tmp_path / "none.toml", "no such file"), (tmp_path, "directory")]:
        with pytest.raises(ConfigError) as error:
            Scenario.load(path)
        assert f"{path}: cannot be read: " in str(error.value)
        assert why in str(error.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        Scenario.load(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("algorithm = ", 1),
        ("# one\n[server", 2),
        ("a = 1\na = 2\n", 2),
        ("[a]\n[b]\n[a]\n", 3),
        ("just words", 1),
        ('a = """\n\n', 2),
        (f"a = 1\nb = {'9' * 5000}\n", 2),
        (f"a = {'[' * 5000}", 1),
    ],
)
def test_what_is_not_toml_is_called_so_on_its_line(text: str, line: int) -> None:
    (problem,) = complaints(text)
    assert problem.startswith(f"lb.toml:{line} file: not TOML")
    assert "\n" not in problem


def test_what_an_editor_puts_before_the_first_line_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text('\ufeffkey = "path"\n', encoding="utf-8")
    assert Scenario.load(path).key == "path"


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
    rows = [f'[[backend]]\naddress = "h:{i}"\nweight = {w}' for i, w in enumerate(weights)]
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


# --- short forms, and scenarios built in code

LONG = """\
[[backend]]
address = "h:1"
weight = 2
[backend.model]
service = { law = "lognormal", mean = "20ms", cv = 1.5 }
[[backend]]
address = "h:2"
[backend.model]
service = { law = "exponential", mean = "10ms" }
[traffic]
arrivals = { process = "poisson", rate = 100 }
[timeouts]
connect = "250ms"
[run]
warmup = "2s"
"""


def test_short_forms_say_the_same() -> None:
    short, long = (
        Scenario.parse(f"algorithm = {text}")
        for text in ('"p2c:choices=3"', '{ name = "p2c", choices = 3 }')
    )
    assert short.setup().algorithm == long.setup().algorithm == "p2c"
    row = spec("p2c")
    assert row.configure(short.algorithm.settings) == row.configure(long.algorithm.settings)
    short = 'backend = ["h:1*2", "h:2"]\n'
    rows = [row.model_copy(update={"model": None}) for row in Scenario.parse(LONG).backends]
    assert list(Scenario.parse(short).backends) == rows
    model = '[[backend]]\naddress = "h:1"\n[backend.model]\nservice = '
    assert Scenario.parse(f'{model}"lognormal:20ms,cv=1.5"') == Scenario.parse(
        f'{model}{{ law = "lognormal", mean = "20ms", cv = 1.5 }}'
    )


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('backend = ["h:1",\n"h"]\n', "lb.toml:2 backend[1]", "is not host:port"),
        ('backend = [\n"h:1*0"]\n', "lb.toml:2 backend[0]", "weight '0'"),
        ('backend = "h:1"\n', "lb.toml:1 backend", "a list"),
        ("backend = [1]\n", "lb.toml:1 backend[0]", "a table"),
        (
            '[traffic]\narrivals = { process = "poisson", rate = 1 }\nnetwork = "exponental:1ms"\n',
            "lb.toml:3 traffic.network",
            "did you mean 'exponential'?",
        ),
        (
            '[traffic]\narrivals = { process = "poisson", rate = 1 }\nnetwork = "lognormal:1ms"\n',
            "lb.toml:3 traffic.network.cv",
            "missing",
        ),
    ],
)
def test_a_mistake_in_a_short_form_has_its_place(text: str, where: str, what: str) -> None:
    (problem,) = complaints(text)
    assert problem.startswith(f"{where}: ")
    assert what in problem


def test_a_scenario_is_built_in_code_from_the_tables_of_the_file() -> None:
    built = Scenario(
        backends=[
            {"address": "h:1", "weight": 2, "model": {"service": "lognormal:20ms,cv=1.5"}},
            BackendTable(address="h:2", model={"service": "exponential:10ms"}),
        ],
        traffic={"arrivals": {"process": "poisson", "rate": 100}},
        timeouts={"connect": "250ms"},
        run={"warmup": 2},
    )
    assert built == Scenario.parse(LONG)


def test_numbers_are_seconds_in_code_but_not_in_a_file() -> None:
    assert Scenario(timeouts={"connect": 0.25}).timeouts.connect == 0.25
    (problem,) = complaints("[timeouts]\nconnect = 0.25\n")
    assert "a number and a unit" in problem
    with pytest.raises(UsageError, match="a number and a unit"):
        law_flag("exponential:0.02")


@pytest.mark.parametrize("text", ["", EXAMPLE, LONG], ids=["default", "example", "long"])
def test_what_a_scenario_says_of_itself_builds_it_again(text: str) -> None:
    scenario = Scenario.parse(text)
    assert Scenario(**scenario.model_dump()) == scenario
    assert Scenario(**scenario.model_dump(by_alias=True)) == scenario


def test_a_mistake_in_code_is_told_by_its_key() -> None:
    with pytest.raises(ConfigError) as error:
        Scenario(backends=["h:1", {"adress": "h:2"}], algorithm="p2")
    assert sorted(error.value.problems) == [
        "algorithm.name: unknown algorithm 'p2': did you mean 'p2c'?",
        "backends[1].address: missing",
        "backends[1].adress: unknown key; did you mean 'address'?",
    ]
    with pytest.raises(ConfigError, match=r"^backend\[0\]\.model: missing"):
        Scenario(backends=["h:1"]).modelled()
