"""Names of algorithms, and what is said to a name that is none."""

from collections import Counter
from random import Random

import pytest

from lb.errors import UsageError
from lb.strategies import REGISTRY, Probing, create, spec
from tests.doubles import Draws, end, joined, send, servers


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("round_robbin", "did you mean 'round_robin'"),
        ("least_conections", "did you mean 'least_connections'"),
        ("weighted-round-robin", "did you mean 'weighted_round_robin'"),
        ("zzz", "known: " + ", ".join(sorted(REGISTRY))),
    ],
)
def test_an_unknown_algorithm_is_answered_with_the_nearest(wrong: str, hint: str) -> None:
    for ask in (spec, lambda name: create(name, Draws())):
        with pytest.raises(UsageError) as error:
            ask(wrong)
        assert f"unknown algorithm {wrong!r}" in str(error.value)
        assert hint in str(error.value)


@pytest.mark.parametrize("name", [name for name, row in REGISTRY.items() if not row.nests])
def test_what_it_says_of_weights_is_so(name: str) -> None:
    """One of two equal backends is nine times as heavy, and gets more; or not."""
    members = servers(9, 1)
    for server in members:
        server.response_time = 0.01
    strategy = joined(create(name, Random(5)), members)
    counts = Counter[int]()
    for number in range(2000):
        server = send(strategy, key=f"10.{number % 250}.{number}.1".encode())
        counts[server.order] += 1
        if isinstance(strategy, Probing):
            for asked in strategy.probes(0.0):
                strategy.probed(asked, 0.0, 0, 0.01)
        end(strategy, server, latency=0.01)
    assert (counts[0] > 1200) is REGISTRY[name].weighs
