"""Predictions beside live runs, over many scenarios, algorithms and kinds of balancer."""
