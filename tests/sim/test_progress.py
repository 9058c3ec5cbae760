"""A live run while it lasts: figures so far, beside where they should be by now."""

from __future__ import annotations

import numpy as np

from sim import Schedule
from sim.live.progress import Progress
from sim.live.rehearsal import rehearsed
from sim.live.verdict import predict
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

FILE = scenario(*[serves(EXPONENTIAL)] * 2, rate=0.5, run="requests = 400")


def test_a_run_as_predicted_is_where_it_should_be() -> None:
    schedule = Schedule.draw(FILE)
    progress = Progress(FILE, predict(FILE, schedule))
    measured = rehearsed(FILE, schedule)
    half = float(schedule.times[len(schedule) // 2])
    for at in (half, float(schedule.times[-1])):
        rows = {row.name: row for row in progress.rows(schedule, measured, at)}
        assert {"mean (ms)", "p99 (ms)", "answered", "failed", "share of b:0 (%)"} <= rows.keys()
        assert all(row.within for row in rows.values()), rows
    by_half = {row.name: row for row in progress.rows(schedule, measured, half)}
    assert 150 < by_half["answered"].measured <= 201
    slow = measured.sent + 1.5 * (measured.ended - measured.sent)
    measured.ended[:] = slow
    rows = {row.name: row for row in progress.rows(schedule, measured, float(schedule.times[-1]))}
    assert rows["mean (ms)"].within is False
    assert rows["mean (ms)"].by_itself().within is None
    whole = {row.name: row for row in progress.rows(schedule, measured, 1e9)}
    assert whole["answered"].measured == 400, "however late the last of them is"
    document = rows["mean (ms)"].as_dict()
    assert document["within"] is False
    assert document["measured"] > document["predicted"]["high"]


def test_before_anything_is_answered_nothing_is_said_of_latencies() -> None:
    schedule = Schedule.draw(FILE)
    progress = Progress(FILE, predict(FILE, schedule))
    measured = rehearsed(FILE, schedule)
    rows = {row.name: row for row in progress.rows(schedule, measured, 0.0)}
    assert rows["p99 (ms)"].within is None
    assert rows["p99 (ms)"].as_dict()["measured"] is None
    assert rows["answered"].measured == 0
    assert np.isnan(rows["share of b:0 (%)"].measured)
    expected = {row.name: row for row in progress.expected()}
    assert 390 < expected["answered"].predicted.value <= 400
    assert expected["answered"].within is None
