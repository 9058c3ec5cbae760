"""Everything that decides: shared by the live proxy and the simulator, and free of both."""

from lb.balancing.actions import (
    Action,
    Cancel,
    Changed,
    Drained,
    Ejected,
    Joined,
    Left,
    Panicked,
    Probe,
    ProbeKind,
    Recall,
    Refuse,
    Returned,
    Start,
    Swapped,
    Why,
    Withheld,
)
from lb.balancing.backend import Backend
from lb.balancing.balancer import Balancer
from lb.balancing.call import Call
from lb.balancing.control import Add, Apply, Change, Remove, SetState, SetWeight, Swap, perform
from lb.balancing.health import HealthPolicy, ProbeResult
from lb.balancing.hedges import HedgePolicy
from lb.balancing.lease import Lease
from lb.balancing.outliers import OutlierPolicy
from lb.balancing.panic import PanicPolicy
from lb.balancing.picks import Pick
from lb.balancing.retries import RetryPolicy
from lb.balancing.settings import Settings, State
from lb.balancing.setup import Setup
from lb.balancing.slow_start import SlowStartPolicy
from lb.balancing.snapshot import BackendView, Snapshot
from lb.balancing.subset import SubsetPolicy
from lb.balancing.tiers import TierPolicy
from lb.balancing.waiting import QueuePolicy
from lb.strategies import LoadReport, Outcome

__all__ = [
    "Action",
    "Add",
    "Apply",
    "Backend",
    "BackendView",
    "Balancer",
    "Call",
    "Cancel",
    "Change",
    "Changed",
    "Drained",
    "Ejected",
    "HealthPolicy",
    "HedgePolicy",
    "Joined",
    "Lease",
    "Left",
    "LoadReport",
    "Outcome",
    "OutlierPolicy",
    "PanicPolicy",
    "Panicked",
    "Pick",
    "Probe",
    "ProbeKind",
    "ProbeResult",
    "QueuePolicy",
    "Recall",
    "Refuse",
    "Remove",
    "RetryPolicy",
    "Returned",
    "SetState",
    "SetWeight",
    "Settings",
    "Setup",
    "SlowStartPolicy",
    "Snapshot",
    "Start",
    "State",
    "SubsetPolicy",
    "Swap",
    "Swapped",
    "TierPolicy",
    "Why",
    "Withheld",
    "perform",
]
