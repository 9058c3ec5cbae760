"""A load balancer you can test on paper first."""

from lb.native import running

__version__ = "0.1.0"
BUILD = running.choose()
"""Which build runs."""
