"""The shipped scenarios that have a timetable."""

from __future__ import annotations

from lb.config import Scenario
from lb.native.running import ROOT

TIMED = [
    file
    for file in sorted((ROOT / "loadtests" / "scenarios").glob("*.toml"))
    if Scenario.load(file).offered().users is None
]
"""What users send, who are in the others, depends on the answers that they get."""
