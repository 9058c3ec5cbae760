"""Everything that makes a balancer, in one value.

Live, recorded, replayed or simulated, a balancer is made of a `Setup`; configuration returns one,
and a recording is headed by one. Each policy has its defaults in its own file and its place here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

from lb.balancing.health import HealthPolicy
from lb.balancing.hedges import HedgePolicy
from lb.balancing.outliers import OutlierPolicy
from lb.balancing.panic import PanicPolicy
from lb.balancing.retries import RetryPolicy
from lb.balancing.settings import Settings
from lb.balancing.slow_start import SlowStartPolicy
from lb.balancing.subset import SubsetPolicy
from lb.balancing.tiers import TierPolicy
from lb.balancing.waiting import QueuePolicy


@dataclass(frozen=True)
class Setup:
    """Backends, the algorithm with its settings, and every policy."""

    backends: tuple[Settings, ...] = ()
    algorithm: str = "round_robin"
    settings: Mapping[str, object] = field(default_factory=dict)
    """Of the algorithm, by name; the others have their defaults."""
    health: HealthPolicy = field(default_factory=HealthPolicy)
    outliers: OutlierPolicy = field(default_factory=OutlierPolicy)
    panic: PanicPolicy = field(default_factory=PanicPolicy)
    slow_start: SlowStartPolicy = field(default_factory=SlowStartPolicy)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    hedging: HedgePolicy = field(default_factory=HedgePolicy)
    queue: QueuePolicy = field(default_factory=QueuePolicy)
    tiers: TierPolicy = field(default_factory=TierPolicy)
    subset: SubsetPolicy = field(default_factory=SubsetPolicy)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Setup:
        """What `as_dict` gave, by this version or an earlier one. Raises TypeError otherwise."""
        given = dict(values)
        backends = tuple(Settings.from_dict(**_frozen(row)) for row in given.pop("backends"))
        policies = {
            name: policy(**{**BEFORE.get(name, {}), **_frozen(given.pop(name, {}))})
            for name, policy in POLICIES.items()
        }
        return cls(backends, **given, **policies)


POLICIES: dict[str, Any] = {
    row.name: row.default_factory for row in fields(Setup) if is_dataclass(row.default_factory)
}
"""Types of the policies, by their names in a setup."""
BEFORE: Mapping[str, Mapping[str, Any]] = {
    "outliers": {"enabled": False},
    "panic": {"threshold": 0.0},
    "retries": {"backoff": 0.0},
}
"""What balancers did that did not know a policy or a part of it yet, where that is not its default.
"""


def _frozen(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where policies have tuples."""
    return {name: tuple(it) if isinstance(it, list) else it for name, it in row.items()}
