"""What a head's fields come to, in Python and in C; what the one in Python remembers."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from lb.proxy.http import scanner
from lb.proxy.http.framing import TooLarge
from lb.proxy.http.rules import COMMON, REQUEST_RULES, Field, Rejected
from lb.proxy.http.scanner import Reference, Said, Scanner, table
from tests.fuzz.agreement import MOST, Refused, outcome, refuse, scanners


@pytest.fixture
def reader(scanner_kind: Any) -> Scanner:
    """For requests of anybody."""
    return scanners(scanner_kind)[0]


def said(**values: bytes) -> Said:
    out: Said = [None] * len(Field)
    for name, value in values.items():
        out[Field[name]] = value
        if Field[name] > COMMON:
            out[0] = value
    return out


# --- what passes, and what is said


def test_no_fields_are_a_head_too(reader: Scanner) -> None:
    assert reader.read(b"\r\n", 0) == (b"", said())


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        (b"X-A: 1", b"X-A: 1"),
        (b"X-A:1", b"X-A: 1"),
        (b"X-A:\t b  c \t", b"X-A: b  c"),
        (b"X-A:", b"X-A: "),
        (b"X-A: \t", b"X-A: "),
        (b"x-a: b: c", b"x-a: b: c"),
        (b"x-a:b: c", b"x-a: b: c"),
        (b"!#$%&'*+-.^_`|~09: \xff\x80~", b"!#$%&'*+-.^_`|~09: \xff\x80~"),
    ],
)
def test_a_line_is_written_with_one_space(reader: Scanner, line: bytes, passes: bytes) -> None:
    for before, behind in ((b"", b""), (b"A: b\r\n", b""), (b"A:b\r\n", b"TE: x\r\n")):
        for _ in range(2):
            lines, _ = reader.read(before + line + b"\r\n" + behind + b"\r\n", 9)
            assert lines == b"\r\nA: b" * bool(before) + b"\r\n" + passes


def test_what_is_said_to_us_is_told_and_only_some_of_it_passes(reader: Scanner) -> None:
    block = (
        b"X-A: 1\r\nhOST:a:80 \r\nX-B: 2\r\nConnection: a\r\nKeep-Alive: 5\r\nconnection:\tTE\r\n"
        b"Content-Length: 5\r\nX-C: 3\r\nte:\r\nMax-Forwards:1\r\nX-D: 4\r\n\r\n"
    )
    for _ in range(2):
        assert reader.read(block, 11) == (
            b"\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 5\r\nX-C: 3\r\nMax-Forwards: 1\r\nX-D: 4",
            said(HOST=b"a:80", CONNECTION=b"a, TE", LENGTH=b"5", TE=b"", MAX_FORWARDS=b"1"),
        )


def test_values_of_one_field_are_one_list(reader: Scanner) -> None:
    lines, found = reader.read(b"Via: a\r\nX: 1\r\nvia:\r\nVIA:  c\r\n\r\n", 4)
    assert lines == b"\r\nVia: a\r\nX: 1\r\nvia: \r\nVIA: c"
    assert found == said(VIA=b"a, , c")


def test_rules_differ(scanner_kind: Any) -> None:
    anybody, trusted, answers = scanners(scanner_kind)
    block = b"X-Forwarded-For: a\r\nX-LB-Load: 1\r\nDATE: x\r\n\r\n"
    assert anybody.read(block, 3) == (b"\r\nX-LB-Load: 1\r\nDATE: x", said())
    assert trusted.read(block, 3) == (b"\r\nX-Forwarded-For: a\r\nX-LB-Load: 1\r\nDATE: x", said())
    told = said(LOAD=b"1", DATE=b"x")
    assert answers.read(block, 3) == (b"\r\nX-Forwarded-For: a\r\nDATE: x", told)


@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"x-forwarded.for", b"Content_Length", b"max~forwards", b"H~st"]
)
def test_other_marks_make_no_other_field(scanner_kind: Any, name: bytes) -> None:
    """A name with marks is dropped when it is one of ours but for them, else it passes."""
    for one in scanners(scanner_kind)[:2]:
        lines, found = one.read(name + b": 1\r\n\r\n", 1)
        assert lines == (b"\r\nH~st: 1" if name == b"H~st" else b"")
        assert found == said()


# --- what is refused


BAD = [
    *(b"", b"\r", b"\n", b"X", b"X: 1", b"X: 1\r\n", b"X: 1\r\n\r", b"X: 1\n\n", b"X: 1\r\n\n"),
    *(b"\r\n\r\n", b"\r\nX: 1\r\n\r\n", b"X: 1\r\n\r\n\r\n", b"X: 1\r\n\r\nY: 2\r\n\r\n"),
    *(
        b"X\r\n\r\n",
        b"Host\r\n\r\n",
        b": v\r\n\r\n",
        b":\r\n\r\n",
        b"X : v\r\n\r\n",
        b"X\t: v\r\n\r\n",
    ),
    *(b" X: v\r\n\r\n", b"X: v\r\n w\r\n\r\n", b"X: v\r\n\tw\r\n\r\n", b"X:\r\n v\r\n\r\n"),
    *(b"X: v\rw\r\n\r\n", b"X: v\nw: x\r\n\r\n", b"X: v\r\r\n\r\n", b"X: \rv\n\r\n\r\n"),
    *(b"A: b\rX\nC: d\r\n\r\n", b"A: b\r\n\rX: c\r\n\r\n", b"\nX: v\r\n\r\n"),
]


@pytest.mark.parametrize("block", BAD)
def test_what_is_no_head(reader: Scanner, block: bytes) -> None:
    reader.read(b"X: 1\r\nHost: a\r\n\r\n", 9)  # lines that are known by now
    with pytest.raises(Refused) as refused:
        reader.read(block, 9)
    assert refused.value.args == (block, 9)


def test_more_than_enough_fields(reader: Scanner) -> None:
    block = b"X: 1\r\n" * 3 + b"\r\n"
    assert reader.read(block, 3)[0] == b"\r\nX: 1" * 3
    for most in (2, 1, 0, -1):
        with pytest.raises(Refused):
            reader.read(block, most)


def test_too_many_is_told_from_wrong() -> None:
    """Whichever scanner runs."""
    read = scanner.scanner(REQUEST_RULES, lambda: Rejected(400, "why")).read
    for block, most, error in (
        (b"X: 1\r\n" * 3 + b"\r\n", 2, TooLarge),
        (b"X: 1\r\n" * 3 + b"Y\r\n\r\n", 2, TooLarge),
        (b"X: 1\r\nY\r\n\r\n", 2, Rejected),
        (b"", 0, Rejected),
    ):
        with pytest.raises(error):
            read(block, most)


def test_large_heads(reader: Scanner) -> None:
    long = b"X: " + b"a" * 65_536
    assert reader.read(long + b"\r\n\r\n", 1) == (b"\r\n" + long, said())
    assert reader.read(b"a" * 65_536 + b":\r\n\r\n", 1)[0] == b"\r\n" + b"a" * 65_536 + b": "
    many = b"a:\r\n" * 10_000
    assert reader.read(many + b"\r\n", 10_000)[0] == b"\r\na: " * 10_000
    hosts = b"Host:\r\n" * 1_000
    assert reader.read(hosts + b"\r\n", 1_000) == (b"", said(HOST=b", " * 999))


# --- memory of the one in Python


def remembered(one: Reference) -> list[bytes]:
    return [*one._passing, *one._special]


@pytest.mark.parametrize(
    "line", [b"Authorization: Basic x", b"cookie: a=b", b"Set-Cookie: a", b"X-Long: " + b"a" * 200]
)
def test_neither_secrets_nor_long_lines_are_kept(line: bytes) -> None:
    one = Reference(table(REQUEST_RULES), len(Field), COMMON, refuse)
    assert one.read(line + b"\r\nX: 1\r\nTE: 2\r\n\r\n", 3)[0] == b"\r\n" + line + b"\r\nX: 1"
    assert remembered(one) == [b"X: 1", b"TE: 2"]


def test_what_is_kept_is_bounded() -> None:
    one = Reference(table(REQUEST_RULES), len(Field), COMMON, refuse)
    for number in range(3 * scanner.MOST):
        block = b"X-A: %d\r\nContent-Length: %d\r\nX-%d: 1\r\n\r\n" % ((number,) * 3)
        lines, found = one.read(block, 3)
        assert lines + b"\r\n\r\n" == b"\r\n" + block
        assert found[Field.LENGTH] == b"%d" % number
        assert len(one._names) <= scanner.MOST
        assert len(remembered(one)) <= scanner.MOST


PARTS = (
    *(b"Host: a", b"Host: b", b"X-A: 1", b"X-A:1", b" X-A: 1", b"X-A : 1", b"X-A", b"X-\0: 1"),
    *(b"Connection: X-A", b"Connection: close", b"Content-Length: 0", b"Content-Length: 0x"),
    *(b"Transfer-Encoding: chunked", b"TE: trailers", b"Upgrade: x", b"", b"X-A: a\rb", b"x: \n"),
)


def test_memory_changes_nothing() -> None:
    rng = Random(1)
    remembering = scanners(Reference)
    good = 0
    for _ in range(3_000):
        block = b"\r\n".join([*rng.choices(PARTS, k=rng.randrange(5)), b"\r\n"])
        for old, new in zip(remembering, scanners(Reference), strict=True):
            expected = outcome(new, block, MOST)
            assert outcome(old, block, MOST) == expected
            good += expected[1] != MOST
    assert good > 1_000
