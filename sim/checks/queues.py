"""Systems whose figures queueing theory gives exactly."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sim.checks.systems import EXPONENTIAL, Figure, System
from sim.checks.theory import chains, e_n_m_1, jsq_2, m_d_1, m_g_1, m_g_1_ps, m_m_1, m_m_c
from sim.checks.theory.closed import mva, repairmen
from sim.checks.theory.loss import erlang_b, m_m_c_k
from sim.checks.theory.reneging import erlang_a

CONSTANT = 'service = { law = "deterministic", mean = "10ms" }'
LAWS = {
    "lognormal, cv 2": ('{ law = "lognormal", mean = "10ms", cv = 2.0 }', 2.0),
    "hyperexponential, cv 2": ('{ law = "hyperexponential", mean = "10ms", cv = 2.0 }', 2.0),
    "bimodal": ('{ law = "bimodal", values = ["5ms", "55ms"], weights = [9, 1] }', 1.5),
    "erlang, k 4": ('{ law = "erlang", mean = "10ms", k = 4 }', 0.5),
    "uniform": ('{ law = "uniform", low = "0ms", high = "20ms" }', 3**-0.5),
}
"""Service laws with their coefficient of variation."""


def at_least(mean: float, p50: float, p99: float) -> tuple[Figure, ...]:
    """Mean and quantiles by theory, with the widths allowed."""
    return (
        Figure("mean", widest=mean),
        Figure("p50", widest=p50),
        Figure("p99", widest=p99),
    )


def single() -> Iterator[System]:
    """One station at a time, or several that know nothing of each other."""
    for load, requests, widths, quick in (
        (0.5, 2_000_000, (0.02, 0.02, 0.04), False),
        (0.8, 6_000_000, (0.03, 0.03, 0.08), True),
        (0.9, 10_000_000, (0.04, 0.04, 0.10), False),
        (0.95, 14_000_000, (0.07, 0.07, 0.20), False),
    ):
        yield System(
            f"M/M/1 at {load:g}, random over four",
            "Kleinrock 1975, 3.2",
            "random",
            (EXPONENTIAL,) * 4,
            4 * load,
            at_least(*widths),
            partial(m_m_1, load),
            requests,
            warmup=500 if load < 0.95 else 1500,
            quick=quick,
        )
    for c, load, requests, quick in ((4, 0.8, 4_000_000, True), (10, 0.9, 8_000_000, False)):
        yield System(
            f"M/M/{c} at {load:g}, one backend",
            "Erlang 1917",
            "round_robin",
            (f"{EXPONENTIAL}\nworkers = {c}",),
            c * load,
            at_least(0.03, 0.03, 0.065),
            partial(m_m_c, c, load),
            requests,
            quick=quick,
        )
    yield System(
        "M/D/1 at 0.8",
        "Franx 2001",
        "round_robin",
        (CONSTANT,),
        0.8,
        at_least(0.03, 0.03, 0.085),
        partial(m_d_1, 0.8),
        3_000_000,
        quick=True,
    )
    for name, (law, cv) in LAWS.items():
        yield System(
            f"M/G/1 at 0.7, {name}",
            "Pollaczek 1930, Khinchine 1932",
            "random",
            (f"service = {law}",) * 2,
            1.4,
            (Figure("mean", m_g_1(cv, 0.7), widest=0.06 if cv > 1 else 0.02),),
            requests=4_000_000,
        )
        if name in ("lognormal, cv 2", "bimodal"):
            yield System(
                f"M/G/1-PS at 0.7, {name}",
                "Sakata, Noguchi & Oizumi 1971",
                "random",
                (f'service = {law}\ndiscipline = "ps"',) * 2,
                1.4,
                (Figure("mean", m_g_1_ps(0.7), widest=0.04),),
                requests=3_000_000,
                quick=name == "bimodal",
            )


def balanced() -> Iterator[System]:
    """Several servers behind one balancer."""
    for n, load, requests, quick in ((4, 0.8, 4_000_000, True), (10, 0.9, 8_000_000, False)):
        yield System(
            f"E{n}/M/1 at {load:g}, round robin over {n}",
            "Kleinrock 1975, 6.4",
            "round_robin",
            (EXPONENTIAL,) * n,
            n * load,
            at_least(0.04, 0.04, 0.08),
            partial(e_n_m_1, n, load),
            requests,
            quick=quick,
        )
    for load, requests, quick in ((0.5, 1_200_000, False), (0.8, 4_000_000, True)):
        yield System(
            f"JSQ(2) at {load:g}, least connections",
            "matrix-geometric; Flatto & McKean 1977",
            "least_connections",
            (EXPONENTIAL,) * 2,
            2 * load,
            at_least(0.04, 0.035, 0.075),
            partial(jsq_2, load),
            requests,
            quick=quick,
        )
    for algorithm, title, load, rule, longest, quick in (
        ("least_connections", "JSQ(3)", 0.7, chains.shortest, 15, False),
        ("p2c", "two choices of 3", 0.7, chains.two_choices, 22, True),
        (
            "p2c:replacement=true",
            "two choices of 3, replaced",
            0.7,
            chains.two_choices_with_replacement,
            25,
            False,
        ),
        ("join_idle_queue", "join-idle-queue of 3", 0.5, chains.idle_first, 25, True),
    ):
        yield System(
            f"{title} at {load:g}",
            "the chain of all queue lengths, solved",
            algorithm,
            (EXPONENTIAL,) * 3,
            3 * load,
            at_least(0.02, 0.02, 0.04),
            partial(chains.of_few, 3, load, rule, longest),
            2_400_000,
            quick=quick,
        )


def bounded() -> Iterator[System]:
    """Requests that are turned away, clients who leave, users who wait for their answers."""
    for c, load, law, quick in (
        (4, 0.8, "lognormal, cv 2", True),
        (10, 1.2, "erlang, k 4", False),
    ):
        yield System(
            f"Erlang B, {c} servers at {load:g}, {law}",
            "Erlang 1917",
            "round_robin",
            (f"service = {LAWS[law][0]}\nworkers = {c}\nqueue = 0",),
            c * load,
            (
                Figure("failed", erlang_b(c, load), widest=0.03),
                Figure("mean", 1.0, widest=0.03),
            ),
            requests=1_200_000,
            quick=quick,
        )
    for c, line, load in ((1, 5, 1.2), (2, 3, 0.9)):
        finite = m_m_c_k(c, line, load)
        yield System(
            f"M/M/{c}/{c + line} at {load:g}",
            "Kleinrock 1975, 3.5",
            "round_robin",
            (f"{EXPONENTIAL}\nworkers = {c}\nqueue = {line}",),
            c * load,
            (
                Figure("failed", finite.lost, widest=0.04),
                Figure("mean", finite.mean, widest=0.02),
            ),
            requests=1_200_000,
        )
    for load, patience, quick in ((1.1, 2.0, True), (0.9, 5.0, False)):
        leaving = erlang_a(4, load, patience)
        mean = f"{patience * 10:g}ms"
        yield System(
            f"Erlang A, 4 servers at {load:g}, patience {patience:g}",
            "Palm 1957",
            "round_robin",
            (f"{EXPONENTIAL}\nworkers = 4",),
            4 * load,
            (
                Figure("gone", leaving.gone, widest=0.03),
                Figure("mean", leaving.mean, widest=0.03),
            ),
            requests=600_000,
            traffic=f'patience = {{ law = "exponential", mean = "{mean}" }}',
            quick=quick,
        )
    users, think = 20, 5.0
    thinking = f'users = {{ count = {users}, think = {{ law = "exponential", mean = "50ms" }} }}'
    for title, algorithm, models, closed, quick in (
        (
            "four backends at random",
            "random",
            (EXPONENTIAL,) * 4,
            mva(users, think, [0.25] * 4),
            True,
        ),
        (
            "four workers",
            "round_robin",
            (f"{EXPONENTIAL}\nworkers = 4",),
            repairmen(users, think, 4),
            False,
        ),
    ):
        yield System(
            f"20 users who think for 5, {title}",
            "Reiser & Lavenberg 1980",
            algorithm,
            models,
            0.0,
            (
                Figure("mean", closed.mean, widest=0.02),
                Figure("throughput", closed.throughput, widest=0.01),
            ),
            requests=1_200_000,
            traffic=thinking,
            quick=quick,
        )


def systems() -> Iterator[System]:
    """All of them."""
    yield from single()
    yield from balanced()
    yield from bounded()
