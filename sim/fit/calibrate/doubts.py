"""Whether what is taken for services behaves like services: alike, whoever waited before."""

from __future__ import annotations

import math

import numpy as np

from sim.fit.calibrate.loops import waits_for_answers
from sim.fit.calibrate.replay import Replayed
from sim.fit.calibrate.station import Station
from sim.fit.seen import Seen
from sim.model.laws import Floats

UNLIKE = 0.12
"""Kolmogorov distance between services of those who waited and of the others from which something
else goes on at a backend."""

MISSED = 0.05
"""Of a latency, by which a replay may be off without a word."""
SURELY = 1.4
"""How many times as far as the interval of 95 % reaches: several figures are looked at."""
LITTLE = 0.04
"""Of the mean service, by which times may be off."""


def consistency(station: Station, sample: Floats) -> str:
    """A sentence where services depend on the load that was seen; empty where they do not."""
    whole = station.stays.whole
    if float(station.stays.cut.mean()) > 0.05:
        return ""  # what is cut short is not alike
    found = station.stays.found[whole]
    sample = sample[: len(found)]
    low, high = np.quantile(found, [0.3, 0.7]) if len(found) else (0, 0)
    busy, idle = sample[found > high], sample[found <= low]
    if len(busy) < 100 or len(idle) < 100:
        return ""
    edges = np.quantile(sample, np.linspace(0.02, 0.98, 49))
    # What is off by a little at every place (clocks, ways) is none of it.
    slack = LITTLE * float(sample.mean()) + 1e-3
    apart = max(
        float((_below(busy, edges - slack) - _below(idle, edges + slack)).max()),
        float((_below(idle, edges - slack) - _below(busy, edges + slack)).max()),
    )
    chance = 1.63 * math.sqrt(1 / len(busy) + 1 / len(idle))
    if apart < max(UNLIKE, 1.5 * chance):
        return ""
    ratio = float(busy.mean() / max(idle.mean(), 1e-12))
    return (
        f"services depend on the load ({ratio:.2f} times as long when busy), in no way that workers"
        " explain: it may have other traffic that is not in the recording"
    )


def misfits(replayed: Replayed, seen: Seen, *, guessed: bool) -> list[str]:
    """A sentence where the recording lies outside of what its replays make likely, and what may be
    the reason; `guessed`: the algorithm is not known. Of traffic that waits for its answers,
    replays stray far, and yet are off.
    """
    off, waits = [], waits_for_answers(seen)
    least, surely = (2 * MISSED, 0.0) if waits else (MISSED, SURELY)
    for name in ("mean", "p50", "p95"):
        again, was = replayed.replayed[name], replayed.recorded[name]
        if again.low is None or again.high is None or abs(replayed.error.get(name, 0.0)) < least:
            continue
        if abs(was - again.value) > surely * (again.high - again.value):
            off.append(f"{name} {replayed.error[name]:+.0%}")
    if not off:
        return []
    why = "something goes on that it has no words for, other traffic at the backends, say"
    if waits:
        why = "the traffic seems to wait for its answers, and arrivals as they were do not"
    elif guessed:
        why += "; if the balancer's algorithm is another one, say so: -a NAME"
    return [f"the model does not replay its recording ({', '.join(off)}): {why}"]


def _below(sample: Floats, edges: Floats) -> Floats:
    share: Floats = np.searchsorted(np.sort(sample), edges, side="right") / len(sample)
    return share
