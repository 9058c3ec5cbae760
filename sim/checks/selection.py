"""Is the best one in the set as often as is said? `python -m sim.checks.selection`.

Synthetic cases of many kinds, each with a truth from long runs on requests that the search does not
see. Where the long runs cannot tell some apart, each of them is a true best.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lb.config import Scenario
from lb.terminal import Terminal
from sim.checks.honesty import at_most
from sim.crew import Crew
from sim.fit.recommend.aims import Aim, parse
from sim.fit.recommend.contenders import contenders
from sim.fit.recommend.ranking import rank
from sim.fit.recommend.sampling import Sampler, Setting, of_length
from sim.fit.recommend.scores import score
from sim.fit.recommend.searching import RANKED
from sim.fit.recommend.selection import ERROR, paired

BUDGET = 1e6
"""Requests of a ranking: a fifth of what `lb recommend` has, so that sets are not sure."""
TRUTH = 50
"""Replications of the long runs."""
SEEDS_APART = 7_000_000
SURE = 3.0
"""Standard errors beyond which the long runs tell two apart."""
CHANCE = 0.01
"""How seldom the check itself is wrong about a search that is right just as often as it says."""
PLAIN = (
    "round_robin",
    "random",
    "least_connections",
    "p2c",
    "peak_ewma",
    "least_response_time",
    "join_idle_queue",
)
WEIGHTED = (*PLAIN, "weighted_round_robin", "weighted_random")
KEYED = ("round_robin", "least_connections", "consistent_hash", "maglev", "rendezvous", "sticky")
EQUALS = ("round_robin", "weighted_round_robin", "weighted_round_robin:sequence=edf", "random")


@dataclass(frozen=True)
class Case:
    """One system."""

    name: str
    aim: str
    load: float
    backends: tuple[str, ...]
    """Of each: its service law, then more lines of its model behind semicolons; a weight before a
    star."""
    algorithms: tuple[str, ...] = PLAIN
    more: str = ""
    """Lines of [traffic]."""
    arrivals: str = 'process = "poisson"'
    run: str = ""
    tables: str = ""

    def scenario(self, seed: int) -> Scenario:
        """The file."""
        lines = ["[traffic]", f"arrivals = {{ {self.arrivals}, rate = 1 }}", self.more]
        lines += ["[run]", f"seed = {seed}", self.run, self.tables]
        for place, text in enumerate(self.backends):
            weight, star, model = text.rpartition("*")
            law, *rest = model.split(";")
            lines += ["[[backend]]", f'address = "b:{place}"']
            lines += [f"weight = {weight}"] if star else []
            lines += ["[backend.model]", f'service = "{law}"', *rest]
        return Scenario.parse("\n".join(lines), self.name).at_load(self.load)


PS_SLOW = 'exponential:30ms;discipline = "ps"'
QUICK, SLOW, EXP = "exponential:10ms", "exponential:30ms", "exponential:20ms"
TAIL, WILD, EVEN = "lognormal:20ms,cv=2", "lognormal:20ms,cv=4", "deterministic:20ms"
PS, PS_TAIL = f'{EXP};discipline = "ps"', f'{TAIL};discipline = "ps";workers = 2'
TEN = "balancers = 10"
BURSTS = 'process = "batch", size = 4'
CASES = (
    Case("four alike", "p99 < 1s", 0.8, (EXP,) * 4),
    Case("four alike, mean", "mean < 1s", 0.9, (EXP,) * 4),
    Case("four alike, light", "p95 < 1s", 0.4, (EXP,) * 4),
    Case("near saturation", "p99 < 1s", 0.95, (EXP,) * 3),
    Case("two speeds", "p99 < 1s", 0.7, (QUICK, QUICK, SLOW)),
    Case("two speeds, weights", "p99 < 1s", 0.7, (f"3*{QUICK}", f"3*{QUICK}", SLOW), WEIGHTED),
    Case("wrong weights", "p95 < 1s", 0.6, (f"1*{QUICK}", f"3*{SLOW}", EXP), WEIGHTED),
    Case("right weights, mean", "mean < 1s", 0.5, (f"3*{QUICK}", SLOW), WEIGHTED),
    Case("heavy tails", "p99 < 1s", 0.7, (TAIL,) * 4),
    Case("very heavy tails", "p99 < 2s", 0.6, (WILD,) * 4),
    Case("very heavy tails, mean", "mean < 1s", 0.7, (WILD,) * 3),
    Case("always the same", "p99 < 1s", 0.85, (EVEN,) * 4),
    Case("processor sharing", "p99 < 1s", 0.8, (PS,) * 4),
    Case("sharing, tails, speeds", "p99 < 1s", 0.7, (PS_TAIL, PS_TAIL, PS_SLOW)),
    Case("many workers", "p99 < 1s", 0.85, (f"{EXP};workers = 8",) * 3),
    Case("unequal workers", "p95 < 1s", 0.8, (f"{EXP};workers = 8", f"{EXP};workers = 2")),
    Case("ten balancers", "p99 < 1s", 0.8, (EXP,) * 6, run=TEN),
    Case(
        "ten balancers, speeds", "p99 < 1s", 0.6, (QUICK,) * 3 + (SLOW,) * 3, run="balancers = 10"
    ),
    Case(
        "skewed keys",
        "p99 < 2s",
        0.5,
        (EXP,) * 4,
        KEYED,
        'keys = { law = "zipf", count = 1000, s = 0.9 }',
    ),
    Case("bursts", "p99 < 1s", 0.7, (EXP,) * 4, arrivals=BURSTS),
    Case("equals", "p99 < 1s", 0.7, (EXP,) * 4, EQUALS),
    Case("two equals", "mean < 1s", 0.8, (EXP,) * 2, ("p2c", "least_connections", "random")),
    Case("a line that is full", "failed < 5%", 1.1, (f"{EXP};queue = 3",) * 3),
    Case("a network", "p99 < 1s", 0.8, (EXP,) * 4, more='network = "exponential:5ms"'),
)


class Outcome(NamedTuple):
    """What came of one search."""

    case: str
    best: tuple[str, ...]
    """True ones."""
    left: tuple[str, ...]
    leader: str

    @property
    def right(self) -> bool:
        """Whether a true best is in the set."""
        return bool(set(self.best) & set(self.left))


def outcomes(
    cases: Sequence[Case], searches: int, crew: Crew, budget: float = BUDGET, truth: int = TRUTH
) -> Iterator[Outcome]:
    """Each case is searched so often, with a seed each time."""
    for case in cases:
        aims = [parse(case.aim)]
        best = true_best(case, aims, crew, truth)
        for seed in range(1, searches + 1):
            there = case.scenario(seed)
            sampler = Sampler(crew, budget / RANKED)
            field = contenders(there, case.algorithms).contenders
            field = [it for it in field if it.text in case.algorithms]
            selection = rank(sampler, there, aims, field, RANKED).selection
            yield Outcome(case.name, best, selection.left, selection.leader)


def true_best(case: Case, aims: Sequence[Aim], crew: Crew, replications: int) -> tuple[str, ...]:
    """By long runs: the lowest score, and those that it cannot be told from."""
    there = of_length(case.scenario(SEEDS_APART))
    settings = [Setting(there, name) for name in case.algorithms]
    seen = Sampler(crew, 1e12).observe(settings, replications)
    scores = {it.algorithm: score(mine, aims) for it, mine in zip(settings, seen, strict=True)}
    first = min(scores, key=lambda name: scores[name].value)

    def alike(name: str) -> bool:
        gap, error, _ = paired(scores[name], scores[first])
        return gap <= SURE * error

    return tuple(name for name in scores if name == first or alike(name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Search them all; the exit status is 1 when the best is missing too often for chance."""
    parser = argparse.ArgumentParser(prog="python -m sim.checks.selection", description=__doc__)
    parser.add_argument("--searches", type=int, default=5, help="of each case [5]")
    parser.add_argument("--budget", type=float, default=BUDGET, help="requests of each [1e6]")
    parser.add_argument("--truth", type=int, default=TRUTH, help="replications of the truth [50]")
    parser.add_argument("--workers", type=int, default=1, help="processes [1]")
    given = parser.parse_args(arguments)
    rows: list[list[str]] = []
    right = leading = 0
    with Crew(given.workers) as crew:
        for case in CASES:
            done = list(outcomes([case], given.searches, crew, given.budget, given.truth))
            hits = sum(it.right for it in done)
            first = sum(it.leader in it.best for it in done)
            right, leading = right + hits, leading + first
            sizes = sum(len(it.left) for it in done) / len(done)
            rows.append(
                [
                    case.name,
                    f"{hits} of {len(done)}",
                    f"{first}",
                    f"{sizes:.1f} of {len(case.algorithms)}",
                    f"{done[0].best[0]}{f' +{len(done[0].best) - 1}' * (len(done[0].best) > 1)}",
                ]
            )
            print(*rows[-1], file=sys.stderr, flush=True)
    total = given.searches * len(CASES)
    header = ["case", "in the set", "leads", "set", "true best"]
    terminal = Terminal()
    terminal.table(f"Is the best there? {100 * (1 - ERROR):g} % is said", header, rows)
    terminal.say(f"{right} of {total} sets hold a true best; it leads in {leading}")
    return int(at_most(right, total, 1 - ERROR) < CHANCE)


if __name__ == "__main__":
    sys.exit(main())
