"""Pictures of what runs are like: regret, queues, and what happens over time."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from sim import Scenario, Schedule, simulate
from sim.analysis.presence import presence
from sim.analysis.record import occupancy, time_average
from sim.live.rehearsal import rehearsed
from sim.live.verdict import judge, predict
from sim.output.html import verdict_part
from sim.output.plots.figures import FIGURES
from sim.output.plots.pictures import draw_all, drawn_verdict
from sim.output.plots.seconds import GOOD, PANELS, timeline
from tests.sim.test_plots import FAULT, NAMES, scenario

# --- regret


def test_regret_is_the_ratio_to_the_best_with_the_paired_interval() -> None:
    drawn = simulate(scenario(requests=4000, replications=5), ["random", "p2c", "round_robin"])
    panels = FIGURES["regret"](drawn).axes
    assert [ax.get_xlabel() for ax in panels] == ["mean", "p50", "p95", "p99"]
    mean = panels[0]
    order = [name for group in drawn.ranking("p99") for name in group]
    assert [text.get_text() for text in mean.get_yticklabels()] == order
    best = min(drawn.runs, key=lambda run: run.latency["mean"].value)
    for name, bar in zip(order, mean.containers, strict=True):
        points, _, (lines,) = bar.lines
        ratio = drawn[name].latency["mean"].value / best.latency["mean"].value
        assert points.get_xdata() == pytest.approx([ratio])
        assert ratio >= 1
        if name != best.algorithm:
            row = drawn.between(name, best.algorithm, "mean")
            wide = row.difference.high - row.difference.low
            (segment,) = lines.get_segments()
            assert segment[1, 0] - segment[0, 0] == pytest.approx(
                wide / best.latency["mean"].value, rel=0.01
            )
            hollow = points.get_markerfacecolor() == "white"
            assert hollow is not row.distinguishable


# --- queues


def test_the_heat_map_shows_how_many_are_where_per_worker() -> None:
    two = Scenario.parse(
        '[traffic]\narrivals = { process = "poisson", rate = 150 }\n[run]\nrequests = 2000\n'
        '[[backend]]\nname = "wide"\naddress = "a:1"\n'
        'model = { service = { law = "exponential", mean = "20ms" }, workers = 4 }\n'
        '[[backend]]\nname = "narrow"\naddress = "a:2"\n'
        'model = { service = { law = "exponential", mean = "10ms" } }\n'
    )
    drawn = simulate(two, ["round_robin"])
    ax, _bar = FIGURES["queues"](drawn).axes
    heat = ax.images[0].get_array()
    record = drawn["round_robin"].records[0]
    assert heat.shape == (2, 300)
    for row, workers in enumerate((4, 1)):
        times, inside = occupancy(*record.present(row))
        average = time_average(times, inside, 0.0, record.until)
        assert heat[row].mean() == pytest.approx(average / workers, rel=1e-6)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["wide", "narrow"]


def test_of_many_backends_a_row_is_the_fullest_of_its_neighbours() -> None:
    drawn = simulate(scenario(backends=250, rate=8000.0, replications=1), ["random"])
    figure = FIGURES["queues"](drawn)
    ax, _bar = figure.axes
    record = drawn["random"].records[0]
    each = presence(record, 250, np.linspace(0, record.until, 301))
    assert ax.images[0].get_array().shape == (84, 300)
    assert np.allclose(ax.images[0].get_array()[0], each[:3].max(axis=0))
    assert np.allclose(ax.images[0].get_array()[-1], each[249])
    assert figure.get_supylabel() == "backends, the fullest of 3 neighbours each"


def test_faults_are_framed_at_their_backends() -> None:
    fault = (
        '[[fault]]\nbackend = ["127.0.0.1:3001", "127.0.0.1:3003", "127.0.0.1:3004"]\n'
        'kind = "slow"\nfactor = 9\nfrom = "200ms"\nto = "700ms"\n'
    )
    drawn = simulate(scenario(backends=5, more=fault), ["random"])
    ax, _bar = FIGURES["queues"](drawn).axes
    assert [(p.get_x(), p.get_width()) for p in ax.patches] == [(0.2, pytest.approx(0.5))] * 2
    assert [(p.get_y(), p.get_height()) for p in ax.patches] == [(-0.5, 1), (1.5, 2)]
    assert ax.get_xlabel().endswith("faults outlined")


def test_faults_that_come_and_go_are_framed_when_they_struck() -> None:
    fault = (
        '[[fault]]\nbackend = "127.0.0.1:3002"\nkind = "slow"\nfactor = 3\nto = "60s"\n'
        'mttf = "300ms"\nmttr = "200ms"\n'
    )
    drawn = simulate(scenario(more=fault, requests=900), ["random"])
    ax, _bar = FIGURES["queues"](drawn).axes
    struck = [it for it in drawn["random"].records[0].troubles if it[1] < ax.get_xlim()[1]]
    assert len(struck) > 3
    framed = {patch.get_x() for patch in ax.patches}
    assert {since for _, since, _ in struck} <= framed
    assert {patch.get_y() for patch in ax.patches} == {0.5}


# --- over time


def test_where_runs_change_with_time_there_is_a_timeline_with_its_faults_shaded(
    tmp_path: Path,
) -> None:
    drawn = simulate(scenario(more=FAULT, requests=2000), ["random", "p2c"])
    paths = draw_all(drawn, tmp_path)
    assert [path.stem for path in paths] == [*NAMES, "timeline"]
    assert (imread(paths[-1])[:, :, :3].min(axis=2) < 0.9).mean() > 0.01, "blank"
    panels = timeline(drawn).axes
    assert [ax.get_ylabel() for ax in panels] == [told for _, told in PANELS]
    for ax in panels:
        shade, *_ = ax.patches
        assert (shade.get_x(), shade.get_width()) == (3.0, 2.0)
    assert panels[-1].get_xlabel().endswith("shaded: slow (127.0.0.1:3001)")
    (legend,) = timeline(drawn).legends
    assert [text.get_text() for text in legend.get_texts()] == ["arrivals", "random", "p2c"]


def test_the_latency_panels_are_quantiles_of_what_is_answered_in_a_step() -> None:
    drawn = simulate(scenario(more=FAULT, requests=2000), ["random"])
    p50, p99, *_ = timeline(drawn).axes
    stairs = [ax.patches[1].get_data() for ax in (p50, p99)]
    fates = [record.fates for record in drawn["random"].records]
    for (values, edges, _), share in zip(stairs, (0.5, 0.99), strict=True):
        for step in (1, 4, 7):
            inside = [
                run.latency[(run.ended >= edges[step]) & (run.ended < edges[step + 1])]
                for run in fates
            ]
            assert values[step] == pytest.approx(np.quantile(np.concatenate(inside), share))
    assert stairs[1].values[4] > 2 * stairs[1].values[1], "the fault is seen"


def test_a_step_without_enough_answers_has_no_p99() -> None:
    drawn = simulate(scenario(more=FAULT, requests=100, rate=10.0), ["random"])
    p50, p99, *_ = timeline(drawn).axes
    assert np.isfinite(p50.patches[1].get_data().values).any()
    assert np.isnan(p99.patches[1].get_data().values).all()
    assert [text.get_text() for text in p99.texts] == ["too few answers: 100 a step carry it"]


def test_of_a_long_run_the_time_around_its_trouble_is_drawn() -> None:
    drawn = simulate(scenario(more=FAULT, requests=8000, rate=40.0, replications=1), ["random"])
    panels = timeline(drawn).axes
    assert panels[-1].get_xlim() == (0.0, 25.0), "up to ten seconds before, twenty after"
    assert panels[0].get_title(loc="left") == "Around the trouble"


def test_a_verdict_on_trouble_is_drawn_over_time_measured_beside_predicted() -> None:
    file = scenario(more=FAULT, requests=1500, replications=1)
    schedule = Schedule.draw(file)
    predicted = predict(file, schedule)
    measured = rehearsed(file, schedule, seed=3)
    verdict = judge(file, schedule, measured, predicted)
    figures = drawn_verdict(file, schedule, measured, verdict, predicted)
    assert list(figures) == ["verdict", "verdict_timeline"]
    panels = figures["verdict_timeline"].axes
    arrivals, paper, live = (patch.get_data() for patch in panels[GOOD].patches[1:])
    step, end = live.edges[1], live.edges[-1]  # no part of a step is drawn
    assert live.values.sum() * step == pytest.approx((measured.ended < end).sum())
    assert paper.values.sum() == pytest.approx(live.values.sum(), rel=0.05)
    assert arrivals.values.sum() * step == pytest.approx((schedule.times < end).sum())
    (legend,) = figures["verdict_timeline"].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "arrivals",
        "round_robin, predicted: mean of 30 runs",
        "measured",
    ]
    calm = scenario(requests=300, replications=1)
    drawn = Schedule.draw(calm)
    quiet = rehearsed(calm, drawn)
    paper_run = predict(calm, drawn)
    judged = judge(calm, drawn, quiet, paper_run)
    assert list(drawn_verdict(calm, drawn, quiet, judged, paper_run)) == ["verdict"]
    part = verdict_part(verdict, figures)
    assert part[0] == "<h2>Measured beside predicted</h2>"
    assert sum("<svg" in element for element in part) == 2
