"""Trouble lived and simulated from one file: the verdict on how the proxy comes through it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.live.verdict import Judgement, judge
from tests.lived.world import Lived, lived

BACKENDS = "".join(
    f'[[backend]]\nname = "{name}"\naddress = "127.0.0.1:{3001 + number}"\n[backend.model]\n'
    'service = { law = "exponential", mean = "20ms" }\nworkers = 2\n'
    for number, name in enumerate("abc")
)
FILE = f"""\
algorithm = "least_connections"
[health]
interval = "1s"
fall = 2
{BACKENDS}
[run]
duration = "20s"
seed = 5
"""
STEADY = '[traffic]\narrivals = { process = "poisson", rate = 60 }\n'
FAULT = '[[fault]]\nbackend = "b"\nfrom = "6s"\nto = "11s"\n'
CROWD = """\
[traffic]
arrivals = { process = "profile", points = [["0s", 50], ["8s", 600], ["9s", 50]], shape = "step" }
patience = { law = "exponential", mean = "500ms" }
client_retries = 1
"""
CASES = {
    "down": STEADY + FAULT + 'kind = "down"\n',
    "errors": STEADY + FAULT + 'kind = "errors"\nrate = 0.6\n',
    "a crowd without patience": CROWD,
    "a crowd whose work is cancelled": CROWD + "cancels = true\n",
}
LINES = ["lost", "goodput", "recovery", "out: a", "out: b", "out: c"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_run_comes_through_trouble_as_predicted(case: str) -> None:
    seen = lived(FILE + case)
    verdict = judge(seen.scenario, seen.schedule, seen.measured)
    assert list(verdict.trouble) == LINES
    assert {name for name, line in verdict.trouble.items() if not line.ok} == set()
    assert verdict.judgement is Judgement.PASSED
    told = verdict.as_dict()
    assert list(told["trouble"]) == LINES
    for whose in ("measured", "predicted"):
        arrivals = sum(told["timeline"][whose]["arrivals"])
        assert arrivals == pytest.approx(verdict.requests, rel=1e-3)


@pytest.fixture(scope="module")
def down() -> Lived:
    return lived(FILE + CASES["down"])


def test_a_fault_that_lasts_longer_than_in_the_file_is_missed(down: Lived) -> None:
    file = down.scenario
    longer = file.faults[0].model_copy(update={"until": 15.0})
    other = file.model_copy(update={"faults": (longer,)})
    verdict = judge(other, down.schedule, down.measured)
    assert verdict.judgement is Judgement.MISSED
    assert [name for name, line in verdict.trouble.items() if not line.ok] == ["out: b"]


@pytest.mark.parametrize(
    ("late", "until", "expected"),
    [
        (0.01, 15.0, Judgement.MISSED),
        (0.03, 15.0, Judgement.INVALID),
        (0.03, 11.0, Judgement.PASSED),
        (0.2, 11.0, Judgement.INVALID),
    ],
)
def test_a_busy_machine_says_nothing_of_trouble(
    down: Lived, late: float, until: float, expected: Judgement
) -> None:
    fault = down.scenario.faults[0].model_copy(update={"until": until})
    file = down.scenario.model_copy(update={"faults": (fault,)})
    verdict = judge(file, down.schedule, replace(down.measured, sent=down.measured.sent + late))
    assert verdict.judgement is expected


def test_clients_who_leave_are_counted_as_on_paper() -> None:
    seen = lived(FILE + CROWD)
    verdict = judge(seen.scenario, seen.schedule, seen.measured)
    gone = int(np.count_nonzero(seen.measured.gone))
    assert gone == verdict.failures.measured > 50
    left = seen.snapshot.left_line + sum(backend.gone for backend in seen.snapshot.backends)
    assert left <= gone
    assert verdict.trouble["lost"].ok
