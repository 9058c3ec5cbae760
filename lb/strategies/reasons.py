"""Why a pick falls as it does: who was looked at, by what they were compared, and the rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple, TypeVar

from lb.strategies.candidate import Candidate

C = TypeVar("C", bound=Candidate)


class Rule(Enum):
    """Which of the candidates it is."""

    LOWEST = "lowest"
    """Of the figure; among equals chance decides, or the order in the file."""
    HIGHEST = "highest"
    DRAWN = "drawn"
    """One at random, in proportion to the figure."""
    FOUND = "found"
    """The last: those before it were looked at and passed over."""


class Reasons(NamedTuple):
    """What a strategy says of the pick that it would make at this moment."""

    why: str
    """A sentence without its end."""
    rule: Rule
    measure: str
    """What the figures are, with their unit; empty where the candidates have none."""
    candidates: Sequence[tuple[Candidate, float]]
    """In the order they are looked at; nobody where there is nobody to pick."""


def others(members: Iterable[C], avoid: Sequence[C]) -> list[C]:
    """Those not to be avoided; all of them where no other is left."""
    found = list(members)
    return [it for it in found if it not in avoid] or found
