"""What an export gives: the text, which of our algorithms it behaves as, and what it cannot say."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lb.config import Scenario
from lb.config.places import Place

WIDTH = 78


@dataclass(frozen=True)
class Missing:
    """A key of the file that has no equivalent, or none that is the same."""

    place: str
    """Where it stands, or would: `lb.toml:12 outliers.failure_rate`."""
    key: str
    why: str
    given: bool
    """Whether the file says it; else it is a default that holds."""

    def __str__(self) -> str:
        return f"{self.key}: {self.why}"


@dataclass(frozen=True)
class Exported:
    """A configuration of somebody else's, of the same pool."""

    kind: str
    text: str
    method: str
    """How it balances, in its own words: `balance random(2)`."""
    algorithm: str
    """Which of our algorithms that is: `p2c:choices=2,replacement=true`."""
    differs: str
    """In what it is not quite that; empty where there is nothing that could be measured."""
    missing: tuple[Missing, ...]


class Lacks:
    """Takes down what has no equivalent, in the order of the file."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._found: dict[Place, Missing] = {}

    def add(self, place: Place, why: str) -> None:
        """What is said of `place` first is kept."""
        if place not in self._found:
            at = self._scenario.place(*place)
            key = at.rpartition(" ")[2]
            self._found[place] = Missing(at, key, why, self.given(place))

    def given(self, place: Place) -> bool:
        """Whether the file says it."""
        table: Any = self._scenario
        for part in place:
            if isinstance(part, int):
                table = table[part]
                continue
            name = {"backend": "backends", "listener": "listeners"}.get(part, part)
            if name not in getattr(table, "model_fields_set", ()):
                return False
            table = getattr(table, name)
        return True

    def all(self) -> tuple[Missing, ...]:
        """Those that the file gives first."""
        return tuple(sorted(self._found.values(), key=lambda one: not one.given))


def preface(title: str, missing: Iterable[Missing]) -> list[str]:
    """Lines of a comment, without its marks."""
    lines = [title]
    rows_of = {True: [one for one in missing if one.given]}
    rows_of[False] = [one for one in missing if not one.given]
    for given, words in (
        (True, "What the file says and this cannot:"),
        (False, "What lb does unless told otherwise, and this does not:"),
    ):
        rows = rows_of[given]
        if rows:
            lines += ["", words]
        for row in rows:
            lines += textwrap.wrap(
                f"- {row}", WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False
            )
    return lines
