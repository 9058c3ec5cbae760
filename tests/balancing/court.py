"""A court for backends: what is told of attempts in, rulings out."""

from __future__ import annotations

from typing import Any

from lb.balancing.agenda import Agenda
from lb.balancing.backend import Backend
from lb.balancing.health import HealthPolicy
from lb.balancing.outliers import OutlierPolicy, Outliers
from lb.balancing.settings import Settings
from lb.strategies import Outcome

LETTERS = {
    "c": Outcome.CONNECT,
    "r": Outcome.RESET,
    "t": Outcome.TIMEOUT,
    "e": Outcome.SERVER_ERROR,
    "g": Outcome.CLIENT_GONE,
    "x": Outcome.CANCELLED,
}


class Court:
    """Backends a, b, .. whose attempts end as they are told, and the rulings about them."""

    def __init__(self, n: int = 3, **policy: Any) -> None:
        self.agenda, self.now = Agenda(), 0.0
        self.backends = [
            Backend(Settings(f"h:{i}", name="abcdefghij"[i]), i, HealthPolicy()) for i in range(n)
        ]
        for backend in self.backends:
            backend.usable = True
        self.news: list[str] = []
        self.whys: list[str] = []
        self.outliers = Outliers(OutlierPolicy(**policy), self.agenda, self.backends, self)

    # Rulings

    def ejected(self, backend: Backend, now: float, why: str, span: float, silent: bool) -> None:
        assert backend.ejected
        assert backend.ejected_until == now + span
        backend.usable = False
        self.outliers.left(backend, now)
        self.whys.append(why)
        self.news.append(f"-{backend.name} {span:g}{' silent' if silent else ''}")

    def returned(self, backend: Backend, now: float) -> None:
        assert not backend.ejected
        backend.usable = True
        self.outliers.begun(backend, now)
        self.news.append(f"+{backend.name}")

    def withheld(self, backend: Backend, why: str) -> None:
        assert not backend.ejected
        self.news.append(f"={backend.name}")

    # what happens

    def end(self, name: str, ends: str, latency: float = 0.0) -> None:
        """Attempts at one backend end: + well, or with one of LETTERS."""
        backend = self.backends["abcdefghij".index(name)]
        for letter in ends:
            outcome = LETTERS.get(letter)
            if outcome is None:
                backend.succeeded += 1
                continue
            backend.failed += outcome.teaches
            self.outliers.failed(backend, self.now, outcome, latency)

    def each(self, ends: str) -> None:
        """At every backend in turn, end by end."""
        for end in ends:
            for backend in self.backends:
                self.end(backend.name, end)

    def until(self, now: float) -> None:
        while self.agenda.next_at <= now:
            self.now = max(self.now, self.agenda.next_at)
            self.agenda.wake(self.now)
        self.now = now

    @property
    def out(self) -> str:
        return "".join(it.name for it in self.backends if it.ejected)
