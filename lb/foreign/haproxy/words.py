"""HAProxy's configuration as sections of directives: quotes, escapes, comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lb.errors import ConfigError
from lb.foreign.haproxy.environment import expanded
from lb.foreign.imported import Directive

SECTIONS = frozenset(
    {
        *("global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "mailers"),
        *("resolvers", "program", "cache", "http-errors", "ring", "fcgi-app", "log-forward"),
        *("crt-store", "traces", "acme", "log-profile"),
    }
)
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BLANKS = " \t\r"
QUOTES = ("'", '"')
PLAIN = re.compile(r"[^\s\"'\\#$]+")
"""A word that needs no quotes."""
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass
class Section:
    """A header and what stands below it."""

    header: Directive
    rows: list[Directive] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.header.name

    @property
    def name(self) -> str:
        return self.header.words[1] if len(self.header.words) > 1 else ""

    def all(self, *words: str) -> Iterator[Directive]:
        """Directives that begin with `words`."""
        return (row for row in self.rows if row.words[: len(words)] == words)

    def last(self, *words: str) -> Directive | None:
        """The one that holds."""
        return next(reversed(list(self.all(*words))), None)


def sections(text: str, source: str) -> list[Section]:
    """All of them. Raises ConfigError."""
    found: list[Section] = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            words = split(line)
        except ValueError as error:
            raise ConfigError([f"{source}:{number}: {error}"]) from None
        if not words:
            continue
        row = Directive(source, number, tuple(words))
        if words[0] in SECTIONS:
            found.append(Section(row))
        elif not found:
            why = "stands in no section; the file begins with global, defaults or another one"
            raise row.wrong(why)
        else:
            found[-1].rows.append(row)
    return found


def split(line: str) -> list[str]:
    """The words of a line. Raises ValueError."""
    words: list[str] = []
    word, quote, open_word = "", "", False
    letters = iter(expanded(line))
    for letter in letters:
        if letter == "\\" and quote != "'":
            letter = next(letters, "")
            word, open_word = word + ESCAPES.get(letter, letter), True
        elif quote:
            if letter == quote:
                quote = ""
            else:
                word += letter
        elif letter in QUOTES:
            quote, open_word = letter, True
        elif letter == "#":
            break
        elif letter in BLANKS:
            if open_word:
                words.append(word)
            word, open_word = "", False
        else:
            word, open_word = word + letter, True
    if quote:
        raise ValueError(f"a quote is opened and not closed: {quote}")
    return [*words, word] if open_word else words


def key_of(certificate: str) -> str:
    """Where the key of a certificate is: in a file beside it, or in the same."""
    beside = f"{certificate}.key"
    return beside if Path(beside).is_file() else certificate


def word(text: str) -> str:
    """One word of a line, in quotes where it needs them; what `split` undoes."""
    return text if PLAIN.fullmatch(text) else "'{}'".format(text.replace("'", "'\\''"))


def seconds(text: str) -> float:
    """`5s`, `250ms`, `5000`: a bare number is milliseconds. Raises ValueError or OverflowError."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(digits) :] or "ms"
    if not digits.isdecimal() or unit not in UNITS:
        raise ValueError(f"{text!r} is no time, such as 5s or 250ms")
    return int(digits) * UNITS[unit]
