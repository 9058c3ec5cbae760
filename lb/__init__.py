"""A load balancer you can test on paper first."""

__version__ = "0.1.0"
