"""What an import gives: a file of ours, and what of the other's that cannot say, by its line."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lb.config import Scenario
from lb.config.toml import toml
from lb.errors import ConfigError
from lb.foreign.exported import WIDTH

LONGEST = 60
"""Letters of a directive in a list."""
N = TypeVar("N", int, float)


def whole(text: str) -> int:
    """A number of digits alone. Raises ValueError."""
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def percent(text: str) -> float:
    """A share in whole hundredths. Raises ValueError or OverflowError."""
    return whole(text) / 100


def spelled(algorithm: str | Mapping[str, object]) -> str:
    """`p2c:choices=3`: in one word, as another one holds it."""
    if isinstance(algorithm, str):
        return algorithm
    settings = (f"{it}={at}".lower() for it, at in algorithm.items() if it != "name")
    return f"{algorithm['name']}:{','.join(settings)}".removesuffix(":")


@dataclass(frozen=True)
class Directive:
    """A line of somebody else's file."""

    file: str
    line: int
    words: tuple[str, ...]
    inside: tuple[Directive, ...] = ()
    """Of a block."""

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def rest(self) -> tuple[str, ...]:
        return self.words[1:]

    @property
    def value(self) -> str:
        """The word after the name. Raises ConfigError where there is none."""
        if not self.rest:
            raise self.wrong("its value is missing")
        return self.words[1]

    @property
    def text(self) -> str:
        """As one reads it, and short."""
        text = " ".join(self.words)
        short = textwrap.shorten(text, LONGEST, placeholder=" ...")
        return f"{text[: LONGEST - 4]} ..." if short == "..." else short

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    def wrong(self, why: str) -> ConfigError:
        """An error of this line."""
        return ConfigError([f"{self.place} {self.text}: {why}"])

    def read(self, word: str, number: Callable[[str], N]) -> N:
        """One of its words as `number` reads it, which raises ValueError or OverflowError.

        Raises ConfigError.
        """
        try:
            found = number(word)
            if math.isfinite(found):
                return found
        except ValueError as error:
            raise self.wrong(str(error)) from None
        except OverflowError:
            pass
        raise self.wrong(f"a number of {len(word)} letters is too large")


@dataclass(frozen=True)
class Unread:
    """A directive that is not in the file that was made of it, or is not quite."""

    place: str
    directive: str
    why: str

    def __str__(self) -> str:
        return f"{self.place} {self.directive}: {self.why}"


@dataclass(frozen=True)
class Imported:
    """A pool as a file of ours."""

    kind: str
    pool: str
    """What it is called there."""
    scenario: Scenario
    text: str
    missing: tuple[Unread, ...]


@dataclass
class Draft:
    """A file of ours as it grows, and where each of its keys comes from."""

    kind: str
    source: str
    data: dict[str, Any] = field(default_factory=dict)
    missing: list[Unread] = field(default_factory=list)
    _places: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, value: object, of: Directive | None = None) -> None:
        """A key by its dotted path."""
        table = self.data
        *tables, key = path.split(".")
        for name in tables:
            table = table.setdefault(name, {})
        table[key] = value
        if of is not None:
            self._places[path] = of.place

    def append(self, name: str, row: dict[str, Any], of: Directive) -> None:
        """One more of a list of tables, such as `backend`."""
        rows = self.data.setdefault(name, [])
        self._places[f"{name}[{len(rows)}]"] = of.place
        rows.append(row)

    @property
    def weights(self) -> set[int]:
        """All that backends have, found ones too."""
        found = (it.get("backend", {}) for it in self.data.get("discovery", []))
        return {it.get("weight", 1) for it in (*self.data.get("backend", []), *found)}

    def lacks(self, of: Directive, why: str) -> None:
        """It is not in ours, or not quite."""
        self.missing.append(Unread(of.place, of.text, why))

    def for_all(self, path: str, given: Sequence[tuple[Directive, str]]) -> None:
        """A key that is one for all backends here, and there each server's own; empty: not said.

        The first that is said holds; where servers differ, those that say it or another are told.
        """
        first = next((pair for pair in given if pair[1]), None)
        if first is None:
            return
        self.put(path, first[1], first[0])
        if any(value != first[1] for _, value in given):
            for row, value in given:
                if value:
                    self.lacks(row, f"{path} is one for all here: {first[1]}")

    def done(self, pool: str, notes: Sequence[str]) -> Imported:
        """The file; `notes` stand on top. Raises ConfigError, by the line of a wrong value."""
        try:
            scenario = Scenario.model_validate(self.data, by_alias=True, by_name=False)
        except ConfigError as error:
            raise ConfigError([self._placed(problem) for problem in error.problems]) from None
        missing = tuple(sorted(self.missing, key=_by_line))
        return Imported(self.kind, pool, scenario, self._text(notes, missing), missing)

    def _placed(self, problem: str) -> str:
        key, _, why = problem.partition(": ")
        parts = re.split(r"\.|(?=\[)", key)
        for length in range(len(parts), 0, -1):
            name = "".join(f".{it}" if it[:1] != "[" else it for it in parts[:length])[1:]
            if name in self._places:
                return f"{self._places[name]} {key}: {why}"
        return f"{self.source}: {key}: {why}"

    def _text(self, notes: Sequence[str], missing: Sequence[Unread]) -> str:
        lines = [f"Written by lb import from {self.source}."]
        for note in notes:
            lines += textwrap.wrap(note, WIDTH)
        if missing:
            lines += ["", "What that says and this does not:"]
        for row in missing:
            lines += textwrap.wrap(
                f"- {row}", WIDTH, subsequent_indent="  ", break_on_hyphens=False
            )
        comment = "".join(f"# {line}".rstrip() + "\n" for line in lines)
        order = ("algorithm", "key", "server", "listener")
        first = {name: self.data[name] for name in order if name in self.data}
        last: dict[str, Any] = {
            name: self.data[name] for name in ("backend", "discovery") if name in self.data
        }
        middle = {it: row for it, row in self.data.items() if row and it not in {*first, *last}}
        whole: dict[str, Any] = {**first, **middle, **last}
        return f"{comment}\n{toml(whole)}"


def _by_line(row: Unread) -> tuple[str, int]:
    file, _, line = row.place.rpartition(":")
    return file, int(line)
