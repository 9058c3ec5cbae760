"""What is said of users, and of what is wrong with them."""

from __future__ import annotations

import pytest

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from sim import Schedule, simulate
from sim.output.words import offered
from tests.sim.scenarios import serves
from tests.sim.test_users import closed

# --- what is said


def test_what_is_offered_is_told_as_a_bound() -> None:
    file = closed(
        'count = 50, think = "exponential:1s"',
        serves('"exponential:250ms"'),
        serves('"exponential:500ms"'),
    )
    assert file.rate == 40
    assert file.utilisation == pytest.approx(40 / 6)
    assert list(offered(file, ["random"])) == [
        "50 users, who would send 40 requests/s if none waited: 6.67 of capacity."
    ]
    run = simulate(file, "random").runs[0]
    assert [use.steadiness for use in run.backends] == ["steady", "steady"]


def test_users_have_no_rate_that_could_be_another() -> None:
    file = closed('count = 50, think = "exponential:1s"')
    with pytest.raises(UsageError, match="give another count or think"):
        file.at_rate(5)


def test_users_have_no_timetable() -> None:
    file = closed('count = 50, think = "exponential:1s"')
    with pytest.raises(ConfigError, match=r"^lb\.toml:3 traffic\.users: whoever waits for an ans"):
        Schedule.draw(file)


ARRIVALS = 'arrivals = { process = "poisson", rate = 1 }'
NUMBER = 'a whole number from 1 up, or a law such as { law = "geometric", mean = 2.5 }'


@pytest.mark.parametrize(
    ("lines", "where", "why"),
    [
        (
            [],
            "1 traffic.arrivals",
            "missing; give arrivals, a process and its rate, or users, their count and think",
        ),
        (
            [ARRIVALS, 'users = { count = 1, think = "exponential:1s" }'],
            "3 traffic.users",
            "stands in place of arrivals; give one of the two",
        ),
        (
            ['users = { count = 0, think = "exponential:1s" }'],
            "2 traffic.users.count",
            "should be greater than or equal to 1, not 0",
        ),
        (
            ['users = { count = 2, thnk = "exponential:1s", think = "constant:1s" }'],
            "2 traffic.users.thnk",
            "unknown key; did you mean 'think'?",
        ),
        (
            ['users = { count = 2, think = "constant:1s", session = 0 }'],
            "2 traffic.users.session",
            f"{NUMBER}, not 0",
        ),
    ],
)
def test_what_is_wrong_with_traffic(lines: list[str], where: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Scenario.parse("\n".join(["[traffic]", *lines]), "lb.toml")
    assert caught.value.problems == [f"lb.toml:{where}: {why}"]
