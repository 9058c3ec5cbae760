"""When attempts take a backend out of rotation for a while: passive ejection.

Only who does worse than the others is ejected. Where everybody fails, the trouble lies behind the
backends, and it would only grow if fewer of them were left. So a streak of failures has to be one
that the failures elsewhere do not explain, and a share of failures has to exceed the others'.

While nothing fails nothing is done: the first failure opens a window, in which the counters that
backends keep anyway are sampled; it closes when there was no failure for its whole length. What the
driver ended itself and what a client did not wait for says nothing about a backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log
from typing import Protocol

from lb.balancing.agenda import INFINITY, Agenda
from lb.balancing.backend import Backend
from lb.balancing.evidence import SLICES, Comparison, Evidence
from lb.balancing.settings import State
from lb.strategies import Outcome

CHANCE = 1e-9
"""How likely a streak may be at the others' rate that still counts as chance: one in twelve days of
a thousand requests per second."""
SIGMAS = 4.0
"""Standard errors by which a rate has to exceed the others', however few the requests: windows are
compared every second for years, and three would be exceeded once in a quarter of an hour."""


@dataclass(frozen=True)
class OutlierPolicy:
    """Passive ejection. Times in seconds."""

    enabled: bool = True
    consecutive_failures: int | None = 5
    """Failures in a row that eject, unless the others fail too; None or 0 is off."""
    failure_rate: float | None = 0.2
    """Ejected when the share of failures exceeds the mean of the others' by this; None or 0 is
    off."""
    window: float = 10.0
    """What the share of failures is taken over."""
    min_requests: int = 20
    """Ended attempts in the window without which a share says nothing."""
    latency_factor: float | None = None
    """Ejected when the response time exceeds the others' median by this factor for a whole window;
    None is off."""
    counts: tuple[str, ...] = ("connect", "reset", "timeout", "server_error")
    """Outcomes that count as failures. Any other end of an attempt is as good as an answer."""
    eject: float = 10.0
    """The first ejection. The next is twice as long when it follows within that time; for each time
    as long as the last one that goes well it is half as long again."""
    max_eject: float = 300.0
    max_share: float = 0.5
    """Of the backends that may be ejected at once; one in any case, where there are two. The last
    one that is usable is never ejected."""


class Rulings(Protocol):
    """Who carries out what is decided here; `ejected` of the backend is set already."""

    def ejected(self, backend: Backend, now: float, why: str, span: float, silent: bool) -> None:
        """It is out for `span` seconds; `silent`: it took what it was sent and said nothing."""

    def returned(self, backend: Backend, now: float) -> None:
        """Its ejection is over."""

    def withheld(self, backend: Backend, why: str) -> None:
        """It stays in, with as many out as may be. Told once until that changes."""


class Outliers:
    """Judges all backends. On the agenda it stands for the slices of its window."""

    order = -2

    def __init__(
        self,
        policy: OutlierPolicy,
        agenda: Agenda,
        backends: Sequence[Backend],
        rulings: Rulings,
        now: float = 0.0,
    ) -> None:
        """`backends` is kept, and is to show at every moment who there is."""
        self.due_at = INFINITY
        self.withheld = 0
        """Ejections that there was no room for."""
        self._agenda = agenda
        self._backends = backends
        self._rulings = rulings
        self._all: dict[Backend, Evidence] = {}
        self._failed_at = -INFINITY
        self._told = False
        self.adopt(policy, now)

    # --- what happens

    def failed(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> None:
        """An attempt at `backend`, begun `latency` ago, did not succeed, and is counted there."""
        if outcome.value not in self._counts or not (backend.usable or backend in self._all):
            return  # a backend that has left is not remembered
        evidence = self._evidence(backend)
        evidence.set_aside()
        if backend.ejected or not backend.usable or now - latency < evidence.since:
            return
        self._failed_at = now
        if self.due_at == INFINITY:
            self._open(now)
        enough = self.policy.consecutive_failures
        streak = evidence.failed(outcome, enough or 0)
        if enough and streak >= evidence.enough:
            needed = self._explained(evidence, enough)
            if streak >= needed:
                silent = outcome is Outcome.TIMEOUT and not evidence.heard
                why = f"{streak} failures in a row, the last one {outcome.value}"
                self._eject(evidence, now, why, silent)
            else:  # looked at seldom, since it takes a look at everybody
                evidence.enough = int(min(needed, 2 * streak))

    def begun(self, backend: Backend, now: float) -> None:
        """`backend` is in use again: what became of earlier attempts is no sign any more."""
        if backend in self._all:
            self._all[backend].begun(now)

    def left(self, backend: Backend, now: float) -> None:
        """`backend` is out of use, for whatever reason."""
        if backend in self._all:
            self._all[backend].left(now)

    def fall_due(self, now: float) -> None:
        """A slice of the window is over: compare, and go on while there is a reason to."""
        policy = self.policy
        if policy.failure_rate:
            self._compare_rates(now, policy.failure_rate)
        if policy.latency_factor is not None:
            self._compare_times(now, policy.latency_factor)
        elif now - self._failed_at >= policy.window:
            self._close()
            return
        self._open(now)

    # --- control

    def adopt(self, policy: OutlierPolicy, now: float) -> None:
        """Another policy. Who is ejected stays so for the time that was set."""
        self.policy = policy
        self._counts = policy.counts if policy.enabled else ()
        self._close()
        self._agenda.set(self, INFINITY)
        if not policy.enabled:
            for evidence in list(self._all.values()):
                if evidence.backend.ejected:
                    self._agenda.set(evidence, INFINITY)
                    self._over(evidence, now)
        elif policy.latency_factor is not None:
            self._open(now)

    def forget(self, backend: Backend) -> None:
        """`backend` is here no more."""
        evidence = self._all.pop(backend, None)
        if evidence is not None:
            self._agenda.set(evidence, INFINITY)

    # --- inside

    def _evidence(self, backend: Backend) -> Evidence:
        evidence = self._all.get(backend)
        if evidence is None:
            evidence = self._all[backend] = Evidence(backend, self._over)
        return evidence

    def _open(self, now: float) -> None:
        """Another slice of the window begins."""
        for backend in self._backends:
            self._evidence(backend).sample()
        self._agenda.set(self, now + self.policy.window / SLICES)

    def _close(self) -> None:
        for evidence in self._all.values():
            evidence.forget_window()
        self._told = False

    def _judged(self) -> list[Evidence]:
        """Those that are in use, whom the others are compared with."""
        return [
            self._evidence(backend)
            for backend in self._backends
            if backend.usable and not backend.ejected
        ]

    def _explained(self, suspect: Evidence, enough: int) -> float:
        """How long a streak has to be that the others' failures do not explain.

        An other's rate is that of its window, or of what it fails in at this moment: when all begin
        to fail together, the first streak is hardly longer than the others'. As long as too little
        is known of them, the rate that was the suspect's own before stands in for theirs.
        """
        rates, known = [], 0
        for other in self._judged():
            good, failures = other.recent
            if other is not suspect and good + failures:
                known += good + failures
                streak = other.streak
                rates.append(max(failures / (good + failures), streak / (streak + 1)))
        rate = sum(rates) / len(rates) if rates else 0.0
        if known < self.policy.min_requests:
            good, failures = suspect.recent
            before = max(failures - suspect.streak, 0)
            if good + before >= self.policy.min_requests:
                rate = max(rate, before / (good + before))
        if rate <= 0:
            return enough
        return max(enough, log(CHANCE) / log(rate)) if rate < 1 else INFINITY

    def _compare_rates(self, now: float, by: float) -> None:
        comparison = Comparison()
        for evidence in self._judged():
            comparison.add(evidence)
        for evidence, rate, others in comparison.worse(by, SIGMAS, self.policy.min_requests):
            why = f"{rate:.0%} of its requests failed, {others:.0%} elsewhere"
            self._eject(evidence, now, why, silent=False)

    def _compare_times(self, now: float, factor: float) -> None:
        known = [it for it in self._judged() if it.backend.response_time is not None]
        times = [(it.backend.response_time or 0.0, it) for it in known]
        times.sort(key=lambda row: row[0])
        for place, (seconds, evidence) in enumerate(times):
            median = _median_beside([time for time, _ in times], place)
            if sum(evidence.recent) < self.policy.min_requests or seconds <= factor * median:
                evidence.slow = 0
                continue
            evidence.slow += 1
            if evidence.slow >= SLICES:
                why = f"takes {seconds:.3g} s, {median:.3g} s elsewhere"
                self._eject(evidence, now, why, silent=False)

    def _eject(self, evidence: Evidence, now: float, why: str, silent: bool) -> None:
        policy, backend = self.policy, evidence.backend
        evidence.forget()
        if not self._has_room(backend):
            self.withheld += 1
            if not self._told:
                self._told = True
                self._rulings.withheld(backend, why)
            return
        span = policy.eject
        if evidence.span:
            span = evidence.span * 2.0 ** (1 - (now - evidence.well_since) // evidence.span)
        evidence.span = span = min(max(span, policy.eject), policy.max_eject)
        backend.ejected = True
        backend.ejections += 1
        backend.ejected_until = now + span
        self._agenda.set(evidence, now + span)
        self._rulings.ejected(backend, now, why, span, silent)

    def _has_room(self, backend: Backend) -> bool:
        """Whether one more may be ejected, and this one."""
        wanted = out = others = 0
        for it in self._backends:
            wanted += it.state is State.UP
            out += it.ejected
            others += it.usable and not it.ejected and it is not backend
        share = self.policy.max_share
        most = max(1 if wanted > 1 and share > 0 else 0, floor(share * wanted + 1e-9))
        return out < most and others > 0

    def _over(self, evidence: Evidence, now: float) -> None:
        """An ejection has ended."""
        evidence.backend.ejected = False
        evidence.over(now)
        self._told = False
        self._rulings.returned(evidence.backend, now)


def _median_beside(ordered: Sequence[float], place: int) -> float:
    """The median of all but the one at `place`; infinity where there are no others."""
    count = len(ordered) - 1
    if not count:
        return INFINITY
    low, high = (count - 1) // 2, count // 2
    return (ordered[low + (low >= place)] + ordered[high + (high >= place)]) / 2
