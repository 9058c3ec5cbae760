"""Tables that are right by themselves and contradict each other: each named with its line."""

from __future__ import annotations

import pytest

from lb.config import BackendTable, Scenario
from lb.errors import ConfigError, UsageError

TWO = 'backend = ["a:1", "b:1"]\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Scenario.parse(text, "lb.toml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "line", "key", "why"),
    [
        ("[outliers]\ncounts = []", 2, "outliers.counts", "names no outcome"),
        ("[outliers]\nmax_share = 0", 2, "outliers.max_share", "write enabled = false"),
        (
            "[outliers]\nconsecutive_failures = 0\nfailure_rate = 0.0",
            2,
            "outliers.consecutive_failures",
            "nothing is left that ejects; give one of consecutive_failures, failure_rate",
        ),
        ('[outliers]\neject = "10m"', 2, "outliers.eject", "longer than max_eject, 300 s"),
        (
            '[hedging]\nafter = "p95"\n[retries]\nbudget = 0.0\nmin_per_second = 0',
            2,
            "hedging.after",
            "which is 0; give min_per_second",
        ),
        (
            '[timeouts]\nattempt = "100ms"\n[hedging]\nafter = "200ms"',
            4,
            "hedging.after",
            "timeouts.attempt ends the attempt first, after 0.1 s; hedge sooner",
        ),
        ('[hedging]\nafter = "60s"', 2, "hedging.after", "timeouts.response ends the attempt"),
        (
            '[timeouts]\nresponse = "5s"\ntotal = "1s"\n[hedging]\nafter = "2s"',
            5,
            "hedging.after",
            "timeouts.total ends",
        ),
        (
            '[timeouts]\nattempt = "3s"\ntotal = "2s"',
            2,
            "timeouts.attempt",
            "timeouts.total ends the request first, after 2 s",
        ),
        (
            "[retries]\nmax = 2\nbudget = 0.0\nmin_per_second = 0",
            2,
            "retries.max",
            "nothing is ever tried again: budget is 0, and so is min_per_second; give one of them",
        ),
        ('[retries]\non = ["503"]', 2, "retries.on[0]", "write the status as a number, 503"),
        (
            TWO + '[[fault]]\nkind = "down"\nto = "3s"',
            2,
            "fault[0].backend",
            "missing; name one of a:1, b:1, or a list of them",
        ),
        (
            TWO + '[[fault]]\nbackend = ["b:1", "a:1", "b:1"]\nkind = "down"\nto = "3s"',
            3,
            "fault[0].backend",
            "backend b:1 is named twice",
        ),
        (
            (
                '[[backend]]\nname = "one"\naddress = "a:1"\n'
                '[[fault]]\nbackend = ["one", "a:1"]\nkind = "down"\nto = "3s"'
            ),
            5,
            "fault[0].backend",
            "backend one is named twice",
        ),
        ("[queue]\nlimit = 5", 2, "queue.limit", 'a max_in_flight, a number or "adaptive"'),
        (
            '[[backend]]\naddress = "a:1"\npriority = 2',
            3,
            "backend[0].priority",
            "no backend has priority 0",
        ),
        (
            TWO + '[[fault]]\nbackend = "c"\nkind = "down"\nto = "3s"',
            3,
            "fault[0].backend",
            "no backend is called 'c'",
        ),
        (
            TWO + '[[fault]]\nbackend = "a:1"\nkind = "down"\nfrom = "9s"\nto = "10s"\n'
            '[run]\nduration = "8s"',
            5,
            "fault[0].from",
            "the run is over then, after 8 s",
        ),
        ('[server]\nhealth_path = "/x"\nstats_path = "/x"', 3, "server.stats_path", "health_path"),
    ],
)
def test_a_contradiction_is_named_with_its_line(text: str, line: int, key: str, why: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"lb.toml:{line} {key}: ")
    assert why in problem


@pytest.mark.parametrize(
    "text",
    [
        "[outliers]\nenabled = false\nmax_share = 0",
        "[outliers]\nconsecutive_failures = 0",
        "[retries]\nbudget = 0.0\nmin_per_second = 0",
        "[retries]\nmax = 0\nbudget = 0.0\nmin_per_second = 0",
        '[timeouts]\nattempt = "60s"',
        '[hedging]\nafter = "p95"\n[timeouts]\nattempt = "100ms"',
        '[hedging]\nafter = "50ms"\n[timeouts]\nattempt = "100ms"\ntotal = "1s"',
        '[queue]\nlimit = 5\n[[backend]]\naddress = "a:1"\nmax_in_flight = "adaptive"',
        TWO + '[[fault]]\nbackend = "a:1"\nkind = "down"\nfrom = "9s"\nto = "10s"',
    ],
)
def test_what_only_looks_like_one_is_fine(text: str) -> None:
    assert Scenario.parse(text, "lb.toml")


def test_tables_are_held_against_each_other_whatever_is_wrong_with_others() -> None:
    found = problems(
        '[timeouts]\nconnect = "never"\n[queue]\nlimit = 3\n[nonsense]\n'
        '[[backend]]\naddress = "a:1"\npriority = 1\n[[fault]]\nbackend = "z"\nkind = "down"\n'
        'to = "1s"'
    )
    assert [problem.partition(": ")[0] for problem in found] == [
        "lb.toml:2 timeouts.connect",
        "lb.toml:4 queue.limit",
        "lb.toml:5 nonsense",
        "lb.toml:8 backend[0].priority",
        "lb.toml:10 fault[0].backend",
    ]


def test_a_table_that_is_wrong_is_held_against_nothing() -> None:
    found = problems('[queue]\nlimit = 3\n[[backend]]\naddress = "nowhere"')
    assert [problem.partition(": ")[0] for problem in found] == ["lb.toml:4 backend[0].address"]


FAULT = '[[fault]]\nbackend = "{}"\nkind = "{}"\nto = "3s"\n'


def test_a_wrong_row_of_a_list_hides_nothing_of_the_others() -> None:
    found = problems(
        TWO + FAULT.format("c", "down") + FAULT.format("a:1", "nonsense")
        + FAULT.format("b:1", "pause") + FAULT.format("b:1", "slow\"\nfactor = \"x")
        + FAULT.format("b:1", "pause")
    )  # fmt: skip
    assert [problem.partition(" is from ")[0] for problem in found] == [
        "lb.toml:3 fault[0].backend: no backend is called 'c'; known: a:1, b:1",
        (
            "lb.toml:6 fault[1]: unknown kind 'nonsense'; known: black_hole, cold_start, down, "
            "errors, fail_fast, flapping, health_lost, pause, reset, slow"
        ),
        "lb.toml:17 fault[3].factor: should be a number, not 'x'",
        "lb.toml:19 fault[4].from: overlaps fault[2] of b:1, which",
    ]


def test_faults_are_held_against_the_names_of_backends_that_are_wrong_otherwise() -> None:
    rows = '[[backend]]\naddress = "a:1"\nwieght = 2\n[[backend]]\nname = "two"\naddress = "b:1"\n'
    found = problems(rows + FAULT.format("a:1", "down") + FAULT.format("tow", "down"))
    assert found == [
        "lb.toml:3 backend[0].wieght: unknown key; did you mean 'weight'?",
        "lb.toml:12 fault[1].backend: no backend is called 'tow'; did you mean 'two'?",
    ]
    nameless = problems(rows.replace("two", "").replace("b:1", "b") + FAULT.format("tow", "down"))
    assert not any("fault" in problem for problem in nameless), "nobody knows what it is called"


@pytest.mark.parametrize("text", ["fault = 3", "fault = [3]", "backend = [3]\n", "backend = 3"])
def test_lists_that_are_none(text: str) -> None:
    assert len(problems(text)) == 1


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        (
            '[timeouts]\nresponse = "2s"\nattempt = "3s"',
            ["timeouts.response, 2 s, ends an attempt before timeouts.attempt does, 3 s"],
        ),
        ('[timeouts]\nattempt = "3s"', []),
        (TWO + FAULT.format("a:1", "health_lost"), []),
        (
            TWO + FAULT.format("a:1", "health_lost") + "[health]\nenabled = false",
            ["fault[0] changes nothing: health checks are off, and nobody else asks"],
        ),
        (
            'algorithm = "prequal"\n' + TWO + FAULT.format("a:1", "health_lost")
            + "[health]\nenabled = false",
            [],
        ),
        (
            ('[health]\ninterval = "250ms"\nfast_interval = "300ms"\n[[backend]]\naddress = "a:1"\n'
            '[backend.health]\ninterval = "1s"\n[[backend]]\naddress = "b:1"\n'
            '[backend.health]\nfast_interval = "2s"'),
            [
                ("health.fast_interval, 0.3 s, is longer than interval, 0.25 s: checks are slower "
                "where they should be fast"),
                ("backend[1].health.fast_interval, 2 s, is longer than interval, 0.25 s: checks "
                "are slower where they should be fast"),
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_right_and_changes_nothing_is_noted(text: str, noted: list[str]) -> None:
    assert Scenario.parse(text).notes() == noted


def test_flags_are_held_against_the_file() -> None:
    file = Scenario.parse(
        '[queue]\nlimit = 5\n[[backend]]\naddress = "a:1"\nmax_in_flight = 2\n'
        + FAULT.format("a:1", "down"),
        "lb.toml",
    )
    with pytest.raises(UsageError, match=r"^lb\.toml:2 queue\.limit: nobody ever waits"):
        file.with_flags(backends=(BackendTable(address="b:1"),))
    row = BackendTable(address="b:1", max_in_flight=1)
    assert file.with_flags(backends=(row,)).backends == (row,), "its faults are no matter"


def test_a_contradiction_in_code_is_named_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"^queue\.limit: nobody ever waits"):
        Scenario(backends=["a:1"], queue={"limit": 3})


@pytest.mark.parametrize(
    ("algorithm", "minded"),
    [
        ("round_robin", False),
        ("random", False),
        ("prequal", True),
        ("join_idle_queue", False),
        ("least_connections", True),
        ("weighted_feedback", True),
        ('{ name = "sticky", inner = "p2c" }', True),
        ('{ name = "sticky", inner = "random" }', False),
        ("sticky", False),
    ],
)
def test_slow_start_under_an_algorithm_that_ignores_weights_is_noted(
    algorithm: str, minded: bool
) -> None:
    named = algorithm if algorithm.startswith("{") else f'"{algorithm}"'
    file = Scenario.parse(f'algorithm = {named}\n{TWO}[slow_start]\nduration = "10s"')
    assert any("ignores weights" in note for note in file.notes()) is not minded


def test_what_changes_nothing_is_noted() -> None:
    file = Scenario.parse('backend = ["a:1"]\n[hedging]\nafter = "1s"\n[subset]\nsize = 3')
    assert file.notes() == [
        "a hedge goes to another backend, and there is only one",
        "subset.size leaves no backend out",
    ]
