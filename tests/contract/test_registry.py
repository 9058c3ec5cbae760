"""Names of algorithms, and what is said to a name that is none."""

import pytest

from lb.errors import UsageError
from lb.strategies import REGISTRY, create, spec
from tests.doubles import Draws


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
