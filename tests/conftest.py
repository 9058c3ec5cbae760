"""What holds for the whole suite: one build, and the same examples on every run."""

import os

from hypothesis import HealthCheck, settings

import lb

if not lb.BUILD.compiled:
    os.environ["LB_PURE"] = "1"  # for the commands that tests run; a stale build is told above


def pytest_report_header() -> str:
    return f"lb: {lb.BUILD}{lb.BUILD.trouble and f' ({lb.BUILD.trouble})'}"


settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")
