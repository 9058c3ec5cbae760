"""The fields X-LB-*: what one part writes, the other reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb import wire


@pytest.mark.parametrize(
    ("value", "report"),
    [
        ("in_flight=3, latency_ms=12.5", (3, 0.0125, None, None, None)),
        ("in_flight=0,latency_ms=0", (0, 0.0, None, None, None)),
        (" in_flight=7,   latency_ms=1.000 ", (7, 0.001, None, None, None)),
        (
            "in_flight=3, latency_ms=12.5, utilisation=0.61, rate=120, errors=0",
            (3, 0.0125, 0.61, 120.0, 0.0),
        ),
        ("rate=120,utilisation=1.25", (None, None, 1.25, 120.0, None)),
        ("in_flight=3", (3, None, None, None, None)),
        ("", None),
        ("in_flight=3.5", None),
        ("in_flight=3, in_flight=3", None),
        ("utilisation", None),
        ("utilisation=-0.1", None),
        ("utilisation=1e3", None),
        ("in_flight=-3, latency_ms=1", None),
        ("in_flight=3, latency_ms=nan", None),
        ("in_flight=99999999999999999999, latency_ms=1", None),
        ("in_flight=3, latency_ms=1, more=2", None),
    ],
)
def test_what_is_a_load_report(value: str, report: tuple[float | None, ...] | None) -> None:
    assert wire.read_load(value) == report


@pytest.mark.parametrize(
    ("value", "used", "rate", "errors"),
    [
        ("TEXT cpu_utilization=0.3, rps_fractional=10", 0.3, 10.0, None),
        ("TEXT cpu_utilization:0.3,rps_fractional:10.5,eps:1", 0.3, 10.5, 1.0),
        ("TEXT cpu_utilization=0.3,application_utilization=0.9", 0.9, None, None),
        ("TEXT cpu_utilization=0.3,application_utilization=0", 0.3, None, None),
        ("TEXT cpu_utilization=0.3, mem_utilization=1, named_metrics.kv=7", 0.3, None, None),
        ('JSON {"cpu_utilization": 0.3, "rps_fractional": 10.0, "eps": 2}', 0.3, 10.0, 2.0),
        ('JSON {"applicationUtilization": 0.5, "rpsFractional": 3}', 0.5, 3.0, None),
        ('JSON {"cpu_utilization": "0.25", "utilization": {"disk": 1}}', 0.25, None, None),
    ],
)
def test_what_orca_says_is_a_load_report(
    value: str, used: float | None, rate: float | None, errors: float | None
) -> None:
    assert wire.read_load(value) == (None, None, used, rate, errors)


@pytest.mark.parametrize(
    "value",
    [
        "TEXT ",
        "TEXT named_metrics.kv=7",
        "TEXT cpu_utilization=nan",
        "TEXT cpu_utilization=-1",
        "TEXT cpu_utilization=1e300",
        "TEXT cpu_utilization=inf, rps_fractional=",
        "JSON",
        "JSON [1]",
        'JSON {"cpu_utilization": 0.3',
        'JSON {"cpu_utilization": NaN}',
        'JSON {"cpu_utilization": true}',
        "JSON " + "[" * 100_000,
        "BIN AAAA",
        "text cpu_utilization=0.3",
    ],
)
def test_what_of_orca_is_none(value: str) -> None:
    assert wire.read_load(value) is None


def test_a_load_report_is_read_as_it_was_written() -> None:
    for in_flight, latency in ((0, 0.0), (3, 0.0125), (10**8, 4000.0)):
        said = wire.read_load(wire.write_load(in_flight, latency))
        assert said == (in_flight, latency, None, None, None)
        assert wire.write_load(3, 0.0125, 0.61, 120.0, 0.0) == (
            "in_flight=3, latency_ms=12.500, utilisation=0.61, rate=120, errors=0"
        )
        said = wire.read_load(wire.write_load(in_flight, latency, 0.6125, 120.5, 0.25))
        assert said == (in_flight, latency, 0.6125, 120.5, 0.25)


@pytest.mark.parametrize(
    ("value", "served"),
    [
        (
            "backend=a:1, service_ms=12.500, sojourn_ms=13, late_ms=0.2",
            ("a:1", 0.0125, 0.013, 0.0002),
        ),
        ("backend=/run/b.sock", ("/run/b.sock", None, None, None)),
        ("late_ms=1,more=2,sojourn_ms=5", (None, None, 0.005, 0.001)),
        ("service_ms=nan, sojourn_ms=-1, late_ms=1e3", (None, None, None, None)),
        ("service_ms", (None, None, None, None)),
        ("", (None, None, None, None)),
    ],
)
def test_what_a_backend_says_of_a_request(
    value: str, served: tuple[str | None, float | None, float | None, float | None]
) -> None:
    said = wire.read_served(value)
    assert said.backend == served[0]
    assert said[1:] == pytest.approx(served[1:])


def test_what_a_backend_says_is_read_as_it_was_written() -> None:
    text = wire.write_served("127.0.0.1:3001", 0.0125, 0.013, -1e-9)
    assert text == "backend=127.0.0.1:3001, service_ms=12.500, sojourn_ms=13.000, late_ms=0.000"
    assert wire.read_served(text) == ("127.0.0.1:3001", 0.0125, 0.013, 0.0)


def test_a_size_is_read_exactly_as_it_was_written() -> None:
    for size in (0.0, 1.0, 1 / 3, 1e-300, 1e300):
        assert wire.read_size(wire.write_size({"exponential": size}), "exponential") == size
        assert wire.write_size({"exponential": size}) == repr(size)


def test_work_travels_for_each_law() -> None:
    sizes = {
        "exponential": 1 / 3,
        "lognormal(cv=2)": 1e-300,
        "uniform(0.5, 1.5)": 1.25,
        "a;b=": 2.0,
    }
    text = wire.write_size(sizes)
    assert text.isascii()
    assert "exponential=0.3333333333333333; lognormal(cv=2)=1e-300; " in text
    for law, size in sizes.items():
        assert wire.read_size(text, law) == size
    assert wire.read_size(text, "lognormal(cv=1)") is None


def test_one_number_is_the_work_under_any_law() -> None:
    assert wire.read_size("0.25", "gamma(cv=2)") == 0.25


@pytest.mark.parametrize(
    "text",
    ["", "x", "-1", "nan", "inf", "1,2", "exponential=", "exponential=1; gamma(cv=2)=-1", "a=1;"],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError):
        wire.read_size(text, "exponential")


def test_each_field_is_named_in_one_place() -> None:
    root = Path(__file__).parents[1]
    for name in (wire.LOAD, wire.ORCA, wire.SIZE, wire.KEY, wire.SERVED):
        code = (path for room in ("lb", "sim") for path in (root / room).rglob("*.py"))
        assert [p.name for p in code if f'"{name.lower()}"' in p.read_text().lower()] == ["wire.py"]
