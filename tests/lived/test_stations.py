"""Backends that are more than a queue and its workers: live as on paper, to a nanosecond."""

from __future__ import annotations

import numpy as np
import pytest

from sim import simulate
from tests.lived.world import lived

TEXT = """
algorithm = "least_connections"
[[backend]]
address = "127.0.0.1:1"
[backend.model]
service = {{ law = "exponential", mean = "20ms" }}
{model}
[[backend]]
address = "127.0.0.1:2"
[backend.model]
service = {{ law = "exponential", mean = "20ms" }}
{model}
[traffic]
arrivals = {{ process = "poisson", rate = 150 }}
{traffic}
[run]
duration = "7s"
seed = 5
{more}
"""
USL = "workers = 4\nusl = { contention = 0.2, coherency = 0.01 }"
SPEED = 'speed = { points = [["2s", 1.0], ["4s", 2.5], ["6s", 0.7]], shape = "linear" }'
DB = '[[shared]]\nname = "db"\nservice = { law = "constant", mean = "8ms" }\n'
CASES = {
    "a line each": ('workers = 3\naccept = "reuseport"', "", ""),
    "a line each, and a database": ('workers = 3\naccept = "reuseport"\nthen = "db"', "", DB),
    "a database": ('workers = 3\nthen = "db"', "", DB + "workers = 3"),
    "a database, awaited": ('workers = 4\nthen = "db"\nholds_worker = false', "", DB),
    "a database, shared": ('workers = 4\ndiscipline = "ps"\nthen = "db"', "", DB),
    "a slow database": (
        f'{USL}\nthen = "db"',
        "",
        f'{DB}workers = 2\nspeed = [["2s", 1.0], ["5s", 0.8]]',
    ),
    "speed": (SPEED, "", ""),
    "usl and speed": (f"{USL}\n{SPEED}", "", ""),
    "usl": (USL, "", ""),
    "usl, shared": (f'{USL}\ndiscipline = "ps"', "", ""),
    "usl, slow for a while": (
        USL,
        "",
        '[[fault]]\nbackend = "127.0.0.1:1"\nkind = "slow"\nfrom = "3s"\nto = "5s"\nfactor = 3',
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_live_and_on_paper_they_are_one(case: str) -> None:
    model, traffic, more = CASES[case]
    live = lived(TEXT.format(model=model, traffic=traffic, more=more))
    (record,) = simulate(live.scenario, schedule=live.schedule).runs[0].records[:1]
    assert len(record.arrived) == len(live.schedule) > 900
    np.testing.assert_array_equal(record.backend, live.measured.backend)
    np.testing.assert_allclose(record.latency, live.measured.ended - live.schedule.times, atol=1e-9)
