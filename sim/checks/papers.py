"""Results that were published, as data: the table, the scenario, what must come out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sim.checks.systems import CALM, EXPONENTIAL, UNIT, Figure, System
from sim.checks.theory import power_of_d
from sim.checks.theory.hedging import hedged
from sim.checks.theory.retries import attempts, failed, sinkhole
from sim.checks.theory.sojourn import exponential
from sim.checks.theory.staleness import board

HUNDRED = {
    (2, 0.5): 1.2673,
    (2, 0.8): 1.9585,
    (2, 0.9): 2.6454,
    (2, 0.95): 3.4610,
    (3, 0.5): 1.1277,
    (3, 0.8): 1.5940,
    (3, 0.9): 2.0614,
    (3, 0.95): 2.6137,
}
"""Mean time in a system of 100 servers by choices and load, simulated: Mitzenmacher, "The power of
two choices in randomized load balancing", IEEE Transactions on Parallel and Distributed Systems 12,
2001, table 1. Ten runs of 100,000 service times each."""
MANY = 'service = { law = "exponential", mean = "10ms" }\nworkers = 40'
"""Room for everybody: nobody waits."""


def choices() -> Iterator[System]:
    """Power of d choices, join-idle-queue."""
    for (d, load), mean in HUNDRED.items():
        yield System(
            f"{d} choices of 100 at {load:g}",
            "Mitzenmacher 2001, table 1",
            f"p2c:choices={d},replacement=true",
            (EXPONENTIAL,) * 100,
            100 * load,
            (Figure("mean", mean, widest=0.065 if load > 0.9 else 0.04, off=0.005),),
            requests=3_000_000,
            warmup=100,
            quick=(d, load) == (2, 0.9),
        )
    for load, quick in ((0.5, False), (0.8, True), (0.9, False)):
        yield System(
            f"2 choices of 10 at {load:g}, replaced or not",
            "Mitzenmacher 2001: the limit is below",
            "p2c:replacement=true",
            (EXPONENTIAL,) * 10,
            10 * load,
            (
                Figure("mean", 1.0, ">", against="p2c", widest=0.05),
                Figure("mean", power_of_d(2, load).mean, ">", widest=0.1),
            ),
            requests=2_000_000,
            quick=quick,
        )
    for d, load in ((2, 0.8), (2, 0.9), (3, 0.9)):
        yield System(
            f"{d} choices of 1,000 at {load:g}",
            "Vvedenskaya 1996, Mitzenmacher 2001: infinitely many",
            f"p2c:choices={d}",
            (EXPONENTIAL,) * 1000,
            1000 * load,
            tuple(Figure(name, widest=0.03, off=0.005) for name in ("mean", "p50", "p99")),
            partial(power_of_d, d, load),
            requests=2_000_000,
            warmup=60,
            replications=10,
        )
    yield System(
        "join-idle-queue of 500 at 0.8",
        "Lu et al. 2011: in the limit nobody waits",
        "join_idle_queue",
        (EXPONENTIAL,) * 500,
        400.0,
        (Figure("mean", 1.0, widest=0.01, off=0.002),),
        requests=1_000_000,
        warmup=50,
        replications=10,
    )


def resilience() -> Iterator[System]:
    """Second attempts, broken backends."""
    alone = exponential(1.0)
    for after, quick in ((1e-3, True), (1.0, False)):
        yield System(
            f"hedged after {after:g}, nobody waits",
            "order statistics; Dean & Barroso 2013",
            "random",
            # One work has the same size wherever it is done, unless the laws differ by name.
            (
                'service = "exponential:10ms"\nworkers = 40',
                'service = "erlang:10ms,k=1"\nworkers = 40',
            ),
            4.0,
            (
                Figure("mean", widest=0.025),
                Figure("p99", widest=0.05),
                Figure("hedged", alone.tail(after), widest=0.03),
            ),
            partial(hedged, alone, after),
            requests=400_000,
            tables=f"{CALM}budget = 1.0\nmin_per_second = 1000\n[hedging]\n"
            f'after = "{after * UNIT * 1e6:g}us"\n',
            quick=quick,
        )
    for rate, most, quick in ((0.3, 2, True), (0.1, 1, False)):
        yield System(
            f"{rate:.0%} errors, {most} more tries",
            "a geometric law, cut off",
            "random",
            (MANY,) * 4,
            4.0,
            (
                Figure("attempts", attempts(rate, most), widest=0.01),
                Figure("failed", failed(rate, most), widest=0.1),
            ),
            requests=400_000,
            tables=f"{CALM[: CALM.index('max')]}max = {most}\non = [500]\nbudget = 1.0\n"
            + _always("errors", range(4), f"rate = {rate}"),
            quick=quick,
        )
    yield System(
        "50% errors, 3 more tries, a budget of 0.2",
        "Finagle, Envoy: retry budgets",
        "random",
        (MANY,) * 4,
        4.0,
        (Figure("attempts", 1.2, widest=0.01, off=0.001),),
        requests=400_000,
        tables=f"{CALM[: CALM.index('max')]}max = 3\non = [500]\nbudget = 0.2\nmin_per_second = 0\n"
        + _always("errors", range(4), "rate = 0.5"),
    )
    fails = _always("fail_fast", [0])
    for algorithm, rate, share, quick in (
        ("round_robin", 6.0, 0.1, False),
        ("least_connections", 6.0, sinkhole(10, 6.0), True),
        ("least_connections", 9.5, sinkhole(10, 9.5), False),
    ):
        yield System(
            f"one of ten fails at once, {algorithm} at {rate / 10:g}",
            "birth-death process",
            algorithm,
            ('service = "exponential:1s"',) * 10,
            rate * UNIT,
            (Figure("failed", share, widest=0.03),),
            requests=200_000,
            warmup=1000,
            tables=CALM + fails,
            quick=quick,
        )
    yield System(
        "one of ten fails at once, ejected",
        "Envoy outlier detection",
        "least_connections",
        (EXPONENTIAL,) * 10,
        6.0,
        (Figure("failed", 0.005, "<", widest=0.5),),
        requests=400_000,
        warmup=100,
        tables="[health]\nenabled = false\n[retries]\nmax = 0\n" + fails,
        quick=True,
    )


def _always(kind: str, backends: Iterator[int] | range | list[int], more: str = "") -> str:
    """A fault from the start to the end."""
    names = ", ".join(f'"b:{i}"' for i in backends)
    return f'[[fault]]\nbackend = [{names}]\nkind = "{kind}"\nfrom = "0s"\nto = "1000h"\n{more}\n'


def comparisons() -> Iterator[System]:
    """Algorithms side by side, as published."""
    yield from _beyond_round_robin()
    for every, quick in ((2.0, True), (10.0, False)):
        yield System(
            f"100 servers at 0.9, board renewed every {every:g}",
            "Mitzenmacher 2000, old boards",
            _by_board(every, 2),
            (EXPONENTIAL,) * 100,
            90.0,
            (
                Figure("mean", board(2, 0.9, every), widest=0.08, off=0.03),
                _less(_by_board(every, 3), "three") if every > 4 else _less("random"),
                _less(_by_board(every, 0), "the least of all"),
            ),
            requests=800_000,
            warmup=100,
            replications=10,
            quick=quick,
        )
    yield System(
        "100 servers at 0.9, the least of an old board",
        "Mitzenmacher 2000, old boards",
        _by_board(10.0, 0),
        (EXPONENTIAL,) * 100,
        90.0,
        (Figure("mean", 1.0, ">", against="random", widest=0.5),),
        requests=800_000,
        warmup=100,
        replications=10,
    )
    capacities = (4, 1, 2)
    yield System(
        "weighted feedback, backends of speed 4, 1, 2",
        "gRFC A58: by capacity",
        "weighted_feedback",
        tuple(f"{EXPONENTIAL}\nworkers = {workers}" for workers in capacities),
        0.7 * sum(capacities),
        (Figure("to the first", capacities[0] / sum(capacities), widest=0.02, off=0.01),),
        requests=1_000_000,
        warmup=3000,
    )
    yield from _prequal()


def _less(against: str, title: str = "") -> Figure:
    return Figure("mean", 1.0, "<", against, title, widest=0.2)


def _by_board(every: float, choices: int) -> str:
    return f"least_reported:every={every * UNIT * 1000:g}ms,choices={choices},own=false"


def _prequal() -> Iterator[System]:
    """Half of the servers twice as fast, several balancers, 65 % load: prequal ahead of all."""
    weighted = "weighted_feedback:blackout=500ms,update=100ms,smoothing=300ms"
    others = {"random": "", "round_robin": "", weighted: "weighted_feedback", "p2c": ""}
    yield System(
        "10 balancers, 40 servers of two speeds: prequal",
        "Wydrowski et al. 2024, 5",
        "prequal",
        ('service = "exponential:10ms"\nworkers = 4',) * 20
        + ('service = "exponential:20ms"\nworkers = 4',) * 20,
        78.0,
        tuple(Figure("p99", 1.0, "<", who, title, widest=0.3) for who, title in others.items()),
        requests=400_000,
        warmup=150,
        replications=10,
        run="balancers = 10",
    )


def _beyond_round_robin() -> Iterator[System]:
    """Eleven backends, median 167 ms, deviation 5 ms, 1,000 requests per second for a minute; after
    15 s one of them takes 2 s for 30 s. Answered within a second: 95 %, 99 % and 99.9 %.
    """
    for algorithm, figure in (
        ("round_robin", Figure("within 1 s", 0.95, widest=0.002, off=0.006)),
        ("least_connections", Figure("within 1 s", 0.99, widest=0.002, off=0.008)),
        ("peak_ewma", Figure("within 1 s", 0.999, widest=0.001, off=0.001)),
    ):
        yield System(
            f"one of eleven takes 2 s, {algorithm}",
            'Linkerd, "Beyond round robin", 2016',
            algorithm,
            ('service = { law = "lognormal", mean = "167ms", cv = 0.03 }\nworkers = 1000',) * 11,
            1000 * UNIT,
            (figure,),
            requests=600_000,
            warmup=0,
            replications=10,
            tables=f'{CALM}[[fault]]\nbackend = "b:0"\nkind = "slow"\nfrom = "15s"\nto = "45s"\n'
            "factor = 11.98\n",
        )


def systems() -> Iterator[System]:
    """All of them."""
    yield from choices()
    yield from resilience()
    yield from comparisons()
