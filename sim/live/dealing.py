"""One load on several generators: who sends what, whose clock says what, and what all have seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.live.measurement import Measurement
from sim.model.arrivals import Schedule

Packed = dict[str, list[Any]]
"""Columns by name, each as its type, shape and bytes: what fits into a message."""


def pack(columns: Mapping[str, NDArray[Any]]) -> Packed:
    """What `unpack` reads."""
    return {
        name: [column.dtype.str, list(column.shape), column.tobytes()]
        for name, column in columns.items()
    }


def unpack(packed: Packed) -> dict[str, NDArray[Any]]:
    """The columns; they cannot be written to."""
    return {
        name: np.frombuffer(held, dtype).reshape(form)
        for name, (dtype, form, held) in packed.items()
    }


def part(schedule: Schedule, number: int, of: int) -> Schedule:
    """Every `of`-th request from `number` on."""
    return schedule.only(slice(number, None, of))


def pack_schedule(schedule: Schedule) -> dict[str, Any]:
    """What `unpack_schedule` reads."""
    columns = {"times": schedule.times, "sizes": schedule.sizes}
    optional = {
        "keys": schedule.keys,
        "patience": schedule.patience,
        "balancers": schedule.balancers,
    }
    given = {name: column for name, column in optional.items() if column is not None}
    texts = None if schedule.texts is None else list(schedule.texts)
    return {"shapes": list(schedule.shapes), "texts": texts, "columns": pack(columns | given)}


def unpack_schedule(packed: Mapping[str, Any]) -> Schedule:
    """What was packed."""
    texts, columns = packed["texts"], unpack(packed["columns"])
    return Schedule(
        columns["times"],
        tuple(packed["shapes"]),
        columns["sizes"],
        columns.get("keys"),
        columns.get("patience"),
        None if texts is None else tuple(texts),
        columns.get("balancers"),
    )


class Offset(NamedTuple):
    """By how much another's clock is ahead of ours, seconds."""

    ahead: float
    within: float
    """It is off by at most this: half of the quickest round trip."""


def offset(rounds: Iterable[tuple[float, float, float]]) -> Offset:
    """From round trips: when each left here, what the other's clock said, and when it was back.

    The quickest tells most (Cristian 1989): its two ways differ least.
    """
    sent, said, back = min(rounds, key=lambda trip: trip[2] - trip[0])
    return Offset(said - (sent + back) / 2, (back - sent) / 2)


class Gathered:
    """What several generators have seen of one load, as they report it."""

    def __init__(self, of: int, requests: int | None) -> None:
        """`requests` were dealt out by their place modulo `of`; None where users send."""
        self._of = of
        self._requests = requests
        self._reports: list[dict[str, NDArray[Any]]] = []

    def __len__(self) -> int:
        """Requests told of."""
        return sum(len(report["row"]) for report in self._reports)

    def add(self, number: int, report: Mapping[str, NDArray[Any]]) -> None:
        """Rows of generator `number`: their places in its part, and columns of a measurement."""
        if len(report["row"]):
            self._reports.append({**report, "row": report["row"] * self._of + number})

    def measured(self) -> Measurement:
        """Everything: by place in the schedule, or in the order of sending."""
        if not self._reports:
            return Measurement.blank(self._requests or 0)
        names = self._reports[0]
        told = {name: np.concatenate([one[name] for one in self._reports]) for name in names}
        rows = told.pop("row")
        if self._requests is None:
            order = np.argsort(told["sent"], kind="stable")
            blank = Measurement.blank(len(rows))
            return replace(blank, **{name: column[order] for name, column in told.items()})
        whole = Measurement.blank(self._requests)
        for name, column in whole.columns.items():
            column[rows] = told[name]
        return whole
