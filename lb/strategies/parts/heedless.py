"""What strategies begin with: an index that keeps nothing, and so knows of nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from lb.native.marks import mypyc_attr
from lb.strategies.base import Outcome
from lb.strategies.candidate import B
from lb.strategies.reasons import Reasons


@mypyc_attr(allow_interpreted_subclasses=True)
class Index(Generic[B]):
    """A strategy that others are made of. What begins with it is called directly once compiled.

    As long as `started` or `finished` are these, nobody need call them.
    """

    def join(self, backend: B, now: float) -> None: ...

    def leave(self, backend: B, now: float) -> None: ...

    def block(self, backend: B, now: float) -> None: ...

    def unblock(self, backend: B, now: float) -> None: ...

    def reweigh(self, backend: B, now: float) -> None: ...

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None: ...

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        return None  # not `...`, which mypyc takes for what nobody ever calls

    def started(self, backend: B, now: float) -> None: ...

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Heedless(Index[B]):
    """What a strategy begins with that goes by membership and weights alone."""
