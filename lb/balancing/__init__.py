"""Everything that decides: shared by the live proxy and the simulator, and free of both."""

from lb.balancing.backend import Backend, Settings, State
from lb.balancing.balancer import (
    Action,
    Balancer,
    Call,
    Changed,
    Lease,
    LoadReport,
    Probe,
    ProbeKind,
    Refuse,
    Start,
    Why,
)
from lb.balancing.health import HealthPolicy, ProbeResult
from lb.balancing.retries import RetryPolicy
from lb.balancing.subset import SubsetPolicy
from lb.balancing.waiting import QueuePolicy
from lb.strategies import Outcome

__all__ = [
    "Action",
    "Backend",
    "Balancer",
    "Call",
    "Changed",
    "HealthPolicy",
    "Lease",
    "LoadReport",
    "Outcome",
    "Probe",
    "ProbeKind",
    "ProbeResult",
    "QueuePolicy",
    "Refuse",
    "RetryPolicy",
    "Settings",
    "Start",
    "State",
    "SubsetPolicy",
    "Why",
]
