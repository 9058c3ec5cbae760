"""Figures of a calibration as sentences have them."""

from __future__ import annotations

import math

from lb.terminal import plain
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.model import Fitted


def ways(fitted: Fitted) -> str:
    """What a request takes beside its service, or why that is not known."""
    way = fitted.way
    if way.identified:
        return f"Network, connections and proxy: {milliseconds(way.overhead)} a request."
    if not way.overhead.high or all(row.station.most is None for row in fitted.backends):
        return "Network, connections and proxy are in the services: nothing tells them apart."
    most = f"{1e3 * (way.overhead.high or 0.0):.3g} ms"
    return f"Network, connections and proxy: cannot be told from service; {most} at most."


def interval(it: Estimate) -> str:
    """`12.3 (11.9 to 12.8)`, or `at least 11.9`."""
    if it.low is not None and it.high is None:
        return f"at least {plain(it.low)}"
    if it.low is None or it.high is None or math.isnan(it.value):
        return plain(it.value)
    return f"{plain(it.value)} ({plain(it.low)} to {plain(it.high)})"


def milliseconds(it: Estimate) -> str:
    """The same with its unit."""
    low, high = (None if end is None else 1e3 * end for end in (it.low, it.high))
    return interval(Estimate(1e3 * it.value, low, high)).replace(" (", " ms (", 1)
