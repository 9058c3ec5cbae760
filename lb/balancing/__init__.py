"""Everything that decides: shared by the live proxy and the simulator, and free of both."""

from lb.balancing.actions import (
    Action,
    Cancel,
    Changed,
    Joined,
    Left,
    LoadReport,
    Probe,
    ProbeKind,
    Refuse,
    Start,
    Swapped,
    Why,
)
from lb.balancing.backend import Backend, Settings, State
from lb.balancing.balancer import Balancer
from lb.balancing.health import HealthPolicy, ProbeResult
from lb.balancing.lease import Call, Lease
from lb.balancing.retries import RetryPolicy
from lb.balancing.setup import Setup
from lb.balancing.snapshot import BackendView, Snapshot
from lb.balancing.subset import SubsetPolicy
from lb.balancing.waiting import QueuePolicy
from lb.strategies import Outcome

__all__ = [
    "Action",
    "Backend",
    "BackendView",
    "Balancer",
    "Call",
    "Cancel",
    "Changed",
    "HealthPolicy",
    "Joined",
    "Lease",
    "Left",
    "LoadReport",
    "Outcome",
    "Probe",
    "ProbeKind",
    "ProbeResult",
    "QueuePolicy",
    "Refuse",
    "RetryPolicy",
    "Settings",
    "Setup",
    "Snapshot",
    "Start",
    "State",
    "SubsetPolicy",
    "Swapped",
    "Why",
]
