"""Weights as whole numbers, which is all that others take."""

from __future__ import annotations

from collections.abc import Sequence

ROUGH = 0.005
"""Relative; what is rounded by more than that is told."""


def whole(weights: Sequence[float], most: int, *, fine: bool = False) -> tuple[list[int], float]:
    """Whole numbers from 1 to `most` in the same proportions, and by how much the worst is off.

    As they are where they are whole; `fine`: as large as they can be.
    """
    if all(weight == int(weight) for weight in weights):
        given = [int(weight) for weight in weights]
        if max(given) <= most:
            times = max(1, most // max(given)) if fine else 1
            return [weight * times for weight in given], 0.0
    scaled = [weight * most / max(weights) for weight in weights]
    if not fine:  # the smallest that is as good
        for times in range(1, most):
            tried = [weight * times for weight in weights]
            if max(tried) <= most and all(abs(it - round(it)) < 1e-9 and it >= 1 for it in tried):
                return [round(it) for it in tried], 0.0
    rounded = [max(1, round(it)) for it in scaled]
    return rounded, max(abs(it / want - 1) for it, want in zip(rounded, scaled, strict=True))
