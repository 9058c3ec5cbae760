"""A prediction in pictures: the measured distribution beside the model's, and what changes do."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sim.analysis.statistics import FIGURES
from sim.fit.predict import Prediction
from sim.fit.predict.gate import Answer
from sim.output.plots.latency import ccdf, tail_axes
from sim.output.plots.style import INK, blank, duration, latency_axis, legend, offsets, styles

SAID = {
    Answer.PASSED: "the model tells it",
    Answer.FAILED: "the model does not tell it",
    Answer.TOO_SMALL: "the recording is too short to judge by",
}
"""The verdict, in a title."""
MEASURED = (INK, (0, (3, 1.5)))


def replay(told: Prediction) -> Figure:
    """The tail that was measured over that of the replays, with the 95 % band of one run; then
    those of the changes.
    """
    answer = told.gate.answer
    title = f"The replay of what was recorded: {SAID.get(answer, answer.value)}"
    figure, (ax,) = blank(title, _circumstances(told))
    now = told.told.setting.algorithm
    looks = styles([now, *(name for name in told.samples if name)])
    name = f"{now}, modelled, with the 95 % band of one run"
    ccdf(ax, told.samples[""], name, looks[now].colour, one_run=True)
    ccdf(ax, [told.measured], "measured", *MEASURED)
    for change in told.changes:
        mine = told.samples.get(change.outlook.name)
        if mine and change.outlook.latency:
            look = looks[change.outlook.name]
            ccdf(ax, mine, change.outlook.name, look.colour, look.dashes)
    tail_axes(ax)
    legend(figure, ax)
    return figure


def gains(told: Prediction) -> Figure:
    """Each figure of each setting with its interval; a ring is what was measured."""
    figure, (ax,) = blank(_verdict(told), _circumstances(told))
    assert told.current is not None, "nothing was predicted"
    views = [view for view in (told.current, *(it.outlook for it in told.changes)) if view.latency]
    looks = styles([view.name for view in views])
    places = np.arange(len(FIGURES))
    reach: list[float] = []
    for view, offset in zip(views, offsets(len(views)), strict=True):
        rows = [view.latency[name].expected for name in FIGURES if name in view.latency]
        at = [place for place, name in zip(places, FIGURES, strict=True) if name in view.latency]
        value = np.array([it.value for it in rows])
        low = np.array([it.value if it.low is None else it.low for it in rows])
        high = np.array([it.value if it.high is None else it.high for it in rows])
        look = looks[view.name]
        ax.errorbar(
            np.array(at) + offset,
            value,
            yerr=(value - low, high - value),
            label=view.name if view is not told.current else f"{view.name}, as it is",
            color=look.colour,
            marker=look.marker,
            linestyle="none",
            markersize=7,
            capsize=4,
        )
        reach += [*low.tolist(), *high.tolist()]
    first = offsets(len(views))[0] if views else 0.0
    seen = [(place, told.gate.latency[name].measured) for place, name in _told(told)]
    if seen:
        at_, values = zip(*seen, strict=True)
        ax.plot(
            np.array(at_) + first,
            values,
            "o",
            fillstyle="none",
            markersize=12,
            color=INK,
            label="measured",
        )
        reach += values
    ax.set_xticks(places, FIGURES)
    ax.set_xlim(-0.5, len(places) - 0.5)
    most, least = max(reach, default=1.0), min(reach, default=1.0)
    if least > 0:  # so that a mean of 60 ms is no dot beside a p99 of 600 ms
        ax.set_yscale("log")
        ax.set_ylim(least / 1.3, most * 1.3)
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(FuncFormatter(duration))
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        latency_axis(ax, "y", 0.0, most, most)
    ax.set_ylabel("latency of successful requests")
    legend(figure, ax)
    return figure


def _verdict(told: Prediction) -> str:
    if told.best is not None:
        return f"Recommended: {told.best.choice}; 95 % intervals"
    if told.gate.passed and told.changes:
        return "None of the changes is recommended; 95 % intervals"
    return "What would be, with 95 % intervals"


def _told(told: Prediction) -> list[tuple[int, str]]:
    return [
        (place, name)
        for place, name in enumerate(FIGURES)
        if name in told.gate.latency and not told.gate.latency[name].needs
    ]


def _circumstances(told: Prediction) -> str:
    source = f"{told.told.requests:,} requests recorded, " if told.told.requests else ""
    return f"{source}{told.replications} replications of each setting, seed {told.seed}"
