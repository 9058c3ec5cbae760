"""What a load generator writes down of an answer, whichever generator it is."""

from __future__ import annotations

import math
from collections.abc import Callable

from lb import wire
from lb.config import Scenario
from sim.live.kinds import Kind, of_answer
from sim.live.measurement import Measurement

BACKEND = "X-Backend-Server"


class Notes:
    """Of the answers to one scenario's requests."""

    def __init__(self, scenario: Scenario) -> None:
        self._places = {row.address: order for order, row in enumerate(scenario.backends)}

    def answered(
        self, measured: Measurement, index: int, status: int, field: Callable[[str], str | None]
    ) -> bool:
        """Whether the answer is good; `field` gives its header fields by name.

        The balancer says who answered, or else the modelled backend itself does.
        """
        served = wire.read_served(field(wire.SERVED) or "")
        named = field(BACKEND) or served.backend or ""
        measured.backend[index] = self._places.get(named, -1)
        kind = of_answer(status, bool(named))
        if measured.kind is not None:
            measured.kind[index] = kind
        for column, seconds in (
            (measured.service, served.service),
            (measured.sojourn, served.sojourn),
            (measured.late, served.late),
        ):
            if column is not None:
                column[index] = math.nan if seconds is None else seconds
        return kind is Kind.NONE

    @staticmethod
    def broken(measured: Measurement, index: int, error: BaseException) -> None:
        """No answer came."""
        if measured.kind is not None:
            late = isinstance(error, TimeoutError)
            measured.kind[index] = Kind.TIMEOUT if late else Kind.UNREACHABLE

    @staticmethod
    def left(measured: Measurement, index: int) -> None:
        """Its client went before there was one."""
        measured.gone[index] = True
        if measured.kind is not None:
            measured.kind[index] = Kind.GONE
