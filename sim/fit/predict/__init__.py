"""Predictions: a model is first held against a recording, then asked what would be if."""

from sim.fit.predict.predicting import predict
from sim.fit.predict.prediction import Prediction

__all__ = ["Prediction", "predict"]
