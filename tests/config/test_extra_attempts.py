"""[retries], [hedging] and timeouts.attempt: what the file may say of extra attempts."""

from __future__ import annotations

import pytest

from lb.config import Scenario
from tests.config.test_file import complaints


def test_what_is_tried_again_and_hedged_is_the_file_s() -> None:
    text = (
        '[retries]\non = ["timeout", 503, "server_error"]\nbackoff = "0s"\n'
        '[hedging]\nafter = "p99"\n[timeouts]\nattempt = "500ms"\n'
    )
    scenario = Scenario.parse(text)
    setup = scenario.setup()
    assert setup.retries.on == ("timeout", 503, "server_error")
    assert setup.retries.backoff == 0.0
    assert setup.hedging.after == "p99"
    assert scenario.timeouts.attempt == 0.5
    assert Scenario.parse('[hedging]\nafter = "40ms"\n').setup().hedging.after == 0.04


def test_at_defaults_nothing_is_hedged_and_statuses_are_answers() -> None:
    scenario = Scenario.parse("")
    assert scenario.setup().hedging.after is None
    assert scenario.setup().retries.on == ("connect", "reset", "timeout")
    assert scenario.timeouts.attempt is None


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ('[retries]\non = ["reset", "time_out"]', "2 retries.on[1]", "did you mean 'timeout'"),
        ('[retries]\non = ["xyz"]', "2 retries.on[0]", "known: connect, reset, timeout"),
        ("[retries]\non = [200]", "2 retries.on[0]", "400 to 599"),
        ("[retries]\non = [true]", "2 retries.on[0]", "400 to 599"),
        ("[retries]\non = [503.0]", "2 retries.on[0]", "400 to 599"),
        ('[retries]\nbackoff = "-1s"', "2 retries.backoff", "a number and a unit"),
        ('[hedging]\nafter = "95p"', "2 hedging.after", 'or a quantile, such as "p95"'),
        ('[hedging]\nafter = "p5"', "2 hedging.after", "'p5' is no quantile"),
        ('[hedging]\nafter = "0s"', "2 hedging.after", "above zero"),
        ("[hedging]\nafter = 0.05", "2 hedging.after", "250ms"),
        (
            '[hedging]\nafter = "p95"\n[retries]\nbudget = 0.0\nmin_per_second = 0.0',
            "2 hedging.after",
            "the budget of [retries], which is 0",
        ),
        ('[timeouts]\nattempt = "0s"', "2 timeouts.attempt", "greater than 0"),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, where: str, why: str) -> None:
    (complaint,) = complaints(text + "\n")
    assert complaint.startswith(f"lb.toml:{where}: ")
    assert why in complaint


def test_a_mistake_in_the_budget_is_told_without_one_about_hedges() -> None:
    (complaint,) = complaints('[retries]\nbudget = 2.0\n[hedging]\nafter = "p95"\n')
    assert "retries.budget" in complaint
