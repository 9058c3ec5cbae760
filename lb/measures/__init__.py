"""What a running balancer has measured, as plain values that can be added up over processes."""

from lb.measures.events import Event, Events
from lb.measures.histogram import BOUNDS, Histogram, Spread, middle
from lb.measures.report import Connections, Report, Worker, merged
from lb.measures.requests import Durations, Requests, Series

__all__ = [
    "BOUNDS",
    "Connections",
    "Durations",
    "Event",
    "Events",
    "Histogram",
    "Report",
    "Requests",
    "Series",
    "Spread",
    "Worker",
    "merged",
    "middle",
]
