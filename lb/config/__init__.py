"""The file format: one TOML for the proxy, the simulator and the load test.

Every mistake in a file is reported at once as `file:line key: why`. Durations become seconds.
"""

from lb.config.arrivals import Arrivals, ArrivalsTable, Paced, Poisson, Profile, Zipf
from lb.config.decisions import Algorithm, Queue, Retries, Subset
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
from lb.config.model import (
    DEFAULT_REQUESTS,
    BackendTable,
    Expect,
    Model,
    Run,
    Traffic,
    VerdictTable,
)
from lb.config.scenario import DEFAULT_BACKENDS, Scenario
from lb.config.serving import Limits, Server, Timeouts
from lb.config.tiers import Panic, Tiers
from lb.config.values import Table, address, host_and_port

__all__ = [
    "DEFAULT_BACKENDS",
    "DEFAULT_REQUESTS",
    "Algorithm",
    "Arrivals",
    "ArrivalsTable",
    "BackendTable",
    "Bimodal",
    "BlackHole",
    "BoundedPareto",
    "ColdStart",
    "Deterministic",
    "Down",
    "Empirical",
    "Erlang",
    "Errors",
    "Expect",
    "Exponential",
    "FailFast",
    "FaultTable",
    "Flapping",
    "Gamma",
    "HealthLost",
    "HealthTable",
    "Hyperexponential",
    "Law",
    "LawTable",
    "Limits",
    "Lognormal",
    "Model",
    "Paced",
    "Panic",
    "Pause",
    "Poisson",
    "Profile",
    "Queue",
    "Reset",
    "Retries",
    "Run",
    "Scenario",
    "Server",
    "Slow",
    "Subset",
    "Table",
    "Tiers",
    "Timeouts",
    "Traffic",
    "Uniform",
    "VerdictTable",
    "Weibull",
    "Zipf",
    "address",
    "backend_flag",
    "backend_flags",
    "host_and_port",
    "law_flag",
]
