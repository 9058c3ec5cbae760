"""What a running balancer has measured, as plain values that can be added up over processes."""

from lb.measures.events import Event, Events
from lb.measures.report import Report, Worker, merged

__all__ = ["Event", "Events", "Report", "Worker", "merged"]
