"""Who is in rotation at a live balancer, as it says itself on its stats path."""

from __future__ import annotations

import json
import math
from urllib.parse import urljoin

import numpy as np

from lb.config import Scenario
from sim.analysis.fates import EVERY
from sim.model.laws import Floats


class Watch:
    """Takes down what the balancer answers, one row every `EVERY` seconds."""

    def __init__(self, scenario: Scenario, url: str) -> None:
        """Nothing is asked where a run does not change with time, or the balancer does not tell."""
        path = scenario.server.stats_path if scenario.eventful else ""
        self.url = urljoin(url, path) if path else ""
        self._addresses = [row.address for row in scenario.backends]
        self._rows: list[list[float]] = []

    def next_look(self) -> float:
        """Seconds from the start until the next answer is wanted."""
        return len(self._rows) * EVERY

    def saw(self, at: float, answer: bytes) -> None:
        """An answer of that time, or nothing; looks that had to be left out stand empty."""
        row = _usable(answer, self._addresses)
        while len(self._rows) < round(at / EVERY):
            self._rows.append([math.nan] * len(row))
        self._rows.append(row)

    @property
    def rotation(self) -> Floats | None:
        """See `Fates`."""
        return np.array(self._rows) if self._rows else None


def _usable(answer: bytes, addresses: list[str]) -> list[float]:
    try:
        told = {row["address"]: float(row["usable"]) for row in json.loads(answer)["backends"]}
    except (ValueError, KeyError, TypeError):
        return [math.nan] * len(addresses)
    return [told.get(address, math.nan) for address in addresses]
