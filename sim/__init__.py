"""The simulator: the live balancer's decisions against modelled backends, on paper.

>>> from sim import Scenario, simulate
>>> result = simulate(Scenario.load("lb.toml"), algorithms=["round_robin", "least_connections"])
>>> result["round_robin"].latency["p99"].value
"""

from lb.config import Scenario
from sim.analysis.statistics import Estimate
from sim.experiment import Interrupted, simulate
from sim.fit.calibrate import Calibration, calibrate
from sim.fit.predict import Prediction, predict
from sim.fit.recommend import Recommendation, recommend
from sim.fit.sweep import Sweep, sweep
from sim.fit.whatif import Loss, WhatIf
from sim.live.rehearsal import rehearse
from sim.live.verdict import Verdict
from sim.model.arrivals import Schedule
from sim.result import AlgorithmRun, BackendUse, Result

__all__ = [
    "AlgorithmRun",
    "BackendUse",
    "Calibration",
    "Estimate",
    "Interrupted",
    "Loss",
    "Prediction",
    "Recommendation",
    "Result",
    "Scenario",
    "Schedule",
    "Sweep",
    "Verdict",
    "WhatIf",
    "calibrate",
    "predict",
    "recommend",
    "rehearse",
    "simulate",
    "sweep",
]
