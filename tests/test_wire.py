"""The fields X-LB-*: what one part writes, the other reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb import wire


@pytest.mark.parametrize(
    ("value", "report"),
    [
        ("in_flight=3, latency_ms=12.5", (3, 0.0125)),
        ("in_flight=0,latency_ms=0", (0, 0.0)),
        (" in_flight=7,   latency_ms=1.000 ", (7, 0.001)),
        ("", None),
        ("in_flight=3", None),
        ("in_flight=-3, latency_ms=1", None),
        ("in_flight=3, latency_ms=nan", None),
        ("in_flight=99999999999999999999, latency_ms=1", None),
        ("in_flight=3, latency_ms=1, more=2", None),
    ],
)
def test_what_is_a_load_report(value: str, report: tuple[int, float] | None) -> None:
    assert wire.read_load(value) == report


def test_a_load_report_is_read_as_it_was_written() -> None:
    for in_flight, latency in ((0, 0.0), (3, 0.0125), (10**8, 4000.0)):
        assert wire.read_load(wire.write_load(in_flight, latency)) == (in_flight, latency)


def test_a_size_is_read_exactly_as_it_was_written() -> None:
    for size in (0.0, 1.0, 1 / 3, 1e-300, 1e300):
        assert wire.read_size(wire.write_size(size)) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1,2"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError):
        wire.read_size(text)


def test_each_field_is_named_in_one_place() -> None:
    root = Path(__file__).parents[1]
    for name in (wire.LOAD, wire.SIZE, wire.KEY):
        code = (path for room in ("lb", "sim") for path in (root / room).rglob("*.py"))
        assert [p.name for p in code if f'"{name.lower()}"' in p.read_text().lower()] == ["wire.py"]
