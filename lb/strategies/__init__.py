"""Whom to pick: one file per algorithm, their common `parts`, and the registry that names them."""

from lb.strategies.base import (
    Fed,
    LoadReport,
    Outcome,
    Probing,
    Random,
    Sticking,
    Strategy,
)
from lb.strategies.candidate import Candidate
from lb.strategies.parts.heedless import Heedless
from lb.strategies.registry import REGISTRY, all_specs, create, parse, spec
from lb.strategies.spec import Seconds, Spec

__all__ = [
    "REGISTRY",
    "Candidate",
    "Fed",
    "Heedless",
    "LoadReport",
    "Outcome",
    "Probing",
    "Random",
    "Seconds",
    "Spec",
    "Sticking",
    "Strategy",
    "all_specs",
    "create",
    "parse",
    "spec",
]
