"""What a person gets: tables that say no more than the data, and files beside them."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from lb.terminal import Terminal
from sim import Estimate, Result, simulate
from sim.output.report import REPORT, print_objectives, write_report
from sim.output.words import best_first, keeping_up, milliseconds
from sim.result import BackendUse
from tests.sim.printed import LONG, printed, row
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

THREE = [serves(EXPONENTIAL)] * 3


@pytest.fixture(scope="module")
def several() -> Result:
    file = scenario(*THREE, rate=2.4, run="requests = 3000\nreplications = 5")
    return simulate(file, ["round_robin", "weighted_round_robin", "least_connections", "random"])


# --- results


def test_every_algorithm_has_its_latencies_and_backends(several: Result) -> None:
    text = printed(several)
    assert "3000 requests, 5 replications" in text
    for run in several.runs:
        assert text.count(f"  {run.algorithm}  ") == 2
    assert "cannot keep up" not in text
    assert "not served" not in text


def test_a_ranking_says_what_cannot_be_told_apart(several: Result) -> None:
    """Equal weights: weighted round robin is round robin, to the last digit."""
    text = printed(several)
    ranking = re.search(r"^By mean, best first: (.*)$", text, re.MULTILINE)
    assert ranking is not None
    best, *middle, worst = ranking[1].split(" < ")
    assert best == "least_connections"
    assert middle == ["round_robin = weighted_round_robin"]
    assert worst == "random"
    assert "By p99, best first: " in text
    assert "(= not distinguishable at 95 % with these replications)" in text


def test_who_alone_lacks_a_figure_stands_apart(several: Result) -> None:
    last = several["least_connections"]
    short = replace(last, latency={**last.latency, "mean": Estimate.beyond(3.0)})
    mixed = replace(several, runs=[short if run is last else run for run in several.runs])
    told, _, apart = best_first(mixed, "mean").partition(" (")
    assert apart == f"not to be told: {last.algorithm})"
    assert last.algorithm not in re.split(" [<=] ", told)
    assert "not to be told" not in best_first(several, "mean")


def test_one_algorithm_has_no_ranking() -> None:
    text = printed(simulate(scenario(*THREE)))
    assert "best first" not in text
    assert "one replication, batch means" in " ".join(text.split())


def test_what_cannot_keep_up_is_named() -> None:
    file = scenario(*[serves(EXPONENTIAL)] * 2, rate=4, run="requests = 2000\nreplications = 2")
    said = row(printed(simulate(file)), "round_robin:")
    assert said.startswith("round_robin: b:0, b:1 cannot keep up (2.000 of their capacity): ")
    assert "its latencies have no steady state" in said


def test_what_was_not_served_is_counted_by_reason() -> None:
    file = scenario(
        serves(CONSTANT),
        rate=2,
        process="deterministic",
        run="requests = 6\nreplications = 1",
        backend=["max_in_flight = 1"],
    )
    assert row(printed(simulate(file)), "round_robin:", "3") == (
        "round_robin: 3 of 6 requests were not served (3 rejected)"
    )


def test_nothing_served_is_none_and_not_nan() -> None:
    file = scenario(
        serves(CONSTANT),
        process="deterministic",
        run="requests = 6\nreplications = 2",
        more='[retries]\nmax = 0\n[timeouts]\nresponse = "100ms"',
    )
    text = printed(simulate(file))
    assert row(text, "round_robin", "none").split() == ["round_robin", *["none"] * 5]
    assert "nan" not in text


def test_many_backends_are_told_by_the_least_and_the_most_of_them() -> None:
    eight, nine = (
        simulate(scenario(*[serves(EXPONENTIAL)] * n, run="requests = 200")) for n in (8, 9)
    )
    assert "Backends: share" in printed(eight)
    text = printed(nine)
    assert "Backends: share" not in text
    assert "9 backends: the least and the most of them" in text
    uses = nine.runs[0].backends
    shares, busy = [use.share for use in uses], [use.utilisation for use in uses]
    figures = (min(shares), max(shares), min(busy), max(busy))
    (*_, line) = [line for line in text.splitlines() if line.startswith("  round_robin")]
    assert line.split() == ["round_robin", *(f"{figure:.1%}" for figure in figures)]


def use(name: str, offered: float, *, bounded: bool = False) -> BackendUse:
    return BackendUse(name, 0.5, min(offered, 1.0), 1.0, offered, bounded)


@pytest.mark.parametrize(
    ("backends", "said"),
    [
        ([use("x", 0.975)], []),
        ([use("x", 0.98)], []),
        ([use("x", 0.996)], ["round_robin: x is near the edge (0.996 of its capacity): chance"]),
        (
            [use("x", 0.99), use("y", 0.996), use("z", 0.5)],
            ["round_robin: x, y are near the edge (0.990 to 0.996 of their capacity): chance"],
        ),
        ([use("x", 1.5)], ["round_robin: x cannot keep up (1.500 of its capacity): its latencies"]),
        ([use("x", 1.5, bounded=True)], []),
        (
            [use("x", 1.5), use("y", 0.99)],
            [
                "round_robin: x cannot keep up (1.500 of",
                "round_robin: y is near the edge (0.990 of",
            ],
        ),
        (
            [use(f"b{i}", 2.0) for i in range(20)],
            ["round_robin: b0, b1, b2, b3, b4, b5, b6, b7 and 12 more cannot keep up (2.000 of"],
        ),
    ],
)
def test_who_keeps_up_is_told_by_the_work_that_is_offered(
    several: Result, backends: list[BackendUse], said: list[str]
) -> None:
    sentences = list(keeping_up(replace(several.runs[0], backends=backends)))
    for sentence, begins in zip(sentences, said, strict=True):
        assert sentence.startswith(begins)


@pytest.mark.parametrize("requests", [500, 3000])
def test_a_busy_queue_that_keeps_up_is_not_accused(requests: int) -> None:
    """M/M/1 at 0.975: a sample of it may be busy all the time, and it is stable all the same."""
    file = scenario(serves(EXPONENTIAL), rate=0.975, run=f"requests = {requests}\nreplications = 3")
    text = printed(simulate(file))
    assert "cannot keep up" not in text
    assert "edge" not in text


def named_alike(several: Result, algorithms: int, backends: list[str]) -> Result:
    """The result with so many algorithms, and with backends of these names."""
    run = several.runs[0]
    uses = [use(name, 0.6) for name in backends]
    runs = [
        replace(run, algorithm=f"a_rather_long_algorithm:choices={i}", backends=uses)
        for i in range(algorithms)
    ]
    return replace(several, runs=runs)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("algorithms", [1, 4, 15])
@pytest.mark.parametrize("name", ["b{}", "127.0.0.1:300{}", LONG])
@pytest.mark.parametrize("backends", [1, 3, 8, 40])
def test_nothing_of_a_result_is_cut(
    several: Result,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    algorithms: int,
    name: str,
    backends: int,
) -> None:
    shown = named_alike(several, algorithms, [name.format(i) for i in range(backends)])
    monkeypatch.setattr("sim.output.report.sentences", lambda _: [])
    text = printed(shown, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = text.split()
    for run in shown.runs:
        assert words.count(run.algorithm) >= 2
    if backends <= 8:
        for backend in shown.runs[0].backends:
            assert backend.name in words
        assert text.count("50.0% / 60.0%") == algorithms * backends
    for metric in ("mean", "p50", "p95", "p99", "p999"):
        value = shown.runs[0].latency[metric]
        if value.needs is not None:
            assert text.count(" -") >= algorithms
            continue
        assert text.count(milliseconds(value)) >= algorithms


@pytest.mark.parametrize(
    ("value", "half", "shown"),
    [
        (0.123456, 0.0123, "123 ± 12"),
        (0.123456, 0.00123, "123.5 ± 1.2"),
        (0.123456, 0.000123, "123.46 ± 0.12"),
        (0.123456, 1e-9, "123.4560 ± 0.0000"),
        (1.0, 0.5, "1000 ± 500"),
        (0.123456, 0.0, "123.5"),
        (0.123456, None, "123.5"),
        (math.nan, None, "none"),
        (0.0, None, "0"),
    ],
)
def test_digits_are_those_the_interval_supports(
    several: Result, value: float, half: float | None, shown: str
) -> None:
    run = several.runs[0]
    low, high = (None, None) if half is None else (value - half, value + half)
    latency = {**run.latency, "p95": Estimate(value, low, high)}
    text = printed(replace(several, runs=[replace(run, latency=latency)]))
    first = next(line for line in text.splitlines() if line.split()[:1] == ["round_robin"])
    assert re.split(r"\s{2,}", first.strip())[3] == shown


@pytest.mark.parametrize(
    ("low", "value", "high", "shown"),
    [
        (8.9, 42.0, 1562.0, "42 (9 to 1562)"),
        (41.4, 42.0, 44.0, "42.00 (41.40 to 44.00)"),
        (38.0, 42.0, 50.0, "42.0 (38.0 to 50.0)"),
        (36.0, 42.0, 50.0, "42.0 ± 8.0"),
        (33.0, 42.0, 53.0, "42 ± 11"),
        (-20.0, 42.0, 104.0, "42 (-20 to 104)"),
        (42.0, 42.0, 60.0, "42 (42 to 60)"),
    ],
)
def test_a_lopsided_interval_is_told_by_its_ends(
    low: float, value: float, high: float, shown: str
) -> None:
    assert milliseconds(Estimate(value / 1e3, low / 1e3, high / 1e3)) == shown


def test_what_the_sample_cannot_carry_is_a_dash_and_told_in_words(several: Result) -> None:
    told = {name: Estimate(0.2, 0.19, 0.21) for name in several.runs[0].latency}
    first, *others = (replace(run, latency=told) for run in several.runs)
    beyond = replace(first, latency={**told, "p999": Estimate.beyond(36.4)})
    text = printed(replace(several, runs=[beyond, *others]))
    first = next(line for line in text.splitlines() if line.split()[:1] == ["round_robin"])
    assert re.split(r"\s{2,}", first.strip())[5] == "-"
    assert "p999 needs about 37 times as many requests (round_robin)\n" in text


def test_names_are_taken_as_they_are() -> None:
    """Brackets are no markup, colons no emoji."""
    name = "[bold]x:smile:"
    file = scenario(serves(EXPONENTIAL), backend=[f'name = "{name}"'], run="requests = 200")
    assert name in printed(simulate(file))


def test_objectives_are_told_whether_met_or_not() -> None:
    more = '[expect]\np50 = "1h"\np99 = "1ms"'
    file = scenario(serves(EXPONENTIAL), rate=0.5, run="requests = 2000", more=more)
    paper = StringIO()
    print_objectives(simulate(file), Terminal(stream=paper, width=200))
    met, missed = paper.getvalue().splitlines()
    assert met.startswith("round_robin: objective p50: met: ")
    assert missed.startswith("round_robin: objective p99: missed: ")


def test_a_report_is_a_document_and_pictures(several: Result, tmp_path: Path) -> None:
    paths = write_report(several, tmp_path / "made" / "here")
    assert {path.name for path in paths} < set(REPORT)
    assert sorted(path.name for path in paths) == [
        "backends.png",
        "in_flight.png",
        "latency_ccdf.png",
        "latency_percentiles.png",
        "queues.png",
        "regret.png",
        "result.json",
    ]
    assert {path.parent for path in paths} == {tmp_path / "made" / "here"}
    assert sorted(paths) == sorted((tmp_path / "made" / "here").iterdir())
    written = json.loads((tmp_path / "made" / "here" / "result.json").read_text(encoding="utf-8"))
    assert written == several.as_dict()
