"""The table that says where a model comes from."""

import pytest

from lb.config import Scenario, effective_text
from lb.errors import ConfigError

TEXT = """
[calibration]
from = "today.rec"
requests = 12000
seconds = 60.0
error = { mean = 0.012, p99 = -0.03 }
[[calibration.unknown]]
key = "backend.0.model.workers"
low = 2
high = 1000
why = "never more than 2 in flight"
[[calibration.unknown]]
key = "backend.1.model.discipline"
low = "fifo"
high = "ps"
[[calibration.estimate]]
key = "backend.0.model.service.mean"
value = "20ms"
low = "19.5ms"
high = "20.6ms"
"""


def test_it_is_read_and_written() -> None:
    told = Scenario.parse(TEXT).calibration
    assert told is not None
    assert told.source == "today.rec"
    assert [(row.key, row.low) for row in told.unknown] == [
        ("backend.0.model.workers", 2),
        ("backend.1.model.discipline", "fifo"),
    ]
    assert Scenario.parse(effective_text(Scenario.parse(TEXT))).calibration == told


def test_a_range_upside_down_is_a_mistake_of_its_place() -> None:
    with pytest.raises(ConfigError, match=r"calibration.unknown\[0\].high: 1 is below low, 2"):
        Scenario.parse(TEXT.replace("high = 1000", "high = 1"))
