"""What scanners make of a head, and whether they make the same of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NoReturn

from lb.proxy.http.rules import COMMON, REQUEST_RULES, RESPONSE_RULES, TRUSTED_RULES, Field
from lb.proxy.http.scanner import Reference, Scanner, table
from tests.fuzz.heads import head

RULES = (REQUEST_RULES, TRUSTED_RULES, RESPONSE_RULES)
MOST = 12
"""Fields that a head may have here."""


class Refused(Exception):
    """The head and the limit are its arguments."""


class Disagreement(Exception):
    """Tells the head, and what each makes of it."""


def refuse(block: bytes, most: int) -> NoReturn:
    raise Refused(block, most)


def scanners(kind: Callable[..., Scanner]) -> list[Scanner]:
    """One for each kind of message."""
    return [kind(table(rules), len(Field), COMMON, refuse) for rules in RULES]


def outcome(scanner: Scanner, block: bytes, most: int) -> Any:
    """What is read, or why not."""
    try:
        return scanner.read(block, most)
    except Refused as refused:
        return refused.args


def compare(kind: Callable[..., Scanner], rng: Random, heads: int) -> int:
    """How many of the heads were good. Raises Disagreement with `Reference`."""
    pairs = list(zip(scanners(kind), scanners(Reference), strict=True))
    good = 0
    for number in range(heads):
        block = head(rng)
        ours, reference = pairs[number % len(pairs)]
        expected = outcome(reference, block, MOST)
        got = outcome(ours, block, MOST)
        if got != expected:
            raise Disagreement(f"{block!r} is {got!r}, and to the reference {expected!r}")
        good += expected[1] != MOST
    return good
