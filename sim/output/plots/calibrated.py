"""How well a model fits what was seen: services, stays, arrivals, and the recording replayed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from lb.config import ArrivalsTable, Profile, Trace
from lb.terminal import plain
from sim.fit.calibrate import Backend, Calibration
from sim.fit.calibrate.laws import EMPIRICAL
from sim.model.laws import Floats, draw_shape
from sim.model.processes import arrival_times, times_before
from sim.output.plots.style import FAINT, INK, blank, latency_axis, legend, only, shortened

MOST_SHOWN = 6
"""Backends in one picture, those with the most answers."""
TICKS = 4
"""Along x, whose labels stand beside each other."""
FEWEST = 30
"""Stays of which a quantile of 0.9 has an interval."""
POINTS = 400
DRAWN = 20_000
"""Of a law, for its quantiles."""
SEEN, FITTED = "#0072b2", "#d55e00"


def calibrated_services(calibration: Calibration) -> Figure:
    """Quantiles of each backend's services against those of its law: a line where it fits."""
    rows = _shown(calibration)
    columns = min(3, len(rows))
    figure, panels = blank(
        "Services: quantiles seen against those of the law",
        _circumstances(calibration),
        -(-len(rows) // columns),
        columns,
        share_x=False,
    )
    rng = np.random.default_rng(1)
    for ax, row in zip(panels, rows, strict=False):
        law = row.service.law
        mean = row.service.mean.value
        drawn = np.sort(draw_shape(law.law, rng, DRAWN)) * mean
        shares = np.concatenate(
            [np.linspace(0.005, 0.99, POINTS), 1 - np.geomspace(0.01, 5e-4, 30)]
        )
        x, y = np.quantile(drawn, shares), np.quantile(row.sample, shares)
        most = float(max(x[-1], y[-1]))
        ax.plot([0, most], [0, most], color=FAINT, linewidth=1, label="as the law has it")
        ax.plot(x, y, color=SEEN, linewidth=2, label="seen")
        least, typical = max(float(min(x[0], y[0])), 1e-5), float(np.median(row.sample))
        latency_axis(ax, "x", least, typical, most)
        latency_axis(ax, "y", least, typical, most)
        few = MaxNLocator(TICKS) if ax.get_xscale() == "linear" else LogLocator(numticks=TICKS)
        ax.xaxis.set_major_locator(few)
        name = "kept as it was" if law.best.name == EMPIRICAL else law.best.name
        ax.set_xlabel(f"service by the law ({name})\n{shortened(row.name)}")
        ax.set_ylabel("service seen")
    only(panels, len(rows), columns)
    legend(figure, panels[0])
    return figure


def calibrated_stays(calibration: Calibration) -> Figure:
    """How long requests stay at each backend by how many they find there, seen and by the model."""
    rows = _shown(calibration)
    columns = min(3, len(rows))
    figure, panels = blank(
        "Stays by how many were there already",
        _circumstances(calibration),
        -(-len(rows) // columns),
        columns,
        share_x=False,
    )
    for ax, row in zip(panels, rows, strict=False):
        stays = row.station.stays
        found, sojourn = stays.found[stays.whole], stays.sojourn[stays.whole]
        numbers = [n for n in range(int(found.max(initial=0)) + 1) if (found == n).sum() >= FEWEST]
        groups = [np.sort(sojourn[found == n]) for n in numbers]
        most = row.service.mean.value
        for quantile, dashes in ((0.5, "-"), (0.9, "--")):
            ends = np.array([_quantile(one, quantile) for one in groups]).reshape(-1, 3).T
            ax.errorbar(
                *(numbers, ends[1]),
                yerr=(ends[1] - ends[0], ends[2] - ends[1]),
                linestyle=dashes,
                color=SEEN,
                marker="o",
                capsize=3,
                label=f"{quantile:.0%} of stays are shorter (bars: 95 % intervals)",
            )
            most = max(most, float(ends[2].max(initial=0.0)))
        own = row.station.hypothesis
        ax.axvline(own.workers, color=FITTED, linewidth=1, label="workers, as fitted")
        alone = row.service.mean.value
        ax.axhline(alone, color=FAINT, linewidth=1, label="mean service")
        latency_axis(ax, "y", 0.0, float(np.median(sojourn)), most)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        workers = "1 worker" if own.workers == 1 else f"{own.workers} workers"
        ax.set_xlabel(f"in flight on arrival\n{shortened(row.name)}: {own.discipline}, {workers}")
        ax.set_ylabel("stay")
    only(panels, len(rows), columns)
    legend(figure, panels[0])
    return figure


def _quantile(ordered: Floats, share: float) -> tuple[float, float, float]:
    """Of a sorted sample, between the ends of its interval: the ranks that chance explains."""
    number = len(ordered)
    half = 1.96 * float(np.sqrt(share * (1 - share) * number))
    low, high = max(int(share * number - half), 0), min(int(share * number + half) + 1, number - 1)
    return float(ordered[low]), float(np.quantile(ordered, share)), float(ordered[high])


def calibrated_arrivals(calibration: Calibration) -> Figure:
    """The rate as time goes by, and gaps against those of the law and of Poisson arrivals."""
    process = calibration.arrivals
    times = process.times
    figure, (above, below) = blank(
        "Arrivals: rate by time, and gaps between them", _circumstances(calibration), 1, 2
    )
    seconds = calibration.arrivals.seconds
    recorded = (len(times) - 1) / seconds
    part = recorded / process.rate.value  # of the requests that the law sends, where it is a sample
    bins = int(min(max(len(times) / 50, 10), 200))
    counts, edges = np.histogram(times, bins)
    width = float(edges[1] - edges[0])
    above.stairs(counts / width, edges, color=SEEN, label="seen")
    if isinstance(process.table, Profile):
        at = np.linspace(0, seconds, POINTS)
        above.plot(at, part * _rates(process.table, at), color=FITTED, label="as fitted")
    else:
        mean_rate = process.table.mean_rate(seconds, float(len(times)))
        above.axhline(part * mean_rate, color=FITTED, label="mean, as fitted")
    room = 1.2 * float(counts.max()) / width  # for the legend
    above.set(ylabel="requests/s", xlabel="seconds", ylim=(0, room))
    gaps = np.sort(np.diff(times))
    tails = np.geomspace(1, 1 / len(gaps), POINTS)
    seen = np.quantile(gaps, 1 - tails)
    below.plot(seen, tails, color=SEEN, label="seen")
    drawn = np.sort(_gaps(process.table, seconds, len(times))) / part
    name = process.table.process
    below.plot(
        *(np.quantile(drawn, 1 - tails), tails), color=FITTED, label=f"of the law fitted ({name})"
    )
    mean = float(gaps.mean())
    below.plot(*(seen, np.exp(-seen / mean)), "--", color=INK, label="of Poisson arrivals")
    below.set(yscale="log", ylim=(0.5 / len(gaps), 1.2), ylabel="share of gaps that are longer")
    below.set_xlabel("gap between two arrivals")
    latency_axis(below, "x", 0.0, mean, float(gaps[-1]))
    below.xaxis.set_major_locator(MaxNLocator(TICKS))
    handles, labels = below.get_legend_handles_labels()
    above.legend(frameon=False, loc="upper right")
    below.legend(handles, labels, frameon=False, loc="upper right")
    return figure


def calibrated_replay(calibration: Calibration) -> Figure:
    """How many requests take longer than t, recorded and replayed by the model."""
    assert calibration.replayed is not None
    figure, (ax,) = blank(
        "The recording, and the model's replay of it", _circumstances(calibration)
    )
    most, typical = 0.0, 1e-3
    each = calibration.replayed.each
    # As far as one recording of that length tells.
    tails = np.geomspace(1, 1 / max(len(calibration.replayed.latencies[0]), 2), POINTS)
    if len(each) > 1:
        curves = np.array([np.quantile(one, 1 - tails) for one in each if len(one)])
        ax.fill_betweenx(
            *(tails, curves.min(axis=0), curves.max(axis=0)),
            color=FITTED,
            alpha=0.2,
            linewidth=0,
            label=f"between the {len(curves)} replays",
        )
    for values, label, colour, dashes in zip(
        calibration.replayed.latencies,
        ("recorded", "replayed"),
        (SEEN, FITTED),
        ("-", "--"),
        strict=True,
    ):
        x = np.quantile(values, 1 - tails)
        ax.plot(x, tails, dashes, color=colour, label=label, linewidth=2)
        most, typical = max(most, float(x[-1])), float(np.median(values))
    ax.set(yscale="log", ylabel="share of requests that take longer", xlabel="latency")
    latency_axis(ax, "x", 0.0, typical, most)
    legend(figure, ax)
    return figure


FIGURES: dict[str, Callable[[Calibration], Figure]] = {
    "services": calibrated_services,
    "stays": calibrated_stays,
    "arrivals": calibrated_arrivals,
    "replay": calibrated_replay,
}
"""Pictures of a calibration, by the names of their files."""


def drawable(calibration: Calibration) -> list[str]:
    """Names of those that there is something for."""
    return [name for name in FIGURES if name != "replay" or calibration.replayed is not None]


def _shown(calibration: Calibration) -> list[Backend]:
    rows = [row for row in calibration.backends if not row.guessed]
    return sorted(rows, key=lambda row: -len(row.sample))[:MOST_SHOWN]


def _circumstances(calibration: Calibration) -> str:
    seen = calibration.seen
    source = shortened(seen.observed.source, 60)
    return f"{source}: {len(seen)} requests in {plain(seen.seconds)} s"


def _gaps(table: ArrivalsTable, seconds: float, number: int) -> Floats:
    """Of the process, drawn; of one that follows the clock, for as long as was seen."""
    assert not isinstance(table, Trace)
    if not isinstance(table, Profile):
        return np.diff(arrival_times(table, np.random.default_rng(1), max(DRAWN, number)))
    runs = [
        np.diff(times_before(table, partial(np.random.default_rng, seed), seconds))
        for seed in range(max(DRAWN // number, 1))
    ]
    return np.concatenate(runs)


def _rates(profile: Profile, at: Floats) -> Floats:
    times, rates = np.array(profile.points).T
    if profile.shape == "linear":
        line: Floats = np.interp(at, times, rates)
        return line
    step: Floats = rates[np.maximum(np.searchsorted(times, at, side="right") - 1, 0)]
    return step
