"""What suffers where several workers serve."""

from __future__ import annotations

import pytest

from lb.config import Scenario
from lb.config.apart import suffering
from lb.strategies import REGISTRY

HEAD = "[server]\nworkers = {}\n"
MODELLED = """\
[[backend]]
address = "h:1"
model = { service = "exponential:10ms" }
[traffic]
arrivals = { process = "poisson", rate = 50 }
keys = { law = "zipf", count = 10, s = 1 }
"""


def told(text: str, present: int | None = None) -> list[tuple[str, str]]:
    file = Scenario.parse(text)
    return [(file.place(*place).partition(" ")[2], why) for place, why in suffering(file, present)]


@pytest.mark.parametrize("name", REGISTRY)
def test_what_an_algorithm_loses_is_said_of_several_workers_only(name: str) -> None:
    row = REGISTRY[name]
    text = f'algorithm = "{name}"\nkey = "header:X"\n{HEAD}'
    assert not told(text.format(1))
    found = told(text.format(3))
    assert [key for key, _ in found] == ["server.workers"] * bool(row.partial)
    assert all(row.partial in why and "of 3 workers" in why for _, why in found)


def test_one_is_as_many_as_there_are_cores() -> None:
    text = 'algorithm = "p2c"\n' + HEAD.format('"auto"')
    assert not told(text, 1)
    ((_, why),) = told(text, 4)
    assert why.startswith("of 4 workers each compares")


def test_where_it_can_be_simulated_the_command_is_named() -> None:
    text = 'algorithm = "p2c"\n' + HEAD.format(4)
    ((_, bare),), ((_, modelled),) = told(text), told(text + MODELLED)
    how = "lb sweep --balancers 1,4 with this file says what that costs"
    assert bare.endswith(f"(p2c); with models and traffic, {how}")
    assert modelled.endswith(f"(p2c); {how}")


@pytest.mark.parametrize(
    ("key", "inner", "names"),
    [
        ("cookie:home", "round_robin", []),
        ("cookie:home", "p2c", ["p2c"]),
        ("header:X", "round_robin", ["sticky"]),
        ("header:X", "p2c:choices=3", ["sticky", "p2c"]),
    ],
)
def test_a_cookie_is_not_remembered(key: str, inner: str, names: list[str]) -> None:
    text = f'algorithm = {{ name = "sticky", inner = "{inner}" }}\nkey = "{key}"\n'
    found = told(text + HEAD.format(2))
    assert [why.partition("(")[2].partition(")")[0] for _, why in found] == names


@pytest.mark.parametrize(
    ("limit", "part"),
    [(8, None), (4, None), (6, "give 4 or 8"), (3, "less than one for each of 4 workers")],
)
def test_limits_that_do_not_divide_are_told(limit: int, part: str | None) -> None:
    rows = f'[queue]\nlimit = {limit}\n[[backend]]\naddress = "h:1"\nmax_in_flight = {limit}\n'
    found = told(HEAD.format(4) + rows)
    assert [key for key, _ in found] == ["backend[0].max_in_flight", "queue.limit"] * (
        part is not None
    )
    assert all(str(part) in why for _, why in found)


def test_limits_that_are_found_out_need_not() -> None:
    rows = '[[backend]]\naddress = "h:1"\nmax_in_flight = "adaptive"\n'
    assert not told(HEAD.format(3) + rows)
