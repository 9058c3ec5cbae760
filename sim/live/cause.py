"""Where a miss comes from: the generator, the proxy, the backends, the machine, or the model.

Each has a witness of its own: the generator knows when it should have sent, backends say how long
they had a request, how long they worked at it and how late they were to answer; what is left of a
client's wait is the way and the proxy. Where witnesses are missing that is said, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sim.live.absence import Absence
from sim.live.as_got import Kept
from sim.live.kinds import Kind
from sim.live.line import Line
from sim.live.parts import Parts, Split
from sim.model.laws import Floats

GENERATOR, PROXY, BACKENDS = "generator", "proxy", "backends"
MACHINE, MODEL, UNKNOWN = "machine", "model", "unknown"
MATTERS = 0.4
"""Share of what a run is off that a part must make up to be its cause."""
AS_GOT = 0.05
"""By how much backends may keep the requests that they got longer than their models, relative."""
CONFUSED = 0.2
"""Share of requests out of turn, beyond that of the predicted runs, that shows that it is not the
turns of one balancer."""
MOST = 3
"""Figures that one sentence names."""
OF_BACKENDS = (Kind.SERVER_ERROR.label, Kind.RESET.label, Kind.TIMEOUT.label)
"""Failures that come from there."""


@dataclass(frozen=True)
class Cause:
    """Who it was, and what shows it."""

    who: str
    says: str
    """One sentence with the figures."""
    evidence: dict[str, Any] = field(default_factory=dict)
    """Seconds, shares and counts."""

    def as_dict(self) -> dict[str, Any]:
        return {"who": self.who, "says": self.says, "evidence": self.evidence}


@dataclass(frozen=True)
class Witnesses:
    """What is known of a run that missed."""

    parts: Parts | None
    stays: Sequence[tuple[Floats, Floats]] | None
    """Of each backend how long requests stayed, and would have at its model (`stays_as_got`)."""
    kept: Mapping[str, Kept]
    """By backend the same where answers do not say (`kept_as_got`)."""
    absence: Absence | None
    """Who answered nothing for a while."""
    out_of_turn: tuple[float, float]
    """Share of the first requests that came to another backend than turns would have it, and the
    largest of the predicted runs: retries and faults take turns away."""
    backends: Mapping[str, Mapping[str, Line]]
    shares: Mapping[str, Line]
    errors: Mapping[str, Line]
    as_predicted: bool
    """Whether nothing is missed but objectives."""
    out: Sequence[str]
    """Backends whose time out of rotation is off."""
    off: Sequence[str]
    """All that is, by name."""
    slow_body: bool
    """Whether a median is off, and not the tail alone."""
    latency_off: bool


def cause(it: Witnesses) -> Cause:
    """Of a miss that neither a late generator nor a busy machine explains."""
    found = _found(it)
    share, predicted = it.out_of_turn
    if found.who != PROXY or share <= predicted + CONFUSED:
        return found
    says = (
        f"{found.says}; {share:.0%} of the first requests were out of turn: there are several "
        "workers, others send as well, or attempts fail and go elsewhere"
    )
    return replace(found, says=says, evidence={**found.evidence, "out_of_turn": share})


def _found(it: Witnesses) -> Cause:
    if it.as_predicted:
        return Cause(MODEL, "all is as predicted: what [expect] asks for is more than that")
    if found := _working(it.backends):
        return found
    if it.absence is not None:
        return _absent(it.absence)
    if it.parts is not None and it.latency_off and (found := _waiting(it.parts, it.slow_body)):
        return found if found.who != BACKENDS else _staying(found, it)
    kinds = {name: line for name, line in it.errors.items() if not line.ok}
    if kinds:
        return _failing(kinds)
    if it.out:
        says = f"out of rotation not as predicted: {', '.join(it.out)}; the rest of it is fine"
        return Cause(PROXY, says, {"out": list(it.out)})
    picks = {name: line for name, line in it.shares.items() if not line.ok}
    if picks and not (it.latency_off and it.parts is None):
        name, line = _farthest(picks)
        says = (
            f"{name} gets {line.measured:.1%} of the requests where {line.predicted.value:.1%} "
            "are predicted, and backends work as modelled"
        )
        return Cause(PROXY, says, {"share": {"backend": name, **line.as_dict()}})
    if it.parts is None and it.latency_off:
        return _unheard(it.backends, it.kept)
    told = ", ".join(it.off[:MOST]) + (" and more" if len(it.off) > MOST else "")
    return Cause(MODEL, f"backends, proxy and generator each did as modelled; off: {told}")


def excuse(why: str) -> Cause:
    """Of a run that says nothing since its machine was busy."""
    return Cause(GENERATOR if "generator was late" in why else MACHINE, why)


def _working(backends: Mapping[str, Mapping[str, Line]]) -> Cause | None:
    """Backends whose own report of their work is not what the model makes of it."""
    off = {
        name: lines["service"]
        for name, lines in backends.items()
        if "service" in lines and not lines["service"].ok
    }
    if not off:
        return None
    told = ", ".join(
        f"{name} works {_ms(line.measured)} at a request on average, "
        f"{line.measured / line.predicted.value:.3g} times the {_ms(line.predicted.value)} modelled"
        for name, line in off.items()
    )
    evidence = {name: {"service": line.as_dict()} for name, line in off.items()}
    return Cause(BACKENDS, told, {"backends": evidence})


def _absent(it: Absence) -> Cause:
    says = (
        f"{it.backend} answered nothing from {it.since:.3g} s to {it.until:.3g} s, where "
        f"{it.share:.1%} of the requests were to be its: it was down, or out of rotation"
    )
    return Cause(BACKENDS, says, {"absent": it._asdict()})


def _waiting(parts: Parts, slow_body: bool) -> Cause | None:
    """The part of the latency that makes up most of what it is off by."""
    measured, predicted = parts.measured, parts.predicted
    among = "a request"
    if not slow_body:
        measured, predicted = parts.slowest_measured, parts.slowest_predicted
        among = "one of the slowest 5 %"
    off, differences = measured.whole - predicted.whole, measured.less(predicted)
    if off == 0:
        return None
    who = max(differences, key=lambda name: differences[name] / off)
    if differences[who] / off < MATTERS:
        return None
    words = {
        GENERATOR: "the generator sent it late by",
        PROXY: "between client and backend (network, proxy) it was",
        BACKENDS: "at its backend it was",
        MACHINE: "its backend was late to answer by",
    }
    seen, paper = getattr(measured, who), getattr(predicted, who)
    says = (
        f"{among} took {_ms(abs(off))} {'more' if off > 0 else 'less'} than predicted on average; "
        f"{words[who]} {_ms(seen)}" + (f" where {_ms(paper)} is modelled" if paper > 0 else "")
    )
    if who == PROXY and paper == 0:
        says += " and the file has no [traffic] network"
    return Cause(who, says, _split(measured, predicted))


def _staying(found: Cause, it: Witnesses) -> Cause:
    """Requests stay at backends for another time than predicted: whose doing is that?"""
    if it.stays is None:
        return found
    names = list(it.backends) or [str(place) for place in range(len(it.stays))]
    means = [
        (name, float(stayed.mean()), float(modelled.mean()))
        for name, (stayed, modelled) in zip(names, it.stays, strict=True)
        if len(stayed)
    ]
    off = [one for one in means if abs(one[1] - one[2]) > AS_GOT * one[2] + 1e-3]
    evidence = {name: {"stayed": seen, "modelled": paper} for name, seen, paper in means}
    evidence_of_all = {**found.evidence, "as_got": evidence}
    if off:
        name, stayed, modelled = max(off, key=lambda one: abs(one[1] - one[2]) / one[2])
        says = f"{found.says}; {name} kept what it got {_ms(stayed)}, its model {_ms(modelled)}"
        return Cause(BACKENDS, says, evidence_of_all)
    says = (
        f"{found.says}; but their models keep the requests that they got as long, so it is which "
        "requests they were sent, and when"
    )
    return Cause(PROXY, says, evidence_of_all)


def _split(measured: Split, predicted: Split) -> dict[str, Any]:
    return {"measured": measured.as_dict(), "predicted": predicted.as_dict()}


def _farthest(lines: Mapping[str, Line]) -> tuple[str, Line]:
    return max(lines.items(), key=lambda one: abs(one[1].measured - one[1].predicted.value))


def _failing(kinds: Mapping[str, Line]) -> Cause:
    name, line = _farthest(kinds)
    who = BACKENDS if name in OF_BACKENDS else PROXY
    says = (
        f"{line.measured:.0f} requests failed as {name}, where {line.predicted.value:.3g} "
        "are predicted"
    )
    return Cause(who, says, {"errors": {name: line.as_dict() for name, line in kinds.items()}})


def _unheard(backends: Mapping[str, Mapping[str, Line]], kept: Mapping[str, Kept]) -> Cause:
    """Without the backends' own word: some of them alone is their affair, all of them is not."""
    silent = "answers do not say how long backends had them (X-LB-Served)"
    slow = {name: one for name, one in kept.items() if _another(one)}
    evidence = {"as_got": {name: one._asdict() for name, one in kept.items()}}
    if slow and len(slow) < len(kept):
        name, one = max(slow.items(), key=lambda item: abs(item[1].stayed / item[1].modelled - 1))
        says = (
            f"{name} kept what it got {_ms(one.stayed)} on average, its model {_ms(one.modelled)} "
            f"({_ms(one.low)} to {_ms(one.high)})"
        )
        return Cause(BACKENDS, f"{says}; {silent}", evidence)
    if kept and not slow:
        says = "models keep the requests that backends got as long: it is which they were sent"
        return Cause(PROXY, f"{says}; {silent}", evidence)
    off = [name for name, lines in backends.items() if any(not line.ok for line in lines.values())]
    if off and len(off) < len(backends) and not kept:
        name = off[0]
        line = next(line for line in backends[name].values() if not line.ok)
        says = (
            f"only {', '.join(off)} {'is' if len(off) == 1 else 'are'} off: {name} took "
            f"{_ms(line.measured)} where {_ms(line.predicted.value)} is predicted; {silent}"
        )
        return Cause(BACKENDS, says, {"backends": {name: {"latency": line.as_dict()}}})
    return Cause(UNKNOWN, f"proxy or backends: {silent}")


def _another(kept: Kept) -> bool:
    """Whether it is not what its model may be."""
    slack = AS_GOT * kept.modelled + 1e-3
    return not kept.low - slack <= kept.stayed <= kept.high + slack


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:z.3g} ms" if abs(seconds) < 0.9995 else f"{seconds:.3g} s"
