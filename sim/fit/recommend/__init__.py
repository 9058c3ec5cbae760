"""Which algorithm meets an objective best, how much load it bears, how few backends do."""

from sim.fit.recommend.recommendation import Recommendation
from sim.fit.recommend.searching import Interrupted, recommend

__all__ = ["Interrupted", "Recommendation", "recommend"]
