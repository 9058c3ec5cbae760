"""Field lines: one way of reading them, for requests and answers alike.

A line is parsed once and remembered, for most of them come again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lb.proxy.http.framing import TooLarge
from lb.proxy.http.rules import BLANK, COMMON, WRITTEN, Field, plain_name

LINES = 2048
"""How many lines are remembered; then all are forgotten, which costs less than choosing."""
LONGEST = 128
"""Bytes of a line that is remembered. Longer ones seldom come twice."""
SECRETS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"})
"""Fields that are not kept for longer than their message."""
_PASS, _DROP = int(Field.PASS), int(Field.DROP)

FieldLine = tuple[int, bytes, bytes]
"""What it means (of `Field`; 0 is nothing here), how it is written when it passes (CRLF, name,
colon, one space, value), else nothing, and its value."""
FieldName = tuple[int, bytes, bool]
"""What it means, how its lines are written up to the value, and whether they may be remembered."""

Said = list[bytes | None]
"""The value of each `Field`, or None. The first is None while nothing but common fields is said."""
_NOTHING: Said = [None] * len(Field)


class FieldLines:
    """Reads the fields of one kind of message. Known lines stand here by their bytes without CRLF.

    What is in here has been through llhttp, so a head of known lines alone needs no second look.
    """

    __slots__ = (
        "_check",
        "_names",
        "_once",
        "_passing",
        "_rules",
        "_special",
        "passing",
        "special",
    )

    def __init__(self, rules: Mapping[bytes, Field], check: Callable[[bytes], None]) -> None:
        """`rules` say what names mean; `check` raises for what is not the grammar of fields."""
        self._rules = {name: int(field) for name, field in rules.items()}
        self._check = check
        self._names: dict[bytes, FieldName] = {}
        self._once: set[bytes] = set()  # seen, and perhaps never again
        self.special: dict[bytes, FieldLine] = {}
        """Lines that mean something here."""
        self.passing: dict[bytes, bytes] = {}
        """All others, as they are written."""

        self._passing, self._special = self.passing.get, self.special.get

    def read(self, block: bytes, most: int) -> tuple[bytes, Said]:
        """A head behind its first line: the lines that pass, and what is said.

        Values of one field are one list (RFC 9110, 5.3), which is no value of a field that may
        come only once. Raises TooLarge for more than `most` fields, and what `check` raises.
        """
        lines = block.split(b"\r\n")
        del lines[-2:]  # behind the last line, and behind the empty one
        if len(lines) > most:
            raise TooLarge
        checked = False
        passing = self._passing
        written = []
        said = _NOTHING.copy()
        for line in lines:
            text = passing(line)
            if text is None:
                field = self._special(line)
                if field is None:
                    if not checked:
                        self._check(block)
                        checked = True
                    field = self.learn(line)
                kind, text, value = field
                if kind:
                    before = said[kind]
                    said[kind] = value if before is None else before + b", " + value
                    if kind > COMMON:
                        said[0] = value
            written.append(text)
        return b"".join(written), said

    def learn(self, line: bytes) -> FieldLine:
        """Parse a line of a head that was found good, and remember it from the second time."""
        name, _, value = line.partition(b":")
        value = value.strip(BLANK)
        kind, text, kept = self._names.get(name) or self._meaning(name)
        if text:
            text += value
        if line in self._once:
            self._remember(line, kind, text, value)
        elif kept and len(line) <= LONGEST:
            if len(self._once) >= LINES:
                self._once.clear()
            self._once.add(line)
        return kind, text, value

    def _meaning(self, name: bytes) -> FieldName:
        plain = plain_name(name)
        kind, text = self._rules.get(plain), b"\r\n" + name + b": "
        if kind is None:
            kind = _PASS
        elif kind == _DROP or name.lower() != plain:
            kind, text = _PASS, b""
        elif kind not in WRITTEN:
            text = b""
        meaning = kind, text, plain not in SECRETS
        if len(name) <= LONGEST:
            if len(self._names) >= LINES:
                self._names.clear()
            self._names[name] = meaning
        return meaning

    def _remember(self, line: bytes, kind: int, text: bytes, value: bytes) -> None:
        if len(self.passing) + len(self.special) > LINES:
            self.forget()
        if kind:
            self.special[line] = kind, text, value
        else:
            self.passing[line] = text

    def forget(self) -> None:
        self._names.clear()
        self._once.clear()
        self.special.clear()
        self.passing.clear()
