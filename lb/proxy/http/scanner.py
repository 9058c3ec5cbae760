"""The fields of a head: their grammar is judged, what they say to us found, the rest passed on.

`Reference` tells what is meant; `_scan.c` does the same where the compiled build runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol

from lb.proxy.http.framing import TooLarge
from lb.proxy.http.rules import BLANK, COMMON, WRITTEN, Field, plain_name

Said = list[bytes | None]
"""The value of each `Field`, or None. The first is None while nothing but common fields is said."""
Rule = tuple[bytes, int, bool]
"""A name in lower case, what it says (of `Field`; 0 is nothing), and whether its lines pass."""

Name = tuple[int, bytes, bool]
"""What it says, how its lines are written up to the value, if they pass, and whether they may be
remembered."""
Line = tuple[int, bytes, bytes]
"""What its name says, how it is written if it passes, and its value."""

MOST = 2048
"""How many lines, or names, are remembered; then all are forgotten, which costs less than choosing.
"""
LONGEST = 128
"""Bytes of what is remembered. Longer lines seldom come twice."""
SECRETS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"})
"""Fields that are not kept for longer than their message."""

_NAME = re.compile(rb"[!#-'*+.^_`|~0-9A-Za-z-]+")
_TEXT = bytes({*range(256)} - {*range(32), 127} | {9})
"""What a line is made of (RFC 9110, 5.5)."""
_END = [b"", b""]
"""Behind the last line, and behind the empty one."""


class Scanner(Protocol):
    """Reads the fields of one kind of message."""

    def read(self, block: bytes, most: int, /) -> tuple[bytes, Said]:
        """A head behind its first line: the lines that pass, and what is said.

        They are written as CRLF, name, colon, one space and value. Values of one field are one
        list (RFC 9110, 5.3), which is no value of a field that may come only once. What is no
        head, or has more than `most` fields, is refused.
        """


class Reference:
    """The scanner in Python. It remembers lines, for most of them come again and again."""

    __slots__ = ("_common", "_names", "_nothing", "_passing", "_refuse", "_rules", "_special")

    def __init__(
        self,
        rules: tuple[Rule, ...],
        kinds: int,
        common: int,
        refuse: Callable[[bytes, int], NoReturn],
        /,
    ) -> None:
        """`kinds` may be said, up to `common` in nearly all messages; `refuse` must raise."""
        self._rules = {name: (kind, passes) for name, kind, passes in rules}
        self._names: dict[bytes, Name] = {}
        self._passing: dict[bytes, bytes] = {}
        """Lines that say nothing, and how they are written."""
        self._special: dict[bytes, Line] = {}
        self._nothing: Said = [None] * kinds
        self._common = common
        self._refuse = refuse

    def read(self, block: bytes, most: int, /) -> tuple[bytes, Said]:
        lines = block.split(b"\r\n")
        count = len(lines) - 2
        if count > most or lines[count:] != _END:
            self._refuse(block, most)
        del lines[count:]
        judged = False
        passing, special = self._passing.get, self._special.get
        said = self._nothing.copy()
        written = []
        for line in lines:
            text = passing(line)
            if text is None:
                field = special(line)
                if field is None:
                    if not judged and block.translate(None, _TEXT) != b"\r\n" * (count + 1):
                        self._refuse(block, most)
                    judged = True
                    field = self._learn(line)
                    if field is None:
                        self._refuse(block, most)
                kind, text, value = field
                if kind:
                    before = said[kind]
                    said[kind] = value = value if before is None else before + b", " + value
                    if kind > self._common:
                        said[0] = value
            written.append(text)
        return b"".join(written), said

    def _learn(self, line: bytes) -> Line | None:
        """What a line says; None for one without a name. All its bytes are text."""
        name, colon, value = line.partition(b":")
        meaning = self._names.get(name) or self._meaning(name)
        if meaning is None or not colon:
            return None
        kind, text, kept = meaning
        value = value.strip(BLANK)
        if text:
            text += value
        field = kind, text, value
        if kept and len(line) <= LONGEST:
            if len(self._passing) + len(self._special) >= MOST:
                self._passing.clear()
                self._special.clear()
            if kind:
                self._special[line] = field
            else:
                self._passing[line] = text
        return field

    def _meaning(self, name: bytes) -> Name | None:
        if _NAME.fullmatch(name) is None:
            return None
        plain = plain_name(name)
        kind, passes = self._rules.get(plain, (0, True))
        if plain in self._rules and name.lower() != plain:
            kind, passes = 0, False  # who may not say one may not say what others take for it
        meaning = kind, b"\r\n" + name + b": " if passes else b"", plain not in SECRETS
        if len(name) <= LONGEST:
            if len(self._names) >= MOST:
                self._names.clear()
            self._names[name] = meaning
        return meaning


def scanner(rules: Mapping[bytes, Field], refusal: Callable[[], Exception]) -> Scanner:
    """For messages whose fields mean what `rules` say.

    It raises TooLarge for too many fields, and `refusal` for what is not the grammar.
    """

    def refuse(block: bytes, most: int) -> NoReturn:
        if block.count(b"\r\n") > most + 1:
            raise TooLarge
        raise refusal()

    return _quickest()(table(rules), len(Field), COMMON, refuse)


def table(rules: Mapping[bytes, Field]) -> tuple[Rule, ...]:
    """Rules as a scanner takes them."""
    return tuple(
        (name, 0 if field is Field.DROP else int(field), field in WRITTEN)
        for name, field in rules.items()
    )


def _quickest() -> Callable[
    [tuple[Rule, ...], int, int, Callable[[bytes, int], NoReturn]], Scanner
]:
    try:
        from lb.proxy.http._scan import Native
    except ImportError:  # pure Python runs
        return Reference
    return Native
