"""The scanner in C: it agrees with the one in Python, takes no nonsense, and leaks nothing."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.proxy.http.rules import COMMON, REQUEST_RULES, Field
from lb.proxy.http.scanner import Reference, table
from tests.fuzz.agreement import MOST, compare, outcome, refuse, scanners
from tests.fuzz.heads import LINES, ODD, head


def test_the_scanners_agree(native_scanner: Any) -> None:
    """A few thousand; `make fuzz` takes ten million."""
    assert compare(native_scanner, Random(7), 20_000) > 5_000


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(LINES + ODD) | st.binary(max_size=8), max_size=12),
    st.sampled_from([b"\r\n\r\n", b"\r\n", b""]),
    st.integers(0, 8),
    st.integers(0, 2),
)
def test_the_scanners_agree_on_anything(
    native_scanner: Any, parts: list[bytes], end: bytes, most: int, rules: int
) -> None:
    for separator in (b"\r\n", b""):
        block = separator.join(parts) + end
        got = outcome(scanners(native_scanner)[rules], block, most)
        assert got == outcome(scanners(Reference)[rules], block, most)


@pytest.mark.parametrize("block", ["X: 1\r\n\r\n", bytearray(b"X: 1\r\n\r\n"), None, 1])
def test_nothing_but_bytes_is_read(native_scanner: Any, block: object) -> None:
    one = scanners(native_scanner)[0]
    for arguments in ((block, 9), (b"\r\n", None), (b"\r\n",), (b"\r\n", 1, 2), ()):
        with pytest.raises(TypeError):
            one.read(*arguments)
    with pytest.raises(OverflowError):
        one.read(b"\r\n", 2**64)


def test_a_scanner_that_cannot_be(native_scanner: Any) -> None:
    for arguments in ((), ((), 1, 0), ([], 1, 0, refuse), (((b"a", 1, 1),), 1, 0, refuse)):
        with pytest.raises((TypeError, ValueError)):
            native_scanner(*arguments)
    with pytest.raises(ValueError, match="cannot be said"):
        native_scanner(((b"a", -1, True),), 1, 0, refuse)


def test_what_refuses_may_raise_anything(native_scanner: Any) -> None:
    def interrupted(block: bytes, most: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        native_scanner(table(REQUEST_RULES), len(Field), COMMON, interrupted).read(b"", 1)


def test_nothing_leaks(native_scanner: Any) -> None:
    """Neither objects nor memory, whatever comes of a head."""
    rng = Random(3)
    blocks = [head(rng) for _ in range(2_000)]
    kinds = scanners(native_scanner)
    gc.collect()
    held = [sys.getrefcount(one) for one in (None, b"", refuse, native_scanner)]

    def read_all() -> int:
        for block in blocks:
            for one in kinds:
                outcome(one, block, MOST)
            native_scanner((), 1, 0, refuse)
            with pytest.raises(ValueError, match="said"):
                native_scanner(((b"a", 1, True),), 1, 0, refuse)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = [read_all() for _ in range(3)][-1]
    assert [read_all() for _ in range(10)][-1] - before < 1_000  # KiB; a leak of a byte a head: 60
    gc.collect()
    after = [sys.getrefcount(one) for one in (None, b"", refuse, native_scanner)]
    # One a head would be thousands; others hold or let go of some None meanwhile.
    assert all(abs(was - now) < 1_000 for was, now in zip(held, after, strict=True))


def test_under_the_sanitizers() -> None:
    """Addresses and undefined behaviour, where the compiler knows how."""
    command = [sys.executable, "-m", "tests.fuzz", "5000", "--sanitized", "--seed", "11"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if ran.returncode == 2:
        pytest.skip(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "5,000 heads" in ran.stdout
