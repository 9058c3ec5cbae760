"""What a load generator writes down of an answer, whichever generator it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lb import wire
from lb.config import Scenario
from sim.live.kinds import Kind, of_answer
from sim.live.measurement import Measurement

BACKEND = "X-Backend-Server"
FIRST = 4096
"""Rows of a sheet that grows."""


class Notes:
    """Of the answers to one scenario's requests."""

    def __init__(self, scenario: Scenario, backend: str = BACKEND) -> None:
        """`backend` is the field of an answer that names its backend, by address or name."""
        rows = list(enumerate(scenario.backends))
        by_name = {row.label: order for order, row in rows}
        self._places = {**by_name, **{row.address: order for order, row in rows}}
        self._field = backend

    def answered(
        self, measured: Measurement, index: int, status: int, field: Callable[[str], str | None]
    ) -> bool:
        """Whether the answer is good; `field` gives its header fields by name.

        The balancer says who answered, or else the modelled backend itself does.
        """
        served = wire.read_served(field(wire.SERVED) or "")
        named = field(self._field) or served.backend or ""
        # Others name theirs with what they belong to, as pool/server.
        place = self._places.get(named, self._places.get(named.rpartition("/")[2], -1))
        measured.backend[index] = place
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


class Sheet:
    """A measurement that grows, one row for each request when it is sent."""

    def __init__(self, n: int = 0) -> None:
        """`n` rows are there beforehand; those of users are not."""
        self._measured = Measurement.blank(n)
        self._rows = n

    def __len__(self) -> int:
        return self._rows

    @property
    def open(self) -> Measurement:
        """What may be written to, until the next row is added."""
        return self._measured

    def add(self, user: int, due: float, sent: float) -> int:
        """A user sends; the row."""
        row = self._rows
        if row == len(self._measured.sent):
            self._grow()
        measured = self._measured
        assert measured.due is not None
        assert measured.user is not None
        measured.user[row], measured.due[row], measured.sent[row] = user, due, sent
        self._rows = row + 1
        return row

    def end(self, row: int, at: float, good: bool) -> None:
        """Its client knows what became of it."""
        (self._measured.ended if good else self._measured.lost)[row] = at

    @property
    def measured(self) -> Measurement:
        """All rows."""
        return self._measured.head(self._rows)

    def _grow(self) -> None:
        more = max(self._rows, FIRST)
        blank = replace(
            Measurement.blank(more), due=np.full(more, np.nan), user=np.full(more, -1, np.int64)
        )
        old = self._measured.columns
        if not self._rows:
            self._measured = blank
            return
        columns = {
            name: np.concatenate([old[name], column]) for name, column in blank.columns.items()
        }
        self._measured = replace(self._measured, **columns)
