"""Everything that makes a balancer, in one value.

Live, recorded, replayed or simulated, a balancer is made of a `Setup`; configuration returns one,
and a recording is headed by one. Each policy has its defaults in its own file and its place here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

from lb.balancing.backend import Settings
from lb.balancing.health import HealthPolicy
from lb.balancing.retries import RetryPolicy
from lb.balancing.subset import SubsetPolicy
from lb.balancing.waiting import QueuePolicy


@dataclass(frozen=True)
class Setup:
    """Backends, the algorithm with its settings, and every policy."""

    backends: tuple[Settings, ...] = ()
    algorithm: str = "round_robin"
    settings: Mapping[str, object] = field(default_factory=dict)
    """Of the algorithm, by name; the others have their defaults."""
    health: HealthPolicy = field(default_factory=HealthPolicy)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    queue: QueuePolicy = field(default_factory=QueuePolicy)
    subset: SubsetPolicy = field(default_factory=SubsetPolicy)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Setup:
        """What `as_dict` gave. Raises TypeError for anything else."""
        given = dict(values)
        backends = tuple(Settings(**row) for row in given.pop("backends"))
        policies = {
            name: policy(**given.pop(name)) for name, policy in POLICIES.items() if name in given
        }
        return cls(backends, **given, **policies)


POLICIES: dict[str, Any] = {
    row.name: row.default_factory for row in fields(Setup) if is_dataclass(row.default_factory)
}
"""Types of the policies, by their names in a setup."""
