"""Where in a TOML or JSON text every table, key and element of a list stands.

The text is known to be valid, so a scanner of what brackets, quotes and dots mean is enough.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

Place = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r"""
    "{3} (?: [^\\] | \\. )*? "{3} (?!")   # of several lines; its end may be quotes as well
    | '{3} .*? '{3} (?!')
    | " (?: [^"\\] | \\. )* "
    | ' [^']* '
    """,
    re.DOTALL | re.VERBOSE,
)
_BARE = re.compile(r"[^\s.=\[\]{},#]+")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_DOT = re.compile(r"[ \t]*\.[ \t]*")


@dataclass(frozen=True)
class Origin:
    """Where a scenario was written. All are equal: it says nothing of what was written."""

    source: str = field(default="", compare=False)
    """The name of the file; empty for what was built in code."""
    lines: Mapping[Place, int] = field(default_factory=dict, compare=False)

    def line(self, path: Place) -> int:
        """Of the key, else of the table it should be in, else of the file's beginning."""
        prefixes = (path[:length] for length in range(len(path), 0, -1))
        return next((self.lines[prefix] for prefix in prefixes if prefix in self.lines), 1)

    def at(self, path: Place) -> str:
        """`lb.toml:12 backend[1].model`; without a file only the key."""
        key = "".join(map(_written, path)).removeprefix(".") or "file"
        return f"{self.source}:{self.line(path)} {key}" if self.source else key


def _written(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part if _PLAIN.fullmatch(part) else json.dumps(part, ensure_ascii=False)}"


def lines_of(text: str) -> dict[Place, int]:
    """The line of everything that has a name or a number in `text`."""
    return _Scanner(text).scan()


def lines_of_json(text: str) -> dict[Place, int]:
    """The same for JSON."""
    return _JsonScanner(text).scan()


def _unquoted(key: str) -> str:
    if key.startswith("'"):
        return key[1:-1]
    return str(tomllib.loads(f"key = {key}")["key"])


class _Scanner:
    equals = "="
    unquoted = staticmethod(_unquoted)

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._counts: dict[Place, int] = {}
        """The last index of every list of tables."""
        self._lines: dict[Place, int] = {}

    def scan(self) -> dict[Place, int]:
        table: Place = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            start = self._at
            if self._text[start] == "[":
                table = self._header()
                self._note(table, start, since=0)
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> Place:
        """`[a.b]` or `[[a.b]]`: its path, with the numbers of the lists of tables in it."""
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        names = self._names()
        self._at = self._text.index("]", self._at) + brackets
        path: Place = ()
        for name in names[:-1]:
            path = self._current((*path, name))
        path = (*path, names[-1])
        if brackets == 2:
            self._counts[path] = self._counts.get(path, -1) + 1
        return self._current(path)

    def _current(self, path: Place) -> Place:
        return (*path, self._counts[path]) if path in self._counts else path

    def _pair(self, table: Place) -> None:
        start = self._at
        path = (*table, *self._names())
        self._note(path, start, since=len(table))
        self._at = self._text.index(self.equals, self._at) + 1
        self._value(path)

    def _names(self) -> Place:
        """`a."b c".d`: the parts of a dotted key."""
        names: list[str] = []
        self._skip(_BLANK)
        while True:
            if self._text[self._at] in "\"'":
                names.append(self.unquoted(self._skip(_STRING)))
            else:
                names.append(self._skip(_BARE))
            if not self._skip(_DOT):
                return tuple(names)

    def _value(self, path: Place) -> None:
        self._skip(_BLANK)
        match self._text[self._at]:
            case "[":
                self._elements(path)
            case "{":
                self._inline(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _elements(self, path: Place) -> None:
        number = 0
        while not self._closed("]"):
            element = (*path, number)
            self._note(element, self._at, since=len(path))
            self._value(element)
            number += 1

    def _inline(self, path: Place) -> None:
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Step over an opening bracket or a comma; True, and behind it, at the closing one."""
        self._skip(_BLANK)
        if self._text[self._at] != bracket:
            self._at += self._text[self._at] in "[{,"
            self._skip(_BLANK)
        if self._text[self._at] != bracket:
            return False
        self._at += 1
        return True

    def _note(self, path: Place, start: int, since: int) -> None:
        """`path` and the tables it opens on its way stand on the line of `start`."""
        line = bisect_right(self._newlines, start) + 1
        for length in range(since + 1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _skip(self, what: re.Pattern[str]) -> str:
        """Step over `what` stands here and return it; nothing if it does not."""
        match = what.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]


def _unquoted_json(key: str) -> str:
    return str(json.loads(key))


class _JsonScanner(_Scanner):
    equals = ":"
    unquoted = staticmethod(_unquoted_json)

    def scan(self) -> dict[Place, int]:
        self._value(())
        return self._lines
