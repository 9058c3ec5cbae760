"""One thing that was looked at, and whether it was as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.analysis.statistics import Estimate


@dataclass(frozen=True, slots=True)
class Check:
    """A law on a strategy, or a figure of a simulated system beside what is known of it."""

    subject: str
    says: str
    kept: bool | None
    """None: it does not bind this one."""
    why: str = ""
    oracle: float | None = None
    """What is known; of a law nothing."""
    relation: str = "="
    """What the simulated figure is to the oracle: `=`, `<` or `>`."""
    simulated: Estimate | None = None
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """A row of `lb verify --json`."""
        simulated = None if self.simulated is None else self.simulated.as_dict()
        return {
            "subject": self.subject,
            "says": self.says,
            "kept": self.kept,
            "why": self.why,
            "oracle": self.oracle,
            "relation": self.relation,
            "simulated": simulated,
            "source": self.source,
        }
