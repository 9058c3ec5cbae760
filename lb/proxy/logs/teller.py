"""Who hears of requests that have ended."""

from __future__ import annotations

from typing import Any

from lb.native.marks import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Teller:
    """Hears, and does something about it that waits for nobody."""

    def __init__(self) -> None:
        self.pass_over = 0.0
        """As many requests that went well need not be told, each of which takes one off."""

    def ended(
        self, exchange: Any, attempt: Any, now: float, code: str, who: str, phase: str
    ) -> None:
        """`attempt` is the last one, if there was any; see `Account`."""

    def rejected(self, peer: bytes, status: int, line: bytes, seconds: float) -> None:
        """What came from `peer` is refused, after so long; its first `line`, if it came."""
