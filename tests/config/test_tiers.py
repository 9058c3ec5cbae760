"""Tiers and panic in the file: what they become, and mistakes in them."""

from __future__ import annotations

import pytest

from lb.balancing import PanicPolicy, TierPolicy
from lb.config import Scenario
from tests.config.test_file import complaints

FILE = """\
[panic]
threshold = 0.5
[tiers]
local_zone = "here"
overprovisioning = 2.0
[[backend]]
address = "h:1"
zone = "here"
[[backend]]
address = "h:2"
priority = 1
zone = "there"
"""


def test_tiers_and_panic_are_part_of_a_setup() -> None:
    setup = Scenario.parse(FILE).setup()
    assert setup.panic == PanicPolicy(0.5)
    assert setup.tiers == TierPolicy("here", 2.0)
    assert [(row.priority, row.zone) for row in setup.backends] == [(0, "here"), (1, "there")]


def test_a_file_that_says_nothing_of_them_has_one_tier_and_the_defaults() -> None:
    setup = Scenario.parse('[[backend]]\naddress = "h:1"\n').setup()
    assert (setup.panic, setup.tiers) == (PanicPolicy(0.3), TierPolicy("", 1.4))
    assert [(row.priority, row.zone) for row in setup.backends] == [(0, "")]


def test_backups_may_be_all_that_is_in_another_zone() -> None:
    text = FILE.replace('zone = "there"', 'zone = "here"')
    assert Scenario.parse(text).setup().tiers.local_zone == "here"


MISTAKES = {
    "nobody of the first priority": (
        '[[backend]]\naddress = "h:1"\npriority = 2\n[[backend]]\naddress = "h:2"\npriority = 1\n',
        "lb.toml:6 backend[1].priority",
        "no backend has priority 0, which comes first; give it to this one, h:2",
    ),
    "a negative priority": (
        '[[backend]]\naddress = "h:1"\npriority = -1\n',
        "lb.toml:3 backend[0].priority",
        "greater than or equal to 0",
    ),
    "a zone of nobody": (
        '[tiers]\nlocal_zone = "east-2"\n[[backend]]\naddress = "h:1"\nzone = "east-1"\n',
        "lb.toml:2 tiers.local_zone",
        "no backend is in zone 'east-2'; did you mean 'east-1'?",
    ),
    "a zone where there are none": (
        '[tiers]\nlocal_zone = "east"\n',
        "lb.toml:2 tiers.local_zone",
        "no backend is in zone 'east'; none has a zone",
    ),
    "a tier that is to take less than its share": (
        "[tiers]\noverprovisioning = 0.5\n",
        "lb.toml:2 tiers.overprovisioning",
        "greater than or equal to 1",
    ),
    "panic in percent": ("[panic]\nthreshold = 30\n", "lb.toml:2 panic.threshold", "equal to 1"),
    "a misspelt key": ("[tiers]\nlocal_zones = []\n", "lb.toml:2 tiers", "'local_zone'"),
    "a misspelt key of panic": ("[panic]\ntreshold = 0.2\n", "lb.toml:2 panic", "'threshold'"),
}


@pytest.mark.parametrize(("text", "where", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line_and_the_right_thing(
    text: str, where: str, what: str
) -> None:
    (problem,) = complaints(text)
    assert problem.startswith(where)
    assert what in problem


def test_mistakes_of_backends_are_told_alone() -> None:
    (problem,) = complaints('[tiers]\nlocal_zone = "x"\n[[backend]]\naddress = "nowhere"\n')
    assert problem.startswith("lb.toml:4 backend[0].address")
