"""Means and spreads of laws as a file can say them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lb.config import Bimodal, Empirical, Scenario, Uniform
from lb.units import seconds

Keys = dict[str, object]
"""As `lb.config.changed` takes them."""


def said(scenario: Scenario, keys: Mapping[str, object]) -> Keys:
    """`keys` as the file can say them: not every law has a mean, or a cv, of its own."""
    found = dict(keys)
    for place, (_, model) in enumerate(scenario.modelled()):
        at = f"backend.{place}.model"
        mean, cv = f"{at}.service.mean", f"{at}.service.cv"
        law = model.service
        if mean not in keys or not isinstance(law, Uniform | Bimodal | Empirical):
            continue
        new, spread = _seconds(found.pop(mean)), found.pop(cv, None)
        match law:
            case Uniform():
                half = (
                    math.sqrt(3 * law.squared_cv) if spread is None else 3**0.5 * float(str(spread))
                )
                half = min(half, 1.0)  # nothing takes less than no time
                found |= {
                    f"{at}.service.low": new * (1 - half),
                    f"{at}.service.high": new * (1 + half),
                }
            case Bimodal():
                found[f"{at}.service.values"] = [it * new / law.mean for it in law.values]
            case Empirical():  # what was measured stays, and is done so much faster
                points = [(0.0, 1.0)] if model.speed is None else model.speed.points
                faster = [[time, speed * law.mean / new] for time, speed in points]
                shape = "step" if model.speed is None else model.speed.shape
                found[f"{at}.speed"] = {"points": faster, "shape": shape}
    return found


def _seconds(value: object) -> float:
    return seconds(value) if isinstance(value, str) else float(str(value))
