"""Latency figures with their intervals, and which of them a sample can carry.

Quantiles are those of all replications together: averages of small samples' quantiles are low. How
far one may be off is read from how the share of requests beyond it differs from block to block;
intervals are formed for the odds of that share and carried back to seconds, so that they are
lopsided as the tail is and never below zero (sectioning on the scale of probabilities; Asmussen &
Glynn, "Stochastic Simulation", 2007, section III.5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sim.analysis.memory import Memory, found_memory
from sim.analysis.statistics import (
    QUANTILES,
    Estimate,
    latency_metrics,
    ordered_metrics,
    quantile,
    student_t,
)
from sim.model.laws import Floats

CARRIES = 5.0
"""Requests, counted as independent ones, that it takes beyond a quantile to tell where it is.

From there on intervals cover as often as they say: `sim.checks.coverage` shows it."""
RAW = 10.0
"""Requests, however they hang together, that it takes beyond a quantile without a steady state, and
to tell two algorithms apart by it."""
GROWING = 0.5
"""Replications beyond a quantile that it takes where backlogs grow: those who wait in one at a time
wait equally long, so all of them say hardly more than one would."""
TAME = 20.0
"""Of laws wilder than that, times as many requests as they are wild that it takes to tell the mean:
at a tenth of that the interval of M/G/1 with lognormal service missed it in one run of six, always
below."""
BLOCKS = 20
"""Blocks that are aimed at: more would hardly narrow an interval."""
FEW, FEWEST = 10, 5
"""Blocks that replications are cut into even where these hang together, and one replication is."""
LENGTH = 5.0
"""Memories in a block that is long enough."""
WIDEST = 50.0
"""Half an interval, as a logarithm, that is as good as none."""
DOUBLE = 2.0
"""Times what is seen of a memory that is taken for it where nothing is known."""
UP, UP_MEAN, DOWN = 1.5, 2.5, 0.3
"""How much wider an interval is than Student's, upwards and downwards, over the root of the
independent requests beyond: samples without a burst look low and sure at once. Chosen on M/M/1,
M/D/1, E4/M/1, M/H2/1 and M/G/1 with lognormal service at 0.5 to 0.9, so that it covers."""

Blocks = list[dict[str, float]]


def latency_estimates(
    samples: Sequence[Floats], level: float = 0.95
) -> tuple[dict[str, Estimate], Blocks]:
    """Mean and quantiles in seconds with their intervals, and what each block says of them.

    `samples` holds one array of latencies per replication, by arrival, of which nothing else is
    known. A figure that they cannot carry says how many times as many requests it `needs`.
    """
    memory = Memory(DOUBLE * found_memory(samples))
    return _estimates(samples, level, memory, parts_of(samples, memory), steady=True)


def estimate_together(
    samples: Mapping[str, Sequence[Floats]],
    expected: Memory,
    *,
    steady: bool,
    growing: bool = False,
    level: float = 0.95,
) -> tuple[dict[str, dict[str, Estimate]], dict[str, Blocks], float]:
    """Of several algorithms that saw the same requests, whose memory is `expected`.

    Their replications are cut into blocks alike, so that they can be compared block by block; the
    last figure is by how much blocks vary less than independent ones. Runs that are not `steady`
    are only compared with each other: one alone has no interval. `growing`: nor do backlogs end.
    """
    memories = {name: expected.seen(mine) for name, mine in samples.items()}
    longest = max(memories.values(), key=lambda memory: memory.span)
    parts = min(parts_of(mine, longest) for mine in samples.values()) if steady else 1
    estimates, blocks = {}, {}
    for name, mine in samples.items():
        known = memories[name]
        estimates[name], blocks[name] = _estimates(mine, level, known, parts, steady=steady)
        if growing:
            estimates[name] |= left_out(estimates[name], len(mine))
    shortest = min(sum(map(len, mine)) / len(mine) for mine in samples.values()) / parts
    shortfall = longest.shortfall(shortest) if parts > 1 and shortest else 1.0
    return estimates, blocks, shortfall


def estimate_blocks(
    blocks: Sequence[Floats], counted: int, expected: Memory, *, steady: bool
) -> tuple[dict[str, Estimate], Blocks]:
    """Of blocks that are cut already; each holds what stands for its part of `counted` requests."""
    standing = sum(map(len, blocks))
    part = standing / max(counted, 1)
    memory = expected._replace(requests=expected.requests * part, wild=expected.wild * part)
    return _estimates(blocks, 0.95, memory, 1, steady=steady)


def _estimates(
    samples: Sequence[Floats], level: float, memory: Memory, parts: int, *, steady: bool
) -> tuple[dict[str, Estimate], Blocks]:
    blocks = [part for one in samples for part in np.array_split(one, parts) if len(part)]
    everything = np.concatenate(samples)
    if not len(everything):
        nothing = latency_metrics(everything)
        return {name: Estimate(value, None, None) for name, value in nothing.items()}, [nothing]
    mean = float(everything.mean())
    everything.sort()
    values = ordered_metrics(everything, mean)
    n, k = len(everything), len(blocks)
    shortfall = memory.shortfall(n / k) if parts > 1 else 1.0
    student = student_t((1 + level) / 2, k - 1) / math.sqrt(k * shortfall) if k > 1 else math.nan
    weights = np.array([len(block) for block in blocks]) * k / n
    worth = n / memory.requests if steady else n
    wild = memory.wild if steady else 1.0
    needed = CARRIES if steady else RAW

    told = [{"mean": _at(weights, [block.mean() for block in blocks], values["mean"])}]
    least = float(everything.std()) * math.sqrt(k / n)  # of the difference between blocks
    estimates = {
        "mean": _mean(values["mean"], told[0]["mean"], student, min(worth, n / wild), least)
    }
    if wild > TAME and n / wild < TAME:
        estimates["mean"] = Estimate.beyond(TAME * wild / n)
    for name, q in QUANTILES.items():
        shares = [float(np.mean(block > values[name])) for block in blocks]
        deviations = _at(weights, shares, 1 - q)
        beyond = worth * min(q, 1 - q)
        least = math.sqrt(q * (1 - q) * k / n)
        estimates[name], slope = _quantile(everything, q, deviations, student, beyond, least)
        if beyond < needed:
            estimates[name] = Estimate.beyond(needed / beyond)
        if n * (1 - q) < RAW:  # not even for telling two apart
            slope = math.nan
        told.append({name: values[name] + slope * (deviations - deviations.mean())})
    columns = {name: column for one in told for name, column in one.items()}
    return estimates, [
        {name: float(column[i]) for name, column in columns.items()} for i in range(k)
    ]


def left_out(estimates: Mapping[str, Estimate], replications: int) -> dict[str, Estimate]:
    """Those that so few replications cannot carry, where backlogs grow."""
    needs = {name: GROWING / (replications * (1 - q)) for name, q in QUANTILES.items()}
    return {
        name: Estimate.beyond(max(needs[name], estimates[name].needs or 0.0))
        for name in needs
        if needs[name] > 1 + 1e-9
    }


def parts_of(samples: Sequence[Floats], memory: Memory) -> int:
    """Into how many blocks each replication is cut: twenty in all, if they are long enough."""
    replications = max(len(samples), 1)
    shortest = min(map(len, samples), default=0)
    long_enough = int(shortest / (LENGTH * memory.span))
    least = -(-(FEW if replications > 1 else FEWEST) // replications)
    return max(min(max(least, min(-(-BLOCKS // replications), long_enough)), shortest // 2), 1)


def _at(weights: Floats, seen: Sequence[float], centre: float) -> Floats:
    """Blocks' figures as if all were of one length; their mean is that of all requests."""
    figures: Floats = np.array(seen)
    return centre + weights * (figures - float(np.dot(weights, figures)) / len(figures))


def _mean(value: float, blocks: Floats, student: float, worth: float, least: float) -> Estimate:
    if math.isnan(student):
        return Estimate(value, None, None)
    spread = max(float(blocks.std(ddof=1)), least)  # chance may make blocks alike
    half = student * spread / value if value > 0 else 0.0
    up, down = (min(half * (1 + more / math.sqrt(worth)), WIDEST) for more in (UP_MEAN, DOWN))
    return Estimate(value, value * math.exp(-down), value * math.exp(up))


def _quantile(
    ordered: Floats, q: float, shares: Floats, student: float, beyond: float, least: float
) -> tuple[Estimate, float]:
    """The estimate, and seconds per share of requests around it."""
    value = quantile(ordered, q)
    if math.isnan(student):
        return Estimate(value, None, None), 0.0
    # Of the logarithm of the odds.
    half = student * max(float(shares.std(ddof=1)), least) / (q * (1 - q))
    odds = math.log(q / (1 - q))
    low, high = (
        1 / (1 + math.exp(-(odds + sign * min(half * (1 + more / math.sqrt(beyond)), WIDEST))))
        for more, sign in ((DOWN, -1), (UP, 1))
    )
    fastest, slowest = quantile(ordered, low), quantile(ordered, high)
    slope = (slowest - fastest) / (high - low) if high > low else 0.0
    return Estimate(value, min(fastest, value), max(slowest, value)), slope
