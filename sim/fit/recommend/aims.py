"""Objectives as people write them, `p99 < 250ms`, and whether a figure meets one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lb.config import Expect
from lb.errors import UsageError, nearest
from lb.units import seconds
from sim.analysis.objectives import Answer
from sim.analysis.statistics import QUANTILES, Estimate

LATENCIES = ("mean", *QUANTILES)
METRICS = (*LATENCIES, "failed", "goodput")
_WRITTEN = re.compile(r"\s*([A-Za-z][\w.]*)\s*(<=|>=|=<|=>|==|<|>|=|≤|≥)?\s*(.*?)\s*")
_NEXT = re.compile(r"(?:[,\s]|\band\b)+(?=[A-Za-z][\w.]*\s*[<>=≤≥])")
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(%|/s)?")


@dataclass(frozen=True)
class Aim:
    """One bound on what clients see."""

    metric: str
    """One of `METRICS`: latencies in seconds, `failed` a share of the requests, `goodput` good
    answers per second or, if `relative`, a share of the requests."""
    bound: float
    relative: bool = False

    @property
    def least(self) -> bool:
        """Whether more is better."""
        return self.metric == "goodput"

    def used(self, value: float) -> float:
        """How much of the bound `value` takes: 1 just meets it, more misses it."""
        if self.least:
            return self.bound / value if value > 0 else math.inf
        return value / self.bound

    def answer(self, seen: Estimate, *, steady: bool = True) -> Answer:
        """Met where the whole interval is within the bound, missed where all of it is beyond."""
        if not steady or (seen.needs is None and not math.isfinite(seen.value)):
            return Answer.MISSED
        if seen.needs is not None or seen.low is None or seen.high is None:
            return Answer.UNCLEAR
        good, bad = (seen.low, seen.high) if self.least else (seen.high, seen.low)
        within, beyond = self.used(good) <= 1, self.used(bad) > 1
        return Answer.MET if within else Answer.MISSED if beyond else Answer.UNCLEAR

    def __str__(self) -> str:
        """As `parse` reads it."""
        if self.metric in LATENCIES:
            return f"{self.metric} < {self.bound * 1e3:.6g}ms"
        number = f"{self.bound * 100:.6g}%" if self.share else f"{self.bound:.6g}/s"
        return f"{self.metric} {'>' if self.least else '<'} {number}"

    @property
    def share(self) -> bool:
        """Whether its figure is a share of the requests."""
        return self.metric == "failed" or self.relative


def parse(text: str) -> Aim:
    """`"p99 < 250ms"`, `"failed < 0.1%"`, `"goodput > 95/s"`. Raises UsageError."""
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise UsageError(f"--objective {text!r}: write FIGURE < BOUND, such as p99 < 250ms")
    name, sign, bound = match.groups()
    metric = name.lower()
    if metric not in METRICS:
        known = {"p99.9": "p999", "median": "p50", "average": "mean", "error": "failed"}
        known |= {"errors": "failed", "error_rate": "failed", "throughput": "goodput"}
        hint = f"did you mean {known[metric]!r}?" if metric in known else nearest(metric, METRICS)
        raise UsageError(f"--objective {text!r}: no figure {name!r}; {hint}")
    wanted = ">" if metric == "goodput" else "<"
    example = {"failed": "failed < 0.1%", "goodput": "goodput > 95/s"}.get(
        metric, f"{metric} < 250ms"
    )
    if sign is None or sign in ("=", "=="):
        raise UsageError(f"--objective {text!r}: an objective is a bound; {example} is one")
    if wanted not in sign and sign != {"<": "≤", ">": "≥"}[wanted]:
        way = "least" if wanted == ">" else "most"
        raise UsageError(f"--objective {text!r}: {metric} has a bound at {way}; write {example}")
    return Aim(metric, *_bound(text, metric, bound, example))


def _bound(text: str, metric: str, bound: str, example: str) -> tuple[float, bool]:
    if metric in LATENCIES:
        try:
            value, relative = seconds(bound), False
        except ValueError as error:
            number = _NUMBER.fullmatch(bound)
            hint = f"{error}; did you mean {bound}ms?" if number and not number[2] else str(error)
            raise UsageError(f"--objective {text!r}: {hint}") from None
    else:
        number = _NUMBER.fullmatch(bound)
        if number is None or (metric == "failed" and number[2] == "/s"):
            raise UsageError(f"--objective {text!r}: {bound!r} is no bound; {example} has one")
        relative = number[2] == "%" and metric == "goodput"
        value = float(number[1]) / (100 if number[2] == "%" else 1)
        if (metric == "failed" or relative) and value > 1:
            raise UsageError(
                f"--objective {text!r}: {value:g} is more than all requests; write {value:g}%"
            )
    if value <= 0:
        why = "no bound at zero can be met or told"
        raise UsageError(f"--objective {text!r}: {why}; {example} is one")
    return value, relative


def aims_of(given: Iterable[str], expect: Expect) -> list[Aim]:
    """Those given, else the file's [expect]. Raises UsageError, also where there are none.

    One text may hold several, with commas or spaces between, as an environment variable has them.
    """
    texts = list(given)
    aims = [parse(text) for text in _NEXT.split(" ".join(texts))] if texts else []
    if not aims:
        found = expect.model_dump(exclude_none=True)
        aims = [Aim(name, bound) for name, bound in found.items() if name in METRICS]
    if not aims:
        raise UsageError(
            'nothing to aim at: give --objective "p99 < 250ms", or [expect] p99 = "250ms" in the '
            "file"
        )
    names = [aim.metric for aim in aims]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--objective: {twice} has two bounds; give one of them")
    return aims


def together(answers: Sequence[Answer]) -> Answer:
    """Of all objectives at once."""
    if Answer.MISSED in answers:
        return Answer.MISSED
    return Answer.UNCLEAR if Answer.UNCLEAR in answers else Answer.MET
