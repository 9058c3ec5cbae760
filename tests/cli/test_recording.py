"""What `lb serve` is asked to record, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.cli.recording import recording, shadows
from lb.errors import UsageError
from lb.recording.wanted import SIZE, Recording

FILE = Path("run.rec")


def test_nothing_unless_a_file_is_named() -> None:
    assert recording(None, None, None, None) is None
    assert recording(FILE, None, None, None) == Recording(FILE, SIZE, None, 1.0)
    assert recording(FILE, "2GiB", 5, "10%") == Recording(FILE, 2 << 30, 5, 0.1)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((None, "1GiB", None, None), "--record-size: nothing is recorded; give --record FILE"),
        ((None, None, 3, None), "--record-keep: nothing is recorded; give --record FILE"),
        ((None, None, None, "0.5"), "--record-sample: nothing is recorded; give --record FILE"),
        ((FILE, "256M", None, None), '--record-size: a size is .*; did you mean "256MiB"?'),
        ((FILE, "4KiB", None, None), "--record-size 4KiB: a part takes 1MiB at least"),
        ((FILE, None, 1, None), "--record-keep 1: 2 at least, the one that is written"),
        ((FILE, None, None, "0"), "--record-sample 0: a share is above 0 and at most 1"),
        ((FILE, None, None, "10"), "--record-sample 10: a share is above 0 and at most 1"),
        ((FILE, None, None, "nan"), "--record-sample nan: a share is above 0"),
        ((FILE, None, None, "few"), "--record-sample: 'few' is not a share such as 2% or 0.02"),
    ],
)
def test_what_cannot_be_meant(
    given: tuple[Path | None, str | None, int | None, str | None], why: str
) -> None:
    with pytest.raises(UsageError, match=why.replace("?", r"\?")):
        recording(*given)


def test_algorithms_of_a_shadow() -> None:
    assert shadows([], None) == []
    assert shadows(["p2c:choices=3,peak_ewma", "random"], Recording(FILE)) == [
        "p2c:choices=3",
        "peak_ewma",
        "random",
    ]
    with pytest.raises(UsageError, match="--shadow: unknown algorithm 'p2d': did you mean 'p2c'"):
        shadows(["random,p2d"], None)
    with pytest.raises(UsageError, match="leave --record-sample out"):
        shadows(["p2c"], Recording(FILE, share=0.5))
