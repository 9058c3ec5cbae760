"""Field lines: parsed once, and remembered, for most of them come again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lb.proxy.rules import BLANK, Field

LINES = 2048
"""How many lines are remembered; then all are forgotten, which costs less than choosing."""
LONGEST = 128
"""Bytes of a line that is remembered. Longer ones seldom come twice."""
SECRETS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"})
"""Fields that are not kept for longer than their message."""


class FieldLine(NamedTuple):
    """A line of a head whose grammar has been checked."""

    kind: int
    """Of `Field`."""
    text: bytes
    """CRLF, name, colon, one space, value: how it is written when it passes."""
    value: bytes


class FieldLines:
    """Known lines of one kind of message, by their bytes without the CRLF.

    What is in here has been through llhttp, so a head of known lines alone needs no second look.
    """

    __slots__ = ("_rules", "passing", "special")

    def __init__(self, rules: Mapping[bytes, Field]) -> None:
        self._rules = {name: int(field) for name, field in rules.items()}
        self.special: dict[bytes, FieldLine] = {}
        """Lines that mean something here."""
        self.passing: dict[bytes, bytes] = {b"": b""}
        """All others, as they are written; the empty one is the end of a head."""

    def learn(self, line: bytes) -> FieldLine:
        """Parse a line of a head that llhttp has found good."""
        name, _, value = line.partition(b":")
        value = value.strip(BLANK)
        lower = name.lower()
        kind = self._rules.get(lower, 0)
        known = FieldLine(kind, b"\r\n%b: %b" % (name, value), value)
        if len(line) <= LONGEST and lower not in SECRETS:
            if len(self.passing) + len(self.special) > LINES:
                self.special.clear()
                self.passing.clear()
                self.passing[b""] = b""
            if kind:
                self.special[line] = known
            else:
                self.passing[line] = known.text
        return known
