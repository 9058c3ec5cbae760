"""What a search has found: contenders with their figures, the set, the one suggested and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lb.config import Scenario
from sim.analysis.objectives import Answer
from sim.analysis.statistics import Estimate
from sim.fit.recommend.aims import Aim, together
from sim.fit.recommend.contenders import Contender
from sim.fit.recommend.doubts import NONE, Doubt
from sim.fit.recommend.headroom import Headroom
from sim.fit.recommend.numbers import Number
from sim.fit.recommend.selection import ERROR, Selection
from sim.fit.recommend.weights import Weights

WORDS = {Answer.MET: "met", Answer.MISSED: "missed", Answer.UNCLEAR: "cannot tell"}


@dataclass
class Row:
    """One contender."""

    contender: Contender
    figures: dict[str, Estimate]
    """Latencies in seconds, `failed` as a share, and what else is aimed at."""
    answers: dict[str, Answer]
    """To each objective, by its figure; with the model's own error."""
    by_model: Answer
    """To all of them at once, if the model were exact."""
    used: float
    """The largest share of a bound that is used; infinite where it cannot keep up."""
    replications: int
    steady: bool
    in_set: bool
    same_as: str = ""
    """A simpler one of the same algorithm that gave the same to the last bit."""
    headroom: Headroom | None = None
    one_lost: Headroom | None = None

    @property
    def algorithm(self) -> str:
        return self.contender.text

    @property
    def answer(self) -> Answer:
        """To all objectives at once."""
        return together(list(self.answers.values()))

    def as_dict(self) -> dict[str, Any]:
        """An entry of `contenders`."""
        return {
            "algorithm": self.algorithm,
            "in_set": self.in_set,
            "same_as": self.same_as or None,
            "figures": {name: it.as_dict() for name, it in self.figures.items()},
            "objectives": {name: WORDS[it] for name, it in self.answers.items()},
            "objective": WORDS[self.answer],
            "objective_if_exact": WORDS[self.by_model],
            "used": self.used if math.isfinite(self.used) else None,
            "steady": self.steady,
            "replications": self.replications,
            "asks": self.contender.asks,
            "heeds_weights": self.contender.heeds_weights,
            "safe_load": None if self.headroom is None else self.headroom.as_dict(),
            "safe_load_one_lost": None if self.one_lost is None else self.one_lost.as_dict(),
        }


@dataclass(frozen=True)
class End:
    """The same search where what a calibration could not identify is at one of its ends."""

    settings: dict[str, Any]
    best: tuple[str, ...]
    answer: Answer | None
    """Of the one that is suggested, to the objectives; None where it was not simulated."""

    def as_dict(self) -> dict[str, Any]:
        """An entry of `unknown`."""
        answer = None if self.answer is None else WORDS[self.answer]
        return {"settings": self.settings, "set": list(self.best), "objective": answer}


@dataclass
class Recommendation:
    """See `recommend`."""

    scenario: Scenario
    aims: list[Aim]
    rows: list[Row] = field(default_factory=list)
    """The set first, simplest first; then the others, best first."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    selection: Selection | None = None
    number: Number | None = None
    number_one_lost: Number | None = None
    weights: list[Weights] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    doubt: Doubt = NONE
    """How far the model may be off by itself."""
    budget: float = 0.0
    """Requests, or seconds if `timed`."""
    timed: bool = False
    spent: float = 0.0
    """Requests."""
    interrupted: bool = False
    overloaded: bool = False
    """Whether no algorithm can keep up, so that there is nothing to choose from."""
    hangs_on: str = ""
    """What could not be identified, in words, where they might keep up at an end of it."""

    @property
    def set(self) -> list[Row]:
        """Those that cannot be told from the best, simplest first."""
        return [row for row in self.rows if row.in_set]

    @property
    def suggested(self) -> Row | None:
        """The simplest of the set that meets the objectives, or may; None where none does.

        Of those that only chance lets meet them it is the nearest.
        """
        able = [row for row in self.set if row.answer is Answer.MET]
        if not able:
            maybe = [row for row in self.set if row.answer is Answer.UNCLEAR]
            able = [row for row in maybe if row.used <= 1]
            able = able or sorted(maybe, key=lambda row: row.used)[:1]
        everywhere = [row for row in able if all(row.algorithm in it.best for it in self.ends)]
        return next(iter(everywhere or able), None)

    @property
    def nearest(self) -> Row | None:
        """The best of those that there are, whether it is good enough or not."""
        leader = None if self.selection is None else self.selection.leader
        return next((row for row in self.rows if row.algorithm == leader), None)

    @property
    def answer(self) -> Answer:
        """Whether one has been found that meets the objectives."""
        if self.suggested is not None:
            return self.suggested.answer
        if self.rows or (self.overloaded and (self.ends or not self.hangs_on)):
            return Answer.UNCLEAR if self._elsewhere else Answer.MISSED
        return Answer.UNCLEAR

    @property
    def _elsewhere(self) -> bool:
        """Whether the objectives may be met at an end of what could not be identified."""
        return any(it.answer not in (None, Answer.MISSED) for it in self.ends)

    @property
    def differs(self) -> bool:
        """Whether the answer depends on what could not be identified."""
        mine = self.suggested
        if mine is None:
            return self._elsewhere
        return any(
            mine.algorithm not in it.best or it.answer is not mine.answer for it in self.ends
        )

    @property
    def within_error(self) -> bool:
        """Whether it is the model's own error alone that leaves open whether the best is enough."""
        best = self.suggested
        return best is not None and best.answer is Answer.UNCLEAR is not best.by_model

    @property
    def regret(self) -> float | None:
        """By what share the best of all may be better than the suggested one, at 95 %."""
        if self.selection is None or self.suggested is None:
            return None
        return self.selection.regret(self.suggested.algorithm)

    def as_dict(self) -> dict[str, Any]:
        """The object of `lb recommend --json`, schema 1."""
        suggested, nearest = self.suggested, self.nearest
        regret = self.regret
        return {
            "schema": 1,
            "seed": self.scenario.run.seed,
            "scenario": self.scenario.model_dump(mode="json", by_alias=True, exclude_none=True),
            "objectives": [
                {
                    "metric": aim.metric,
                    "bound": aim.bound,
                    "relation": ">=" if aim.least else "<=",
                    "relative": aim.share,
                }
                for aim in self.aims
            ],
            "model_error": self.doubt.as_dict(),
            "answer": WORDS[self.answer],
            "suggested": None if suggested is None else suggested.algorithm,
            "nearest": None if nearest is None else nearest.algorithm,
            "set": [row.algorithm for row in self.set],
            "probability_of_correct_selection": 1 - ERROR if self.rows else None,
            "regret": None if regret is None or not math.isfinite(regret) else regret,
            "contenders": [row.as_dict() for row in self.rows],
            "left_out": [{"algorithm": name, "why": why} for name, why in self.left_out],
            "backends": None if self.number is None else self.number.as_dict(),
            "backends_one_lost": None
            if self.number_one_lost is None
            else self.number_one_lost.as_dict(),
            "weights": [it.as_dict() for it in self.weights],
            "unknown": [it.as_dict() for it in self.ends],
            "differs": self.differs,
            "budget": {"seconds" if self.timed else "requests": self.budget, "spent": self.spent},
            "interrupted": self.interrupted,
        }
