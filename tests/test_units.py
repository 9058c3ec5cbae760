"""Durations as text, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.units import duration, seconds, share


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0s"),
        (0.25, "250ms"),
        (1.5, "1.5s"),
        (15.0, "15s"),
        (60.0, "1m"),
        (90.0, "90s"),
        (3600.0, "1h"),
        (0.0002, "0.2ms"),
        (1e-9, "0.001us"),
    ],
)
def test_the_shortest_text_is_taken(value: float, text: str) -> None:
    assert duration(value) == text


@given(st.floats(min_value=0, max_value=1e12, allow_subnormal=False))
def test_what_is_written_is_read_as_the_same(value: float) -> None:
    assert seconds(duration(value)) == value


@pytest.mark.parametrize(("text", "value"), [("2%", 0.02), (" 0.02 ", 0.02), ("2 %", 0.02)])
def test_shares(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "%", "much", "2%%", "5%3", "%5"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(ValueError, match="is not a share such as 2%"):
        share(text)
