"""nginx's configuration as directives inside of each other: quotes, comments, includes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from lb.errors import ConfigError
from lb.foreign.imported import LONGEST, Directive
from lb.system import reason

UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
SIZES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
DEEPEST = 20
"""Includes inside of includes."""
BLOCKS = 50
"""Blocks inside of blocks."""
_TOKEN = re.compile(
    r"(?P<blank>[\s]+|#[^\n]*)"
    r"|(?P<mark>[{};])"
    r"|\"(?P<double>(?:\\.|[^\"\\])*)\"|'(?P<single>(?:\\.|[^'\\])*)'"
    r"|(?P<word>(?:\\.|\$\{|[^\s{};\\\"'])(?:\\.|\$\{|[^\s{};\\])*)",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^\s\"'\\;{}#$]+")
_TIME = re.compile(r"(\d+)(ms|[smhdwMy]?)")
Missed = Callable[[Directive, str], None]


def directives(text: str, source: str, missed: Missed) -> tuple[Directive, ...]:
    """All of a file, and of those that it includes. Raises ConfigError.

    `missed` hears of includes that lead nowhere.
    """
    return _Reader(Path(source).parent, missed).read(text, source, 0)


class _Reader:
    def __init__(self, home: Path, missed: Missed) -> None:
        self._home = home
        self._missed = missed

    def read(self, text: str, source: str, depth: int) -> tuple[Directive, ...]:
        tokens = _tokens(text, source)
        return tuple(self._block(tokens, source, (), depth))

    def _block(
        self,
        tokens: Iterator[tuple[int, str, bool]],
        source: str,
        opened: tuple[Directive, ...],
        depth: int,
    ) -> Iterator[Directive]:
        words: list[str] = []
        start = 1
        for line, word, mark in tokens:
            if not mark:
                start = start if words else line
                words.append(word)
                continue
            if word == "}":
                if words:
                    raise _endless(source, line, words)
                if not opened:
                    raise ConfigError([f"{source}:{line}: a brace is closed that was not opened"])
                return
            if not words:
                if word == ";":
                    continue
                raise ConfigError([f"{source}:{line}: a block without a name"])
            row = Directive(source, start, tuple(words))
            words = []
            if word == "{":
                if len(opened) == BLOCKS:
                    raise row.wrong(f"{BLOCKS} blocks inside of each other are open already")
                inside = tuple(self._block(tokens, source, (*opened, row), depth))
                yield Directive(source, row.line, row.words, inside)
            elif row.name == "include" and len(row.words) == 2:
                yield from self._included(row, depth)
            else:
                yield row
        if words:
            raise _endless(source, start, words)
        if opened:
            raise opened[-1].wrong("the block is never closed")

    def _included(self, row: Directive, depth: int) -> Iterator[Directive]:
        pattern = row.value
        if Path(pattern).name == "mime.types":
            return
        path = Path(pattern)
        root = Path(path.anchor) if path.is_absolute() else self._home
        relative = str(path.relative_to(path.anchor)) if path.is_absolute() else pattern
        files = sorted(it for it in root.glob(relative) if it.is_file()) if relative else []
        if not files and not any(letter in pattern for letter in "*?["):
            self._missed(row, "there is no such file: what it holds is not read")
        for file in files:
            if depth == DEEPEST:
                raise row.wrong("files include each other without end")
            try:
                text = file.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                why = reason(error) if isinstance(error, OSError) else "not UTF-8 text"
                raise row.wrong(f"{file} cannot be read: {why}") from None
            yield from self.read(text, str(file), depth + 1)


def _endless(source: str, line: int, words: list[str]) -> ConfigError:
    why = f"{words[0][:LONGEST]} ends without a semicolon"
    return ConfigError([f"{source}:{line}: {why}"])


def _tokens(text: str, source: str) -> Iterator[tuple[int, str, bool]]:
    """Line, word, and whether it is a mark."""
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConfigError([f"{source}:{line}: a quote is opened and not closed"])
        kind = match.lastgroup
        if kind == "mark":
            yield line, match["mark"], True
        elif kind in ("double", "single"):
            yield line, re.sub(r"\\([\"'\\])", r"\1", match[kind]), False
        elif kind == "word":
            yield line, match["word"], False
        line += match[0].count("\n")
        at = match.end()


def word(text: str) -> str:
    """One word of a line, in quotes where it needs them; what `directives` undoes."""
    if _PLAIN.fullmatch(text):
        return text
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def seconds(text: str) -> float:
    """`30s`, `1m30s`, `500ms`, `60`: a bare number is seconds. Raises ValueError."""
    parts = _TIME.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no time, such as 30s or 500ms")
    if any(unit in ("M", "y") for _, unit in parts):
        raise ValueError(f"{text!r}: months and years are no times that lb knows")
    return sum(int(number) * UNITS[unit or "s"] for number, unit in parts)


def size(text: str) -> int:
    """`8k`, `1m`: bytes. Raises ValueError."""
    match = re.fullmatch(r"(\d+)([kmgKMG]?)", text)
    if match is None:
        raise ValueError(f"{text!r} is no size, such as 8k")
    return int(match[1]) * SIZES[match[2].lower()]
