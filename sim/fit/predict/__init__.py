"""Predictions: a model is first held against a recording, then asked what would be if."""

from sim.fit.predict.prediction import Prediction, predict

__all__ = ["Prediction", "predict"]
