"""The file format: one TOML for the proxy, the simulator and the load test.

Every mistake in a file is reported at once as `file:line key: why`. Durations become seconds.
"""

from lb.config.decisions import Algorithm, HealthTable, Queue, Retries, Subset
from lb.config.faults import FaultTable, Pause, Slow
from lb.config.flags import backend_flag, backend_flags, law_flag
from lb.config.laws import (
    Arrivals,
    ArrivalsTable,
    Deterministic,
    Erlang,
    Exponential,
    Gamma,
    Hyperexponential,
    Law,
    LawTable,
    Lognormal,
    Paced,
    Poisson,
    Profile,
    Uniform,
    Zipf,
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
from lb.config.values import Table, address, host_and_port

__all__ = [
    "DEFAULT_BACKENDS",
    "DEFAULT_REQUESTS",
    "Algorithm",
    "Arrivals",
    "ArrivalsTable",
    "BackendTable",
    "Deterministic",
    "Erlang",
    "Expect",
    "Exponential",
    "FaultTable",
    "Gamma",
    "HealthTable",
    "Hyperexponential",
    "Law",
    "LawTable",
    "Limits",
    "Lognormal",
    "Model",
    "Paced",
    "Pause",
    "Poisson",
    "Profile",
    "Queue",
    "Retries",
    "Run",
    "Scenario",
    "Server",
    "Slow",
    "Subset",
    "Table",
    "Timeouts",
    "Traffic",
    "Uniform",
    "VerdictTable",
    "Zipf",
    "address",
    "backend_flag",
    "backend_flags",
    "host_and_port",
    "law_flag",
]
