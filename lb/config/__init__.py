"""The file format: one TOML for the proxy, the simulator and the load test.

Every mistake in a file is reported at once as `file:line key: why`. Durations become seconds.
"""

from lb.config.access_log import AccessLog
from lb.config.arrivals import (
    Arrivals,
    ArrivalsTable,
    Batch,
    Geometric,
    Mmpp,
    Paced,
    Poisson,
    ProcessTable,
    Renewal,
    Sine,
    Trace,
    Zipf,
)
from lb.config.calibration import Calibration, Ends, Fitted, ReplayError, Unknown
from lb.config.changes import changed, enlarged, multiplied, reduced, struck
from lb.config.decisions import Algorithm, Queue, Retries, Subset
from lb.config.demand import DEFAULT_BACKENDS
from lb.config.discovery import DiscoveryTable
from lb.config.effective import effective, effective_text
from lb.config.faults import (
    BlackHole,
    ColdStart,
    Down,
    Errors,
    FailFast,
    FaultTable,
    Flapping,
    HealthLost,
    Pause,
    Reset,
    Slow,
)
from lb.config.flags import backend_flag, backend_flags, law_flag
from lb.config.health import HealthTable
from lb.config.laws import (
    Bimodal,
    BoundedPareto,
    Deterministic,
    Empirical,
    Erlang,
    Exponential,
    Gamma,
    Hyperexponential,
    Law,
    LawTable,
    Lognormal,
    Uniform,
    Weibull,
)
from lb.config.listeners import BackendTls, Listener, ListenerTable, ListenerTls
from lb.config.model import (
    DEFAULT_REQUESTS,
    MOST_BALANCERS,
    BackendTable,
    Expect,
    Run,
    Traffic,
    VerdictTable,
)
from lb.config.profile import Profile
from lb.config.scenario import Scenario
from lb.config.serving import Limits, ProxyModel, Server, Timeouts
from lb.config.stations import Model, Shared, Speed, StationTable, Usl
from lb.config.tiers import Panic, Tiers
from lb.config.tracing import Tracing
from lb.config.users import Users
from lb.config.values import UNIX, Table, address, host_and_port

__all__ = [
    "DEFAULT_BACKENDS",
    "DEFAULT_REQUESTS",
    "MOST_BALANCERS",
    "UNIX",
    "AccessLog",
    "Algorithm",
    "Arrivals",
    "ArrivalsTable",
    "BackendTable",
    "BackendTls",
    "Batch",
    "Bimodal",
    "BlackHole",
    "BoundedPareto",
    "Calibration",
    "ColdStart",
    "Deterministic",
    "DiscoveryTable",
    "Down",
    "Empirical",
    "Ends",
    "Erlang",
    "Errors",
    "Expect",
    "Exponential",
    "FailFast",
    "FaultTable",
    "Fitted",
    "Flapping",
    "Gamma",
    "Geometric",
    "HealthLost",
    "HealthTable",
    "Hyperexponential",
    "Law",
    "LawTable",
    "Limits",
    "Listener",
    "ListenerTable",
    "ListenerTls",
    "Lognormal",
    "Mmpp",
    "Model",
    "Paced",
    "Panic",
    "Pause",
    "Poisson",
    "ProcessTable",
    "Profile",
    "ProxyModel",
    "Queue",
    "Renewal",
    "ReplayError",
    "Reset",
    "Retries",
    "Run",
    "Scenario",
    "Server",
    "Shared",
    "Sine",
    "Slow",
    "Speed",
    "StationTable",
    "Subset",
    "Table",
    "Tiers",
    "Timeouts",
    "Trace",
    "Tracing",
    "Traffic",
    "Uniform",
    "Unknown",
    "Users",
    "Usl",
    "VerdictTable",
    "Weibull",
    "Zipf",
    "address",
    "backend_flag",
    "backend_flags",
    "changed",
    "effective",
    "effective_text",
    "enlarged",
    "host_and_port",
    "law_flag",
    "multiplied",
    "reduced",
    "struck",
]
