"""What a strategy begins with that need not hear of calls."""

from __future__ import annotations

from typing import Generic

from lb.native.marks import mypyc_attr
from lb.strategies.base import Outcome
from lb.strategies.candidate import B


@mypyc_attr(allow_interpreted_subclasses=True)
class Heedless(Generic[B]):
    """What a strategy begins with that goes by membership and weights alone.

    As long as `started` or `finished` are these, nobody need call them.
    """

    def started(self, backend: B, now: float) -> None: ...

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None: ...
