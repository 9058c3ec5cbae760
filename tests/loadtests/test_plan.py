"""What a load test is to send, and as whom another balancer is predicted."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from lb.terminal import Terminal

LOADTESTS = Path(__file__).parents[2] / "loadtests"


@contextmanager
def beside_the_locustfile() -> Iterator[None]:
    """Where its modules find each other."""
    sys.path.insert(0, str(LOADTESTS))
    try:
        yield
    finally:
        sys.path.remove(str(LOADTESTS))


def plan(target: str, algorithm: str) -> Any:
    given = {"scenario": "weighted", "algorithm": algorithm, "target_kind": target}
    rest = dict.fromkeys(("seed", "steps", "length", "host"))
    with beside_the_locustfile():
        return import_module("_plan").Plan.of(Namespace(**given, **rest, backend_header="X-By"))


@pytest.mark.parametrize(
    ("target", "algorithm", "model"),
    [
        ("lb", "least_connections", ""),
        ("other", "least_connections", ""),
        ("haproxy", "least_connections", "least_connections:load=idle_first"),
        ("haproxy", "weighted_round_robin:sequence=static", "weighted_round_robin:sequence=static"),
        ("nginx", "least_connections", "least_connections:load=before"),
        ("nginx", "prequal", "p2c:choices=2 (nobody is probed)"),
    ],
)
def test_another_balancer_is_predicted_as_it_balances(
    target: str, algorithm: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = plan(target, algorithm)
    assert made.model == model
    chosen = made.scenario.algorithm
    settings = ",".join(f"{key}={value}" for key, value in chosen.settings.items())
    expected = model.partition(" ")[0] or algorithm
    assert f"{chosen.name}:{settings}".rstrip(":") == expected
    made.introduce(Terminal(stderr=False))
    assert (f"{target} is predicted as " in capsys.readouterr().out) == bool(model)
