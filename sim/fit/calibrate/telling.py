"""A calibration as JSON."""

from __future__ import annotations

from typing import Any

from lb.config import Scenario
from sim.fit.calibrate.model import Backend, Fitted
from sim.fit.calibrate.replay import Replayed


def as_dict(fitted: Fitted, file: Scenario, replayed: Replayed | None) -> dict[str, Any]:
    """For `lb calibrate --json`, schema 1; times in seconds."""
    seen = fitted.seen
    told: dict[str, Any] = {
        "schema": 1,
        "from": seen.observed.source,
        "requests": len(seen),
        "seconds": seen.seconds,
        "backends": [_backend(row) for row in fitted.backends],
        "overhead": {**_plain(fitted.way.overhead), "identified": fitted.way.identified},
        "arrivals": {
            "table": fitted.arrivals.table.model_dump(),
            "rate": _plain(fitted.arrivals.rate),
            "gap_cv": fitted.arrivals.gap_cv,
            "likelier": dict(fitted.arrivals.gains),
        },
        "estimates": {key: _plain(it) for key, it in fitted.estimates.items()},
        "unknown": [row.model_dump() for row in fitted.unknown],
        "faults": [fault.table() for fault in fitted.faults],
        "remarks": list(fitted.remarks),
        "scenario": file.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    if replayed is not None:
        told["replay"] = {
            "recorded": replayed.recorded,
            "replayed": {name: _plain(it) for name, it in replayed.replayed.items()},
            "error": replayed.error,
            "shares": [
                {"name": name, "recorded": a, "replayed": b} for name, a, b in replayed.shares
            ],
            "failed": {"recorded": replayed.failed[0], "replayed": replayed.failed[1]},
        }
    return told


def _backend(row: Backend) -> dict[str, Any]:
    station, service = row.station, row.service
    usl = station.hypothesis.usl
    return {
        "name": row.name,
        "answers": len(row.sample),
        "most_in_flight": station.never_more,
        "discipline": station.hypothesis.discipline,
        "disciplines": list(station.disciplines),
        "workers": {
            "value": station.hypothesis.workers,
            "low": station.fewest,
            "high": station.most,
        },
        "usl": None if usl is None else usl.model_dump(),
        "law": service.law.best.name,
        "mean": _plain(row.mean),
        "cv": _plain(row.cv),
        "speed": [list(point) for point in row.course],
        "doubt": row.doubt,
        "guessed": row.guessed,
    }


def _plain(it: Any) -> dict[str, Any]:
    return it.as_dict() or {}
