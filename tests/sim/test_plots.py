"""Pictures: what they show, that they repeat to the byte, and that odd results break nothing."""

from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import imread

from lb.strategies import REGISTRY
from sim import Result, Scenario, simulate
from sim.analysis.record import binned
from sim.output.html import COUNTED, report
from sim.output.plots.figures import FIGURES, telling, untraced
from sim.output.plots.latency import PERCENTILES, ccdf, tail_axes
from sim.output.plots.pictures import draw_all
from sim.output.plots.style import LOOKS, duration, styles

FAULT = '[[fault]]\nbackend = "127.0.0.1:3001"\nkind = "slow"\nfactor = 9\nfrom = "3s"\nto = "5s"\n'
NAMES = ["latency_ccdf", "latency_percentiles", "regret", "backends", "in_flight", "queues"]
EXPONENTIAL = '{ law = "exponential", mean = "10ms" }'


def scenario(
    backends: int = 3,
    service: str = EXPONENTIAL,
    requests: int = 500,
    replications: int = 3,
    more: str = "",
    rate: float = 200.0,
) -> Scenario:
    rows = "".join(
        f'[[backend]]\naddress = "127.0.0.1:{3001 + i}"\n[backend.model]\nservice = {service}\n'
        for i in range(backends)
    )
    return Scenario.parse(
        f'[traffic]\narrivals = {{ process = "poisson", rate = {rate} }}\n'
        'keys = { law = "zipf", count = 100, s = 1.1 }\n'
        f"[run]\nrequests = {requests}\nreplications = {replications}\n{more}\n{rows}"
    )


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate(scenario(), list(REGISTRY))


def sizes(paths: list[Path]) -> list[tuple[int, int]]:
    """Width and height of each, pixels."""
    return [imread(path).shape[1::-1] for path in paths]


def test_every_picture_is_a_png_of_its_size(result: Result, tmp_path: Path) -> None:
    paths = draw_all(result, tmp_path / "made" / "on the way")
    assert [path.stem for path in paths] == NAMES
    drawn = dict(zip(NAMES, sizes(paths), strict=True))
    for name in ("latency_ccdf", "latency_percentiles", "backends"):
        assert drawn[name] == (1200, 750)
    for name in ("in_flight", "regret", "queues"):
        assert drawn[name][1] > 50 * len(REGISTRY), "an algorithm needs its height"
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert (imread(path)[:, :, :3].min(axis=2) < 0.9).mean() > 0.01, "blank"


def test_pictures_repeat_to_the_byte(result: Result, tmp_path: Path) -> None:
    first, again = (draw_all(result, tmp_path / name) for name in ("a", "b"))
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"Software" not in one.read_bytes()


def test_no_algorithm_of_the_registry_looks_like_another() -> None:
    assert len(REGISTRY) < len(LOOKS), "add a look: some must be left for plug-ins"
    assert len({look.colour for look in LOOKS}) == len(LOOKS)
    assert len({look.marker for look in LOOKS}) == len(LOOKS)


# Machado, Oliveira and Fernandes, 2009, at full strength, on linear light.
COLOUR_BLINDNESS = {
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


@pytest.mark.parametrize("kind", COLOUR_BLINDNESS)
def test_colours_that_look_alike_to_some_are_told_apart_by_their_dashes(kind: str) -> None:
    linear = to_rgba_array([look.colour for look in LOOKS])[:, :3] ** 2.2
    seen = np.clip(linear @ np.transpose(COLOUR_BLINDNESS[kind]), 0, 1) ** (1 / 2.2)
    for (i, one), (j, other) in combinations(enumerate(LOOKS), 2):
        if np.linalg.norm(seen[i] - seen[j]) < 0.11:
            assert one.dashes != other.dashes


PLUGINS = [f"plugin_{i}" for i in range(40)]


@pytest.mark.parametrize("drawn", [1, 3, 5, 6, 20, 40])
def test_plug_ins_look_like_nobody_else_in_their_picture(drawn: int) -> None:
    names = [*REGISTRY, "p2c:choices=3", *PLUGINS[:drawn]]
    looks = styles(names)
    assert len(set(looks.values())) == len(names)
    assert len({(look.colour, look.dashes) for look in looks.values()}) == len(names)
    assert len({(look.colour, look.marker) for look in looks.values()}) == len(names)
    assert [looks[name] for name in REGISTRY] == list(LOOKS[: len(REGISTRY)])


def test_a_few_plug_ins_take_no_registered_colour() -> None:
    registered = {look.colour for look in styles(REGISTRY).values()}
    spare = len(LOOKS) - len(REGISTRY)
    looks = styles(PLUGINS[:spare]).values()
    assert registered.isdisjoint(look.colour for look in looks)
    assert len({look.colour for look in looks}) == spare


def test_looks_are_settled_by_who_is_drawn_and_not_by_their_order() -> None:
    names = ["random", *PLUGINS[:7], "p2c"]
    assert styles(names) == styles(reversed(names))
    assert len({styles([name])[name] for name in PLUGINS}) > 3


@pytest.mark.parametrize("name", ["latency_ccdf", "latency_percentiles", "backends"])
def test_colours_follow_the_algorithm_whatever_its_company(name: str, result: Result) -> None:
    alone = simulate(scenario(), ["random"])
    for drawn in (result, alone):
        (legend,) = FIGURES[name](drawn).legends
        handles = {
            text.get_text().partition(" (")[0]: handle
            for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
        }
        for run in drawn.runs:
            handle = handles[run.algorithm]
            colour = handle.get_facecolor() if name == "backends" else handle.get_color()
            assert same_color(
                to_rgba_array(colour)[0], styles([run.algorithm])[run.algorithm].colour
            )


def test_in_flight_has_a_panel_in_the_colour_of_each_algorithm(result: Result) -> None:
    panels = FIGURES["in_flight"](result).axes
    looks = styles(REGISTRY)
    assert [ax.lines[0].get_color() for ax in panels] == [looks[n].colour for n in REGISTRY]
    assert len({ax.get_ylim() for ax in panels}) == 1, "panels compare by eye"


@pytest.mark.parametrize(("one_run", "spread"), [(False, 1 / 5), (True, 1 + 1 / 5)])
def test_the_tail_curve_passes_through_the_quantiles_and_the_band_through_the_interval(
    one_run: bool, spread: float
) -> None:
    rng = np.random.default_rng(1)
    samples = [rng.exponential(0.01, 20_000) for _ in range(5)]
    ax = Figure().subplots()
    line = ccdf(ax, samples, "measured", "#123456", one_run=one_run)
    times, tails = line.get_data()
    for tail in (0.5, 0.1, 0.01, 0.001):
        read = np.interp(-tail, -tails, times)
        assert read == pytest.approx(np.quantile(np.concatenate(samples), 1 - tail), rel=0.01)
    band = ax.collections[0].get_paths()[0].vertices
    p99 = [np.quantile(sample, 0.99) for sample in samples]
    half = 2.776 * np.std(p99, ddof=1) * np.sqrt(spread)  # Student's t, four degrees of freedom
    near = band[np.abs(band[:, 1] / 0.01 - 1) < 0.02, 0]
    assert near.min() == pytest.approx(np.mean(p99) - half, rel=0.02)
    assert near.max() == pytest.approx(np.mean(p99) + half, rel=0.02)
    assert band[:, 1].min() == pytest.approx(10 / 20_000, rel=0.05), "ends with a handful left"


def test_a_million_samples_are_drawn_as_a_few_hundred_points() -> None:
    ax = Figure().subplots()
    line = ccdf(ax, [np.random.default_rng(1).exponential(1, 1_000_000)], "x", "#000000")
    assert len(line.get_xdata()) == 500
    assert len(ax.collections) == 0, "one replication gives no band"


@pytest.mark.parametrize(("spread", "scale"), [(0.3, "linear"), (3.0, "log")])
def test_a_wide_tail_stands_on_a_logarithmic_axis(spread: float, scale: str) -> None:
    ax = Figure().subplots()
    ccdf(ax, [np.random.default_rng(1).lognormal(-5, spread, 10_000)], "x", "#000000")
    tail_axes(ax)
    assert ax.get_xscale() == scale
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.texts] == ["p90", "p99", "p99.9"]


def test_percentiles_and_their_bars_are_the_estimates(result: Result) -> None:
    (ax,) = FIGURES["latency_percentiles"](result).axes
    told = [tick.get_text().partition("\n")[0] for tick in ax.get_xticklabels()]
    assert told == list(PERCENTILES.values())
    for run, bar in zip(result.runs, ax.containers, strict=True):
        points, _, (lines,) = bar.lines
        for value, segment, name in zip(
            points.get_ydata(), lines.get_segments(), PERCENTILES, strict=True
        ):
            estimate = run.latency[name]
            assert value == pytest.approx(estimate.value, nan_ok=True)
            if estimate.needs is not None:
                continue
            assert segment[1, 1] == pytest.approx(estimate.high)
            assert segment[0, 1] == pytest.approx(max(estimate.low or 0, 0))


def test_backends_show_shares_use_and_capacity() -> None:
    fast_and_slow = Scenario.parse(
        '[traffic]\narrivals = { process = "poisson", rate = 30 }\n[run]\nrequests = 400\n'
        '[[backend]]\nname = "fast"\naddress = "a:1"\n'
        'model = { service = { law = "exponential", mean = "10ms" } }\n'
        '[[backend]]\nname = "slow"\naddress = "a:2"\n'
        'model = { service = { law = "exponential", mean = "30ms" } }\n'
    )
    drawn = simulate(fast_and_slow, ["round_robin"])
    share, busy = FIGURES["backends"](drawn).axes
    uses = drawn["round_robin"].backends
    assert [bar.get_height() for bar in share.patches] == [use.share for use in uses]
    assert [bar.get_height() for bar in busy.patches] == [use.utilisation for use in uses]
    assert [seg[0, 1] for seg in share.collections[0].get_segments()] == pytest.approx([0.75, 0.25])
    assert list(busy.lines[0].get_ydata()) == [1.0, 1.0]
    assert [tick.get_text() for tick in busy.get_xticklabels()] == ["fast", "slow"]


def test_bins_hold_mean_and_range_of_a_step_function() -> None:
    times = np.array([1.0, 2.0, 2.0, 2.5, 6.0])
    numbers = np.array([1, 9, 2, 4, 0])  # the 9 lasts no time
    mean, low, high = binned(times, numbers, np.array([0.0, 2.0, 4.0, 8.0]))
    assert mean == pytest.approx([0.5, (0.5 * 2 + 1.5 * 4) / 2, 2.0])
    assert low.tolist() == [0, 2, 0]
    assert high.tolist() == [1, 4, 4]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (5e-5, "50 µs"),
        (0.00099999999999, "1 ms"),
        (0.1 + 0.2, "300 ms"),
        (1.5, "1.5 s"),
        (2000, "2000 s"),
    ],
)
def test_the_unit_goes_by_magnitude(seconds: float, text: str) -> None:
    assert duration(seconds) == text


ODD = {
    "one replication": scenario(replications=1),
    "two replications, wide intervals": scenario(replications=2, requests=60),
    "one request": scenario(replications=1, requests=1),
    "three requests": scenario(requests=3),
    "no request succeeds": scenario(
        service='{ law = "deterministic", mean = "50ms" }', more='[timeouts]\nresponse = "1ms"'
    ),
    "no work at all": scenario(service='{ law = "constant", mean = "0s" }'),
    "overload": scenario(backends=1),
    "forty backends": scenario(backends=40, rate=3000),
    "a hundred backends": scenario(backends=100, rate=8000, replications=1),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_results_are_drawn_all_the_same(case: str, tmp_path: Path) -> None:
    drawn = simulate(ODD[case], ["random", "least_connections"])
    paths = draw_all(drawn, tmp_path)
    assert all(width == 1200 and 250 < height < 2500 for width, height in sizes(paths))
    for path in paths:
        assert (imread(path)[:, :, :3].min(axis=2) < 0.9).mean() > 0.002, "blank"


@pytest.mark.parametrize(
    ("case", "algorithms", "left_out"),
    [
        ("one replication", ["random"], ["regret"]),
        ("overload", ["random", "p2c"], ["queues"]),
        ("overload", ["random"], ["regret", "queues"]),
        ("no request succeeds", ["random", "p2c"], ["regret"]),
        ("no work at all", ["random", "p2c"], ["regret"]),
    ],
)
def test_pictures_that_say_nothing_are_left_out(
    case: str, algorithms: list[str], left_out: list[str], tmp_path: Path
) -> None:
    drawn = simulate(ODD[case], algorithms)
    assert telling(drawn) == [name for name in NAMES if name not in left_out]
    stale = tmp_path / f"{left_out[0]}.png"
    stale.write_bytes(b"of an earlier result")
    draw_all(drawn, tmp_path)
    assert not stale.exists()


def test_without_the_requests_what_needs_them_is_left_out_and_said(tmp_path: Path) -> None:
    kept = simulate(scenario(more=FAULT), ["random", "p2c"])
    counted = replace(kept, runs=[replace(run, records=[]) for run in kept.runs])
    assert untraced(kept) == ()
    assert telling(counted) == ["latency_percentiles", "regret", "backends"]
    assert [path.stem for path in draw_all(counted, tmp_path)] == telling(counted)
    assert COUNTED in report(counted)
    assert COUNTED not in report(kept)


def test_a_figure_that_the_sample_cannot_carry_is_a_dash_and_says_what_it_takes() -> None:
    drawn = simulate(scenario(requests=40), ["random", "p2c"])
    (ax,) = FIGURES["latency_percentiles"](drawn).axes
    lacking = [name for name in PERCENTILES if drawn["random"].latency[name].needs]
    assert lacking[-1] == "p999"
    assert [text.get_text() for text in ax.texts[1:]] == ["–"] * 2 * len(lacking)
    assert ax.get_xticklabels()[-1].get_text().startswith("p99.9\n–: needs ")
    assert ax.get_xticklabels()[0].get_text() == "mean"
    last = FIGURES["regret"](drawn).axes[-1]
    assert [text.get_text() for text in last.texts] == ["–"] * 2
    assert last.get_xlabel() == "p99"


def test_nothing_to_draw_is_said() -> None:
    drawn = simulate(ODD["no request succeeds"], ["random"])
    (legend,) = FIGURES["latency_ccdf"](drawn).legends
    assert [text.get_text() for text in legend.get_texts()] == ["random (no request succeeded)"]


def test_what_cannot_keep_up_is_said() -> None:
    drawn = simulate(ODD["overload"], ["random"])
    for name in ("latency_ccdf", "latency_percentiles"):
        (legend,) = FIGURES[name](drawn).legends
        assert [text.get_text() for text in legend.get_texts()] == ["random (cannot keep up)"]


@pytest.mark.parametrize("backends", [4, 20, 40])
def test_backend_names_do_not_run_into_each_other(backends: int) -> None:
    figure = FIGURES["backends"](simulate(scenario(backends=backends, rate=50.0 * backends)))
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[1].get_xticklabels()]
    assert all(left.x1 <= right.x0 + 1 for left, right in pairwise(boxes))


@pytest.mark.parametrize(("backends", "ranked"), [(20, False), (250, True)])
def test_more_bars_than_can_be_seen_are_ranked(backends: int, ranked: bool) -> None:
    many = scenario(backends=backends, rate=50.0 * backends, replications=1)
    drawn = simulate(many, ["random", "round_robin"])
    share, busy = FIGURES["backends"](drawn).axes
    heights = [patch.get_data().values for patch in share.patches] if ranked else []
    assert len(share.patches) == (3 if ranked else 2 * backends)
    for run, values in zip(drawn.runs, heights, strict=False):
        assert values == pytest.approx(sorted((use.share for use in run.backends), reverse=True))
    assert busy.get_xlabel() == "backends, those with the most first" * ranked
