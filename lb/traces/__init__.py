"""Traces: what requests came when, read from a file of any form that is known."""

from lb.traces.reading import FORMS, read
from lb.traces.rows import Rows

__all__ = ["FORMS", "Rows", "read"]
