"""Last resort: the first usable backend in configured order; the others only stand in for it.

Cost: O(1) per pick. Wrong when one backend cannot carry everything.
"""

from dataclasses import dataclass

from lb.strategies import Spec
from lb.strategies.parts.ring import Ring


@dataclass(frozen=True)
class Params:
    """Last resort has no settings."""


class LastResort(Ring):
    def __init__(self, params, rng):
        super().__init__()

    def pick(self, now, key=b"", avoid=()):
        best = next((backend for backend in self.members if backend not in avoid), None)
        return best or (self.members[0] if self.members else None)


SPEC = Spec("last_resort", LastResort, Params, "O(1)", "one backend cannot carry everything")
