"""What holds for the whole suite: one build, and the same examples on every run."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import lb

if not lb.BUILD.compiled:
    os.environ["LB_PURE"] = "1"  # for the commands that tests run; a stale build is told above


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and commands that tests run would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
WATCHED = ("strategies", "contract", "balancing", "recording", "sim")
"""Rooms of tests that reach the pure rooms; watched, the others would take longer to no end."""
ONCE = (
    *("test_architecture.py", "test_notebooks.py", "test_readme.py", "test_terminal.py"),
    "test_markdown.py",
    *("loadtests", "native", "traces", "config", "foreign", "admin", "aio", "discovery", "workers"),
    *("fidelity", "cli/test_calibrate.py"),
    *("sim/test_cluster.py", "sim/test_drawing.py", "sim/test_html.py", "sim/test_plots.py"),
    *("sim/test_plots_of_runs.py", "sim/test_systems.py", "sim/test_theory.py"),
    *("sim/test_coverage.py", "sim/test_rehearsal.py", "sim/test_reversals.py"),
    *("sim/test_balancers.py", "sim/test_forecast.py", "contract/test_shares.py"),
    *("lived/test_crowds.py", "lived/test_ejections.py", "lived/test_extra_attempts.py"),
    *("lived/test_slow_start.py", "lived/test_tiers.py"),
    *(
        "sim/test_calibrate.py",
        "sim/test_calibrate_base.py",
        "sim/test_calibrate_picks.py",
        "sim/test_seen.py",
        "sim/test_shadow.py",
        "sim/test_teeth.py",
        "sim/test_verify.py",
    ),
    *("sim/test_cause.py", "sim/test_judge_users.py", "sim/test_phases.py", "sim/test_too_few.py"),
    *("sim/test_turns.py", "sim/test_unheeded.py"),
    *("sim/test_machine.py", "sim/test_distances.py", "sim/test_sharpness.py", "sim/test_stood.py"),
    *("cli/test_text.py", "cli/test_sweep.py", "cli/test_axes.py", "cli/test_verify.py"),
    *("cli/test_check.py", "cli/test_check_prints.py", "cli/test_simulate_output.py"),
    *(
        "cli/test_completion.py",
        "cli/test_ctl.py",
        "cli/test_export.py",
        "cli/test_init.py",
        "cli/test_top.py",
    ),
    "cli/test_init_grafana.py",
    *(
        "cli/test_predict.py",
        "sim/test_predict.py",
        "sim/test_predict_doubt.py",
        "sim/test_predictions_check.py",
    ),
    "sim/test_whatif.py",
    "cli/test_recommend.py",
    *(
        "sim/test_aims.py",
        "sim/test_recommend.py",
        "sim/test_recommend_doubt.py",
        "sim/test_selection.py",
        "sim/test_selection_study.py",
        "sim/test_splitting.py",
    ),
)
"""Files whose tests say the same in both builds, the slow ones first of all: what they try is never
compiled, or they read what simulations give, which is the same to the bit
(`native/test_both_builds.py`)."""

LIVE = (
    *("lived", "proxy", "cli", "loadtests", "native", "admin", "workers", "aio", "discovery"),
    "fidelity",
)
"""Rooms of tests with real sockets, processes and clocks in them."""
AGAIN = 2
"""How often such a test that failed is tried again: a machine that does much else at the moment is
no finding about the program. The closing line counts them, and `-ra` names them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    once = [HERE / name for name in ONCE]
    watched = [HERE / name for name in WATCHED]
    live = [HERE / name for name in LIVE]
    for item in items:
        above = {item.path, *item.path.parents}
        if not above.intersection(watched):
            item.add_marker(pytest.mark.no_cover)
        if above.intersection(once):
            item.add_marker(pytest.mark.once)
        if above.intersection(live):
            item.add_marker(pytest.mark.flaky(reruns=AGAIN))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is tried again is lived again, not remembered."""
    if getattr(item, "execution_count", 1) > 1 and isinstance(item, pytest.Function):
        for value in vars(item.module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def pytest_report_header() -> str:
    return f"lb: {lb.BUILD}{lb.BUILD.trouble and f' ({lb.BUILD.trouble})'}"


settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("second", settings.get_profile("repeatable"), max_examples=25)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """What both builds run is tried with a quarter of the examples the second time."""
    if config.getoption("markexpr") == "not once":
        settings.load_profile("second")
