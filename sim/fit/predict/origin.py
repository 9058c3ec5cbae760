"""Whether a model was made from the recording that it is held against, and is as it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lb.config import Calibration, Scenario
from lb.errors import LbError
from lb.terminal import listed
from lb.traces.observed import Observed
from lb.units import seconds
from sim.fit.predict.gate import BOUNDS

ROUNDED = 0.005
"""By which a file may differ from what was estimated: it has fewer digits."""
NAMED = 3
"""Of a long list."""
CALIBRATE = "calibrate from this recording"


def made_from(scenario: Scenario, seen: Observed | None) -> bool:
    """Whether that is what the model was calibrated from."""
    made = scenario.calibration
    if made is None or seen is None:
        return False
    return (Path(made.source).name, made.requests) == (Path(seen.source).name, len(seen))


def edited(scenario: Scenario) -> list[str]:
    """What the file no longer says as its calibration did: keys, each with what it was."""
    made = scenario.calibration
    if made is None or not made.estimate:
        return []
    data = scenario.model_dump(by_alias=True, exclude_unset=True, exclude={"calibration"})
    found = []
    for row in made.estimate:
        was, value = _number(row.value), _number(_at(data, row.key.split(".")))
        if abs(was - value) > ROUNDED * abs(was):  # which nothing is of what is no number
            found.append(f"{row.key} was {row.value}")
    return found


def _at(data: Any, parts: Sequence[str]) -> object:
    """What a file has there; None for nothing, as of a law's mean that follows from others."""
    for part in parts:
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list | tuple) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def _number(value: object) -> float:
    """Of a number, or a time as people write it; NaN of anything else."""
    try:
        return seconds(value) if isinstance(value, str) else float(str(value))
    except (ValueError, LbError):
        return math.nan


def remark(scenario: Scenario) -> str:
    """Of a model that was `made_from` the recording."""
    others = edited(scenario)
    if not others:
        return "the model was made from this very recording: another one may show a larger error"
    told = listed(others, NAMED)
    return f"the model was made from this very recording, and has been changed since: {told}"


def cure(scenario: Scenario, seen: Observed, metric: str) -> str:
    """What to do about a model that does not tell what was recorded."""
    made = scenario.calibration
    if made is None or not made_from(scenario, seen):
        return CALIBRATE
    if edited(scenario) or _told_it(made, metric):
        return (
            "undo what was changed in the file since it was made from this recording, or make it "
            "anew from it"
        )
    return (
        "see what lb calibrate doubted when it made the model from this recording: there is "
        "something in it that the model lacks"
    )


def _told_it(made: Calibration, metric: str) -> bool:
    """Whether by its own words it was near enough when it was made."""
    error = None if made.error is None else getattr(made.error, metric, None)
    return error is not None and abs(error) <= BOUNDS[metric]
