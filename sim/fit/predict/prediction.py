"""A prediction: a model that first has to tell what is known, then what would be if."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sim.fit.predict.changes import Change, Outlook
from sim.fit.predict.current import Current
from sim.fit.predict.gate import Gate
from sim.model.laws import Floats


@dataclass(frozen=True)
class Told:
    """Where the current setting is from, and what there is of it."""

    setting: Current
    source: str = ""
    """The recording; empty without one."""
    requests: int = 0
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "algorithm": self.setting.algorithm,
            "told_by": self.setting.told_by,
            "differs": list(self.setting.differs),
            "recording": self.source or None,
            "requests": self.requests or None,
            "seconds": self.seconds or None,
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True)
class Prediction:
    """What `lb predict` tells."""

    seed: int
    metric: str
    told: Told
    gate: Gate
    current: Outlook | None
    """None where the model is not to be believed."""
    changes: list[Change]
    replications: int
    measured: Floats = field(default_factory=lambda: np.empty(0))
    """Latencies of the recording in seconds, ascending."""
    samples: Mapping[str, Sequence[Floats]] = field(default_factory=dict)
    """Modelled ones, one array per replication; by change, and "" for the current setting."""

    def __getitem__(self, change: str) -> Change:
        """The change of that name, such as "p2c"."""
        for one in self.changes:
            if one.outlook.name == change:
                return one
        raise KeyError(change)

    @property
    def exit_status(self) -> int:
        """4 where the model is not to be believed, or nothing can be told of any change.

        That a change makes it worse is an answer. Circumstances count where nothing else is asked.
        """
        asked = [it for it in self.changes if not it.circumstance] or self.changes
        fine = self.gate.passed and (not asked or any(it.told for it in asked))
        return 0 if fine else 4

    @property
    def best(self) -> Change | None:
        """The recommended change with the least of `metric`, and of those the least p99."""
        fine = [it for it in self.changes if it.recommended]
        return min(fine, key=lambda it: it.outlook.told(self.metric), default=None)

    def as_dict(self) -> dict[str, Any]:
        """The object of `lb predict --json`, schema 1."""
        return {
            "schema": 1,
            "seed": self.seed,
            "metric": self.metric,
            "replications": self.replications,
            "gate": {**self.gate.as_dict(), "setting": self.told.as_dict()},
            "current": None if self.current is None else self.current.as_dict(),
            "changes": [it.as_dict() for it in self.changes],
        }
