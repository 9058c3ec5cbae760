"""Calibration: from a recording to a model, with what it cannot know."""

from sim.fit.calibrate.calibration import Calibration
from sim.fit.calibrate.fitting import FEWEST, calibrate
from sim.fit.calibrate.model import Backend, Way
from sim.fit.calibrate.replay import Replayed

__all__ = ["FEWEST", "Backend", "Calibration", "Replayed", "Way", "calibrate"]
