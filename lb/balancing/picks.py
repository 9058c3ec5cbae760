"""Why picks fell as they did, told as they are made, to whoever wants to know.

A strategy is asked why before it picks, from what it keeps; where chance decides, both draw the
same numbers, for the generator is set back in between. Nobody pays for this until it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, NamedTuple, cast

from lb.balancing.backend import Backend
from lb.strategies import Outcome, Random
from lb.strategies.parts.heedless import Index


class Candidate(NamedTuple):
    """One who was looked at."""

    backend: str
    """Its name."""
    figure: float
    """What it was compared by, see `Pick.measure`."""
    in_flight: int
    weight: float


class Pick(NamedTuple):
    """One pick, as plain values."""

    now: float
    key: bytes
    avoided: tuple[str, ...]
    """Who had been tried before."""
    picked: str
    """A name; empty: nobody could be picked."""
    why: str
    """A sentence; empty where the algorithm cannot say."""
    rule: str
    """How candidates are compared: "lowest", "highest", "drawn" (by chance), "found" (the last)."""
    measure: str
    """What their figures are; empty where they have none."""
    candidates: tuple[Candidate, ...]
    worker: int = 0
    """The process that picked, each of which sees its own requests only; 0 where there is one."""

    def as_dict(self, most: int | None = None) -> dict[str, Any]:
        """For JSON, without its time; of the key so many characters at most."""
        key = self.key.decode("utf-8", "backslashreplace")
        return {
            **({"worker": self.worker} if self.worker else {}),
            "key": key if most is None or len(key) <= most else f"{key[:most]}...",
            "avoided": list(self.avoided),
            "backend": self.picked or None,
            "why": self.why,
            "rule": self.rule,
            "measure": self.measure,
            "candidates": [
                {**it._asdict(), "figure": it.figure if isfinite(it.figure) else None}
                for it in self.candidates
            ],
        }


class Explained(Index[Backend]):
    """An index that says why."""

    def __init__(self, index: Index[Backend], rng: Random, heard: Callable[[Pick], None]) -> None:
        """`rng` is a `random.Random`, which can be set back."""
        self._index = index
        self._rng = cast(Any, rng)
        self._heard = heard

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[Backend] = ()) -> Backend | None:
        before = self._rng.getstate()
        reasons = self._index.explain(now, key, avoid)
        looked: tuple[Candidate, ...] = ()
        if reasons is not None:
            seen = cast("Sequence[tuple[Backend, float]]", reasons.candidates)
            looked = tuple(Candidate(it.name, figure, it.active, it.weight) for it, figure in seen)
        self._rng.setstate(before)
        backend = self._index.pick(now, key, avoid)
        self._heard(
            Pick(
                now,
                key,
                tuple(it.name for it in avoid),
                "" if backend is None else backend.name,
                "" if reasons is None else reasons.why,
                "" if reasons is None else reasons.rule.value,
                "" if reasons is None else reasons.measure,
                looked,
            )
        )
        return backend

    def started(self, backend: Backend, now: float) -> None:
        self._index.started(backend, now)

    def finished(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> None:
        self._index.finished(backend, now, outcome, latency)
