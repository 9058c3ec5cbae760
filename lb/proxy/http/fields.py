"""Field lines: parsed once, and remembered, for most of them come again and again."""

from __future__ import annotations

from collections.abc import Mapping

from lb.proxy.http.rules import BLANK, Field

LINES = 2048
"""How many lines are remembered; then all are forgotten, which costs less than choosing."""
LONGEST = 128
"""Bytes of a line that is remembered. Longer ones seldom come twice."""
SECRETS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"})
"""Fields that are not kept for longer than their message."""


FieldLine = tuple[int, bytes, bytes]
"""Kind (of `Field`), text (CRLF, name, colon, one space, value: as it is written when it passes),
and value of a line."""


class FieldLines:
    """Known lines of one kind of message, by their bytes without the CRLF.

    What is in here has been through llhttp, so a head of known lines alone needs no second look.
    """

    __slots__ = ("_once", "_rules", "passing", "special")

    def __init__(self, rules: Mapping[bytes, Field]) -> None:
        self._rules = {name: int(field) for name, field in rules.items()}
        self._once: set[bytes] = set()  # seen, and perhaps never again
        self.special: dict[bytes, FieldLine] = {}
        """Lines that mean something here."""
        self.passing: dict[bytes, bytes] = {b"": b""}
        """All others, as they are written; the empty one is the end of a head."""

    def learn(self, line: bytes) -> FieldLine:
        """Parse a line of a head that llhttp found good, and remember it from the second time."""
        name, _, value = line.partition(b":")
        value = value.strip(BLANK)
        lower = name.lower()
        kind = self._rules.get(lower, 0)
        text = b"\r\n" + name + b": " + value
        if line in self._once:
            self._remember(line, kind, text, value)
        elif len(line) <= LONGEST and lower not in SECRETS:
            if len(self._once) >= LINES:
                self._once.clear()
            self._once.add(line)
        return kind, text, value

    def _remember(self, line: bytes, kind: int, text: bytes, value: bytes) -> None:
        if len(self.passing) + len(self.special) > LINES:
            self.forget()
        if kind:
            self.special[line] = kind, text, value
        else:
            self.passing[line] = text

    def forget(self) -> None:
        self._once.clear()
        self.special.clear()
        self.passing.clear()
        self.passing[b""] = b""
