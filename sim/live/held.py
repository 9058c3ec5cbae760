"""All figures of a live run that are held against its prediction, as one family.

A run as predicted lies within all intervals together nineteen times in twenty: each of them holds
for itself accordingly more often (Bonferroni). Whatever is judged counts, each phase too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sim.analysis.distances import Distance, distance
from sim.analysis.forecast import level_of_each
from sim.analysis.record import Record
from sim.live.by_backend import backend_figures
from sim.live.by_phase import ANYTHING, PhaseVerdict, phase_figures
from sim.live.kinds import LABELS, ON_PAPER, Kind
from sim.live.line import OF_LATENCY, Figure, Line, latency_figures
from sim.live.ordeal import ALLOWED, ordeal
from sim.live.seen import Seen


@dataclass(frozen=True)
class Held:
    """Each figure beside its prediction."""

    latency: dict[str, Line]
    shares: dict[str, Line]
    failures: Line
    distribution: Distance
    mean: Line
    """Shown nowhere; how late a generator may be is held against its room."""
    backends: dict[str, dict[str, Line]] = field(default_factory=dict)
    errors: dict[str, Line] = field(default_factory=dict)
    phases: list[PhaseVerdict] = field(default_factory=list)
    trouble: dict[str, Line] = field(default_factory=dict)
    """Where there is any, it, what is before it and each phase are judged in place of the whole."""

    @property
    def slow(self) -> dict[str, Line]:
        """What is judged of latencies, by name."""
        whole = {} if self.trouble else dict(self.latency)
        each = {
            f"{name} of {backend}": line
            for backend, lines in self.backends.items()
            for name, line in lines.items()
            if name != "service"
        }
        parts = {
            f"{name} {one.phase.name}": line
            for one in self.phases
            for name, line in one.latency.items()
        }
        return {**whole, **each, **parts}

    @property
    def far(self) -> dict[str, Distance]:
        """The distributions that are judged."""
        whole = {} if self.trouble else {"distribution": self.distribution}
        parts = {f"distribution {one.phase.name}": one.distribution for one in self.phases}
        return {**whole, **parts}

    @property
    def others(self) -> dict[str, Line]:
        """What is judged beside latencies: shares, failures, work, trouble."""
        shares = {f"share of {name}": line for name, line in self.shares.items()}
        whole = {} if self.trouble else {**shares, "failed": self.failures}
        kinds = {f"errors: {name}": line for name, line in self.errors.items()}
        work = {
            f"service of {name}": lines["service"]
            for name, lines in self.backends.items()
            if "service" in lines
        }
        parts = {
            f"{name} {one.phase.name}": line
            for one in self.phases
            for name, line in one.lines.items()
            if name not in one.latency
        }
        return {**whole, **kinds, **work, **parts, **self.trouble}

    @property
    def misses(self) -> Iterator[str]:
        """Names of all that is off."""
        for name, line in self.slow.items():
            if not line.ok:
                yield name
        for name, far in self.far.items():
            if not far.ok:
                yield name
        yield from self.others_missed

    @property
    def others_missed(self) -> list[str]:
        """Of them, those that are no latencies."""
        return [name for name, line in self.others.items() if not line.ok]


def held(seen: Seen, names: Sequence[str]) -> Held:
    """`names` are those of the backends, where answers tell them."""
    allowed = seen.scenario.verdict
    live, records, whole = seen.live, seen.records, seen.whole
    runs = [record.latency for record in records]
    latency = latency_figures(
        live.latency,
        runs,
        OF_LATENCY,
        [getattr(allowed, name) for name in OF_LATENCY],
        seen.way_of_all,
    )
    shares = {
        name: Figure(_share(live, order), [_share(it, order) for it in records], allowed.share)
        for order, name in enumerate(names)
    }
    failures = Figure(
        float(np.count_nonzero(~seen.fates.good)),
        [float(record.requests - record.completed) for record in whole],
        allowed.failed,
        counted=True,
    )
    trouble = ordeal(seen.scenario, seen.fates, [record.fates for record in whole], seen.cut)
    backends = backend_figures(seen, names)
    errors = _errors(seen, eventful=bool(trouble))
    phases = phase_figures(seen, names)
    every = [
        *(() if trouble else (*latency.values(), *shares.values(), failures)),
        *(one for it in backends.values() for name, one in it.items() if name != "service"),
        *errors.values(),
        *trouble.values(),
    ]
    judged = sum(one.judged for one in every) + sum(one.judged for one in phases)
    level = level_of_each(judged + (not trouble))
    empty = [len(one) == 0 for one in (live.latency, *runs)]
    mean = (
        Figure(float("nan"), [], 0.0)
        if any(empty)
        else Figure(
            float(live.latency.mean()),
            [float(one.mean()) for one in runs],
            allowed.p50,
            seen.way_of_all,
        )
    )
    return Held(
        latency={name: one.line(level) for name, one in latency.items()},
        shares={name: one.line(level) for name, one in shares.items()},
        failures=failures.line(level),
        distribution=distance(live.latency, runs, level, allowed.p50, ANYTHING, seen.way),
        mean=mean.line(level),
        backends={
            name: {figure: one.line(level) for figure, one in figures.items()}
            for name, figures in backends.items()
        },
        errors={name: one.line(level) for name, one in errors.items()},
        phases=[one.verdict(level) for one in phases],
        trouble={name: one.line(level) for name, one in trouble.items()},
    )


def _share(record: Record, order: int) -> float:
    return float(np.count_nonzero(record.backend == order) / max(record.completed, 1))


def _errors(seen: Seen, *, eventful: bool) -> dict[str, Figure]:
    """How many requests failed in each way, those ways only that there were or should be."""
    kinds = seen.measured.kind
    if kinds is None:
        return {}
    lost = ~seen.fates.good
    measured = np.bincount(kinds[lost], minlength=len(Kind))
    paper = []
    for record in seen.whole:
        counts = Counter[Kind]()
        for reason, number in record.refused.items():
            counts[ON_PAPER[reason]] += number
        paper.append(counts)
    tolerance, slack = ALLOWED["lost"]
    if not eventful:
        tolerance = seen.scenario.verdict.failed
    return {
        LABELS[kind]: Figure(
            float(measured[kind]),
            [float(counts[kind]) for counts in paper],
            tolerance,
            slack,
            counted=True,
        )
        for kind in Kind
        if kind is not Kind.NONE and (measured[kind] or any(counts[kind] for counts in paper))
    }
