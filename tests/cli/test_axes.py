"""Lists, ranges and keys as a command line gives them."""

from __future__ import annotations

import pytest

from lb.cli.axes import axes_of, numbers
from lb.errors import UsageError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5", (0.5,)),
        ("0.5,0.7", (0.5, 0.7)),
        ("0.5:0.95:0.05", (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)),
        ("0.5:0.7:0.15", (0.5, 0.65)),
        ("2,10:30:10,100", (2, 10, 20, 30, 100)),
        ("1e3", (1000,)),
        ("1e300", (1e300,)),
        ("0.3:0.3:1", (0.3,)),
    ],
)
def test_numbers(text: str, values: tuple[float, ...]) -> None:
    assert numbers("--load", text) == values
    assert [type(value) for value in numbers("--load", text)] == [type(it) for it in values]


@pytest.mark.parametrize(
    "text", ["", "0.5,", "high", "nan", "inf", "1e999999", "1:2", "2:1:0.1", "1:2:0"]
)
def test_no_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="--load: "):
        numbers("--load", text)


def test_a_step_that_is_too_small() -> None:
    with pytest.raises(UsageError, match="FROM:TO:STEP"):
        numbers("--load", "0:1:0.00001")


def test_keys_take_what_a_file_may_hold() -> None:
    assert axes_of(
        [
            "traffic.keys.s=0.8,1.1",
            "p2c:choices=2,3",
            "timeouts.connect=250ms, 1s",
            'backend.model.service="lognormal:20ms,cv=1",exponential:20ms',
            'traffic.network={ law = "constant", mean = "1ms" }',
            "retries.on=['connect','reset'],[]",
            "traffic.cancels=true,false",
        ],
        load="0.5",
        rate=None,
    ) == {
        "traffic.keys.s": (0.8, 1.1),
        "p2c:choices": (2, 3),
        "timeouts.connect": ("250ms", "1s"),
        "backend.model.service": ("lognormal:20ms,cv=1", "exponential:20ms"),
        "traffic.network": ({"law": "constant", "mean": "1ms"},),
        "retries.on": (["connect", "reset"], []),
        "traffic.cancels": (True, False),
        "load": (0.5,),
    }


@pytest.mark.parametrize("text", ["run.seed", "=3", "run.seed="])
def test_no_key(text: str) -> None:
    with pytest.raises(UsageError, match="write KEY=VALUE"):
        axes_of([text])


def test_a_key_given_twice() -> None:
    with pytest.raises(UsageError, match=r"--set run\.seed: given twice"):
        axes_of(["run.seed=1", "run.seed=2"])
