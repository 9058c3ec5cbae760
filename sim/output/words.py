"""What a result says, in sentences and in figures with the digits that it supports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lb.balancing.subset import subset
from lb.config import Scenario, Trace
from lb.terminal import counted, listed, plain
from sim.analysis.load import Steadiness, steadiness
from sim.analysis.objectives import times_as_many
from sim.analysis.statistics import Estimate
from sim.result import AlgorithmRun, BackendUse, Result, StationUse

MANY = 8
"""Backends beyond which they are not named one by one."""


def _number(count: float) -> str:
    """Of requests, a mean of replications: tenths only where there are few."""
    return f"{count:.0f}" if count >= 100 else f"{count:.3g}"


def offered(scenario: Scenario, algorithms: Sequence[str]) -> Iterator[str]:
    """What can be said before anything is simulated."""
    traffic, rate, load = scenario.offered(), scenario.rate, scenario.utilisation
    if traffic.users is None:
        yield f"Offered load {load:.3g} of capacity: {rate:g} requests/s."
    else:
        yield (
            f"{traffic.users.count} users, who would send {plain(rate)} requests/s if none waited: "
            f"{load:.3g} of capacity."
        )
    yield from _trace(scenario)
    yield from _balancers(scenario)
    yield from _thrashing(scenario)
    yield from _bottlenecks(scenario)
    told = [note for name in algorithms for note in scenario.notes(name)]
    for note in dict.fromkeys(told + scenario.notes_of_runs()):
        yield f"Note: {note}."
    match steadiness(load, bounded=scenario.bounded):
        case "overloaded":
            yield (
                "The backends cannot keep up: there is no steady state to estimate. What is told "
                "holds for a run of this length only."
            )
        case "edge":
            yield (
                f"The backends are near the edge ({load:.4g} of their capacity): "
                "an ordinary run is too short to tell how long the queues get."
            )


def _trace(scenario: Scenario) -> Iterator[str]:
    """What a trace holds, and that it ends before the run would."""
    trace, run = scenario.offered().arrivals, scenario.run
    if not isinstance(trace, Trace):
        return
    count, ends = len(trace.rows.times), trace.ends
    pace = f" at {trace.scale:g} times its pace" if trace.scale != 1 else ""
    yield (
        f"{trace.file}: {count} requests in {plain(ends)} s{pace}. It is the same in every "
        "replication, so intervals say nothing of other days."
    )
    if run.duration is not None and run.duration > ends:
        yield f"It ends the run after {plain(ends)} s, before its {run.duration:g} s are over."
    if run.requests is not None and run.requests > count:
        yield f"It ends the run after {count} requests, before there are {run.requests}."


def _balancers(scenario: Scenario) -> Iterator[str]:
    """How many there are, and whom none of them uses."""
    setup, many = scenario.setup(), scenario.run.balancers
    if many > 1:
        yield f"{many} balancers, each of which sees its own requests only."
    used = {
        backend.address
        for number in range(setup.subset.instance, setup.subset.instance + many)
        for backend in subset(setup.backends, replace(setup.subset, instance=number))
    }
    unused = [row.label for row in scenario.backends if row.address not in used]
    if unused:
        yield f"In no balancer's subset, so without work: {listed(unused, MANY)}."


def _thrashing(scenario: Scenario) -> Iterator[str]:
    """Backends that do less when they are full than they could, those alike together."""
    alike: dict[tuple[float, int, float], list[str]] = {}
    for backend, model in scenario.modelled():
        most, number = model.best
        if most > model.capacity:
            alike.setdefault((most, number, model.capacity), []).append(backend.label)
    many = scenario.run.balancers
    for (most, number, full), names in alike.items():
        each = f"{max(number // many, 1)}" + " of each balancer" * (many > 1)
        yield (
            f"{listed(names, MANY)}: at most {plain(most)} requests/s, {number} at a time, and "
            f"{plain(full)}/s with every worker busy. A max_in_flight of {each} would keep it "
            "there."
        )


def _bottlenecks(scenario: Scenario) -> Iterator[str]:
    """Shared stations that serve less than the backends before them could."""
    for row, alone, after in scenario.stages():
        if row is not None and after < alone:
            more = "without end" if alone == math.inf else plain(alone)
            yield (
                f"The shared station {row.name} is a bottleneck: it serves {plain(after)} "
                f"requests/s, the backends before it {more}."
            )
    served = sum(min(alone, after) for _, alone, after in scenario.stages())
    if scenario.seen_to < served:
        many = scenario.run.balancers
        who = "The balancer's own work is a bottleneck: it sees"
        if many > 1:
            who = f"The {many} balancers' own work is a bottleneck: they see"
        more = "without end" if served == math.inf else plain(served)
        yield f"{who} to {plain(scenario.seen_to)} requests/s, the backends could serve {more}."


def sentences(result: Result) -> Iterator[str]:
    """What stands below the tables: who keeps up, what was lost, who is better."""
    for run in result.runs:
        yield from keeping_up(run)
    if any(run.transient for run in result.runs):
        yield "Transient: the figures depend on the length of the run."
    yield from too_few(result.runs)
    for run in result.runs:
        if run.failed:
            parts = [(run.rejected, "rejected"), (run.timed_out, "timed out"), (run.gone, "gone")]
            other = run.failed - sum(number for number, _ in parts)
            told = [
                f"{_number(n)} {word}" for n, word in [*parts, (other, "broken or wrong")] if n > 0
            ]
            verb = "was" if _number(run.failed) == "1" else "were"
            yield (
                f"{run.algorithm}: {_number(run.failed)} of "
                f"{counted(_number(run.requests), 'request')} {verb} not served "
                f"({', '.join(told)})"
            )
    for run in result.runs:
        if found := [use for use in run.backends if use.ejected][:MANY]:
            times = ", ".join(_ejections(use) for use in found)
            yield f"{run.algorithm}: ejected, times per replication: {times}"
    if len(result.runs) > 1:
        for metric in ("mean", "p99"):
            yield f"By {metric}, best first: {best_first(result, metric)}"
        if any(len(group) > 1 for group in result.ranking("p99")):
            yield "(= not distinguishable at 95 % with these replications)"


def best_first(result: Result, metric: str) -> str:
    """`p2c < random = round_robin`; those that alone lack the figure stand apart from the others.

    Where all lack it they are told all the same: pairs differ by less than each by itself.
    """
    groups = result.ranking(metric)
    lacking = [math.isnan(result[group[0]].latency[metric].value) for group in groups]
    told = [group for group, lacks in zip(groups, lacking, strict=True) if not lacks] or groups
    text = " < ".join(" = ".join(group) for group in told)
    apart = [name for group in groups[len(told) :] for name in group]
    return f"{text} (not to be told: {', '.join(apart)})" if apart else text


def keeping_up(run: AlgorithmRun) -> Iterator[str]:
    """Which backends are sent more than they can do, and which nearly as much."""
    told: tuple[tuple[Steadiness, str, str], ...] = (
        (
            "overloaded",
            "cannot keep up",
            "its latencies have no steady state and depend on the length of the run",
        ),
        (
            "edge",
            "near the edge",
            "chance and the length of the run decide how long the queue gets",
        ),
    )
    for kind, words, meaning in told:
        if found := [use for use in run.stations if use.steadiness == kind]:
            verb = "" if kind == "overloaded" else "is " if len(found) == 1 else "are "
            yield f"{run.algorithm}: {_named(found)} {verb}{words} {_loads(found)}: {meaning}"


def too_few(runs: Sequence[AlgorithmRun]) -> Iterator[str]:
    """Which figures it would take more requests to tell."""
    for name in runs[0].latency:
        needed = {run.algorithm: needs for run in runs if (needs := run.latency[name].needs)}
        if needed:
            whose = f" ({', '.join(needed)})" if len(runs) > 1 else ""
            times = times_as_many(max(needed.values()))
            yield f"{name} needs {times} times as many requests{whose}"


def _ejections(use: BackendUse) -> str:
    falsely = f" ({use.falsely_ejected:.3g} without a fault)" if use.falsely_ejected else ""
    return f"{use.name} {use.ejected:.3g}{falsely}"


def _named(backends: Sequence[BackendUse | StationUse]) -> str:
    return listed([backend.name for backend in backends], MANY)


def _loads(backends: Sequence[BackendUse | StationUse]) -> str:
    low, *_ = shown = sorted(f"{backend.offered:.3f}" for backend in backends)
    each = low if low == shown[-1] else f"{low} to {shown[-1]}"
    return f"({each} of {'its' if len(backends) == 1 else 'their'} capacity)"


LOPSIDED = 1.5
"""One side of an interval over the other, from where on no half width describes it."""


def milliseconds(estimate: Estimate) -> str:
    """Milliseconds with the digits that the interval supports; `-` is not to be told.

    With half the width of the interval, or the interval itself: where it is lopsided, or wider on a
    side than the value, half its width would be no figure of either side.
    """
    if estimate.needs is not None:
        return "-"
    if not math.isfinite(estimate.value):
        return "none"
    value, low, high = (
        None if it is None else it * 1e3 for it in (estimate.value, estimate.low, estimate.high)
    )
    assert value is not None
    if low is None or high is None or not high > low:
        return plain(value)
    narrow, wide = sorted((abs(value - low), abs(high - value)))
    if wide <= min(LOPSIDED * narrow, value):
        half = high - value
        digits = _digits(half)
        return f"{value:.{digits}f} ± {half:.{digits}f}"
    digits = _digits(narrow or wide)
    return f"{value:.{digits}f} ({low:z.{digits}f} to {high:z.{digits}f})"


def span(low: str, high: str) -> str:
    """An interval; where nothing is random, what every run shows."""
    return f"always {low}" if low == high else f"{low} to {high}"


def _digits(width: float) -> int:
    """After the point, so that two of the width's own are told."""
    return min(max(1 - math.floor(math.log10(width)), 0), 4)
