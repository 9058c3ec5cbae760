"""What a study is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lb.config import Scenario, effective_text
from lb.errors import ConfigError, UsageError
from lb.foreign import export
from sim.fidelity import cases as made
from sim.fidelity import overhead
from sim.fidelity.cases import OURS, SCENARIOS, TARGETS, cases
from sim.fidelity.overhead import Overhead


def test_thirteen_scenarios_and_five_algorithms_on_ours() -> None:
    found = cases("lb")
    assert len(found) == 13 * 5
    assert [(one.name, one.algorithm) for one in found[:5]] == [
        ("round_robin", name) for name in OURS
    ]
    assert {one.name for one in found} == set(SCENARIOS)
    assert {one.seconds for one in found} == {60.0}


def test_quick_is_two_algorithms_for_each_and_each_of_them_five_times_or_more() -> None:
    found = cases("lb", quick=True)
    assert len(found) == 26
    assert {one.seconds for one in found} == {20.0}
    assert min(Counter(one.algorithm for one in found).values()) >= 5
    assert max(Counter((one.name, one.algorithm) for one in found).values()) == 1
    assert len(cases("lb", ["crash"], ["p2c"], quick=True)) == 1
    assert len(cases("lb", ["crash"], OURS[:3], quick=True)) == 3


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_algorithm_can_serve_every_scenario(name: str) -> None:
    """Keys are there, the load is bounded, and in half a minute chance decides little."""
    for case in cases("lb", [name]):
        file = case.placed()
        assert file.offered().keyed
        assert file.utilisation < 0.9 or file.bounded
        assert not file.endless()
        assert 60 <= file.rate <= 600
        assert file.algorithm.name == case.algorithm
        assert (file.run.duration, file.run.requests, file.run.seed) == (60.0, None, 1)


def test_each_run_has_ports_of_its_own() -> None:
    (case,) = cases("lb", ["crash"], ["p2c"])
    one, other = case.placed(), case.placed()
    assert {row.address for row in one.backends}.isdisjoint(row.address for row in other.backends)
    assert one.server.listen != other.server.listen


def test_a_key_tells_whatever_changes_what_comes_out() -> None:
    (case,) = cases("lb", ["crash"], ["p2c"])
    assert case.key == cases("lb", ["crash"], ["p2c"])[0].key
    others = [
        replace(case, text=case.text + "\n"),
        replace(case, algorithm="random"),
        replace(case, target=TARGETS["nginx"]),
        replace(case, seconds=20.0),
        replace(case, seed=2),
    ]
    assert len({case.key, *(one.key for one in others)}) == 6


def test_others_are_modelled_by_what_they_are() -> None:
    (case,) = cases("haproxy", ["round_robin"], ["random(2)"])
    model, differs = case.modelled(case.placed())
    assert model.algorithm.name == "p2c"
    assert "points on a ring" in differs
    assert str(model.algorithm.settings["replacement"]).lower() == "true"
    assert (model.outliers.failure_rate, model.outliers.max_eject) == (None, 1.85)
    (case,) = cases("nginx", ["crash"], ["p2c"])
    assert case.algorithm == "random two least_conn"
    placed = case.placed()
    model, differs = case.modelled(placed)
    assert (model.algorithm.name, differs) == ("p2c", "")
    assert not placed.server.stats_path, "nginx would ask a backend"
    assert not model.health.enabled
    assert "server_error" not in model.outliers.counts
    (case,) = cases("lb", ["crash"], ["p2c"])
    placed = case.placed()
    assert case.modelled(placed) == (placed, "")
    assert placed.server.stats_path


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_others_are_tried_on_all_scenarios(name: str) -> None:
    found = cases(name)
    assert len(found) == 13 * 4
    assert {one.name for one in found} == set(SCENARIOS)
    assert {one.algorithm for one in found} == set(TARGETS[name].algorithms)


def test_turns_of_haproxy_are_predicted_in_its_own_order() -> None:
    for theirs, sequence in (("roundrobin", "fwrr"), ("static-rr", "static")):
        (case,) = cases("haproxy", ["weighted"], [theirs])
        placed = case.placed()
        assert export(placed, "haproxy").method == f"balance {theirs}"
        model, differs = case.modelled(placed)
        assert model.algorithm.settings == {"sequence": sequence}
        assert differs == ""


def test_what_others_have_no_equal_for_is_set_otherwise_live_and_on_paper() -> None:
    (case,) = cases("haproxy", ["overload"], ["leastconn"])
    placed = case.placed()
    assert (placed.queue.discipline, placed.queue.timeout, placed.queue.limit) == (
        *("fifo", 0.1, 2000),
    )
    assert case.modelled(placed)[0].queue == placed.queue
    assert "timeout queue 100ms" in export(placed, "haproxy").text
    (case,) = cases("nginx", ["flash_crowd"], ["least_conn"])
    placed = case.placed()
    assert placed.queue.limit == 0
    assert case.modelled(placed)[0].queue == placed.queue
    (case,) = cases("lb", ["overload"], ["p2c"])
    assert case.placed().queue.discipline == "adaptive"


@pytest.mark.parametrize("name", ["flash_crowd", "overload"])
@pytest.mark.parametrize("target", ["haproxy", "nginx"])
def test_what_is_set_otherwise_is_a_file_all_the_same(target: str, name: str) -> None:
    placed = cases(target, [name])[0].placed()
    assert Scenario.parse(effective_text(placed)).queue == placed.queue


def test_names_of_ours_and_of_theirs_are_understood() -> None:
    def ours(target: str, name: str) -> tuple[str, str]:
        (case,) = cases(target, ["weighted"], [name])
        return case.algorithm, case.ours

    assert ours("nginx", "round robin") == ("round robin", "weighted_round_robin")
    assert ours("nginx", "weighted_round_robin") == ("round robin", "weighted_round_robin")
    assert ours("nginx", "round_robin") == ("round_robin", "round_robin")
    assert ours("nginx", "random") == ("random", "random")
    assert ours("nginx", "ip_hash") == ("ip_hash", "ip_hash")
    assert ours("haproxy", "random(1)") == ("weighted_random", "weighted_random")
    assert ours("haproxy", "p2c:choices=3") == ("p2c:choices=3", "p2c:choices=3")
    assert ours("haproxy", "least_connections") == ("leastconn", "least_connections")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("caddy",), "unknown target 'caddy': known: haproxy, lb, nginx"),
        (("lb", ["crach"]), "unknown scenario 'crach': did you mean 'crash'"),
        (("lb", [], ["p3c"]), "unknown algorithm 'p3c': did you mean 'p2c'"),
        (("lb", [], ["p2c", "p2c"]), "algorithm 'p2c' is given twice"),
        (("nginx", [], ["maglev"]), "nginx has no equal of maglev: a ring takes the table's place"),
        (("nginx", [], ["p2c:choices=3"]), "has no equal of p2c:choices=3: two are drawn, not 3"),
        (("nginx", [], ["sticky"]), "nginx has no equal of sticky"),
        (("nginx", [], ["round_robbin"]), "algorithm of nginx 'round_robbin': did you mean"),
        (("haproxy", [], ["random(1)", "weighted_random"]), "'weighted_random' is given twice"),
    ],
)
def test_what_is_not_known_is_told_with_the_nearest(arguments: tuple[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        cases(*arguments)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        cases("lb", [str(file)])
    file.write_text((made.shipped() / "crash.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for old, new, why in (
        ("[traffic]", "[off]", "off: unknown"),
        ("keys =", "#", r"mine\.toml:\d+ traffic\.keys: missing; consistent_hash needs keys"),
        ('warmup = "0s"', 'warmup = "70s"', r"run\.warmup: is not shorter than the run"),
    ):
        text = (made.shipped() / "crash.toml").read_text(encoding="utf-8")
        file.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ConfigError, match=why):
            cases("lb", [str(file)])
    file.write_text(text, encoding="utf-8")
    (case,) = cases("lb", [str(file)], ["random"], seconds=5, seed=3)
    assert (case.name, case.seconds, case.seed) == ("mine", 5, 3)


def test_without_the_shipped_files_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cases("lb", ["crash"]), "they lie beside the packages"
    monkeypatch.setattr(made, "ROOT", tmp_path)
    with pytest.raises(UsageError, match=r"give files: --scenario FILE\.toml"):
        cases("lb", ["crash"])


def test_stalls_of_the_machine_are_no_cost_of_requests() -> None:
    rng = np.random.default_rng(5)
    times = np.sort(rng.uniform(1.0, 10.0, 1350))
    took = rng.gamma(16.0, 0.001 / 16.0, 1350)
    calm = overhead._of(times, took)
    assert calm.mean == pytest.approx(0.001, rel=0.03)
    assert calm.cv == pytest.approx(0.25, rel=0.15)
    for start in (2.1, 5.0, 8.3):  # whoever comes then waits for the end
        stalled = (times >= start) & (times < start + 0.2)
        took[stalled] += start + 0.2 - times[stalled]
    again = overhead._of(times, took)
    assert (again.mean, again.cv) == pytest.approx((calm.mean, calm.cv), rel=0.05)


def test_what_a_request_costs_is_the_network_of_a_prediction() -> None:
    (case,) = cases("lb", ["crash"], ["p2c"])
    law = Overhead(0.001, 0.5).on(case.placed()).offered().network
    assert law is not None
    assert law.mean == pytest.approx(0.0005)
    # Two ways, independent: their variances add up to that of the whole.
    assert 2 * (law.cv * law.mean) ** 2 == pytest.approx((0.5 * 0.001) ** 2)
