"""How well a model fits what was seen: services, stays, arrivals, and the recording replayed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from lb.config import Profile
from sim.fit.calibrate import Backend, Calibration
from sim.fit.calibrate.laws import EMPIRICAL
from sim.model.laws import Floats, draw_shape
from sim.output.plots.style import FAINT, INK, blank, latency_axis, legend, only, shortened

MOST_SHOWN = 6
"""Backends in one picture, those with the most answers."""
TICKS = 4
"""Along x, whose labels stand beside each other."""
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
        ax.set_xlabel(f"{shortened(row.name)}: {name}")
    panels[0].set_ylabel("seen")
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
        numbers = [n for n in range(int(found.max(initial=0)) + 1) if (found == n).sum() >= 10]
        for quantile, dashes in ((0.5, "-"), (0.9, "--")):
            seen = [float(np.quantile(sojourn[found == n], quantile)) for n in numbers]
            ax.plot(
                *(numbers, seen),
                dashes,
                color=SEEN,
                marker="o",
                label=f"{quantile:.0%} of stays are shorter",
            )
        own = row.station.hypothesis
        ax.axvline(own.workers, color=FITTED, linewidth=1, label="workers, as fitted")
        alone = row.service.mean.value
        ax.axhline(alone, color=FAINT, linewidth=1, label="mean service")
        most = float(np.quantile(sojourn, 0.995))
        latency_axis(ax, "y", 0.0, float(np.median(sojourn)), most)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel(f"{shortened(row.name)}: {own.discipline}, {own.workers} workers")
    panels[0].set_ylabel("stay")
    only(panels, len(rows), columns)
    legend(figure, panels[0])
    return figure


def calibrated_arrivals(calibration: Calibration) -> Figure:
    """The rate as time goes by, and gaps against those of Poisson arrivals."""
    process = calibration.arrivals
    times = process.times
    figure, (above, below) = blank(
        "Arrivals: rate by time, and gaps between them", _circumstances(calibration), 1, 2
    )
    seconds = calibration.arrivals.seconds
    bins = int(min(max(len(times) / 50, 10), 200))
    counts, edges = np.histogram(times, bins)
    width = float(edges[1] - edges[0])
    above.stairs(counts / width, edges, color=SEEN, label="seen")
    if isinstance(process.table, Profile):
        at = np.linspace(0, seconds, POINTS)
        above.plot(at, _rates(process.table, at), color=FITTED, label="as fitted")
    else:
        above.axhline(process.rate.value, color=FITTED, label="mean, as fitted")
    above.set(ylabel="requests/s", xlabel="seconds", ylim=(0, None))
    gaps = np.sort(np.diff(times))
    places = (np.arange(len(gaps)) + 0.5) / len(gaps)
    thin = np.unique(np.linspace(0, len(gaps) - 1, 2 * POINTS).astype(int))
    below.plot(gaps[thin], 1 - places[thin], color=SEEN, label="gaps longer than that, seen")
    mean = float(gaps.mean())
    below.plot(
        *(gaps[thin], np.exp(-gaps[thin] / mean)), "--", color=INK, label="of Poisson arrivals"
    )
    below.set(yscale="log", ylim=(0.5 / len(gaps), 1.2), ylabel="share")
    latency_axis(below, "x", 0.0, mean, float(gaps[-1]))
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
    for values, label, colour, dashes in zip(
        calibration.replayed.latencies,
        ("recorded", "replayed"),
        (SEEN, FITTED),
        ("-", "--"),
        strict=True,
    ):
        tails = np.geomspace(1, 1 / max(len(values), 2), POINTS)
        x = np.quantile(values, 1 - tails)
        ax.plot(x, tails, dashes, color=colour, label=label, linewidth=2)
        most, typical = max(most, float(x[-1])), float(np.median(values))
    ax.set(yscale="log", ylabel="share of requests that take longer")
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
    return f"{source}: {len(seen)} requests in {seen.seconds:.4g} s"


def _rates(profile: Profile, at: Floats) -> Floats:
    times, rates = np.array(profile.points).T
    if profile.shape == "linear":
        line: Floats = np.interp(at, times, rates)
        return line
    step: Floats = rates[np.maximum(np.searchsorted(times, at, side="right") - 1, 0)]
    return step
