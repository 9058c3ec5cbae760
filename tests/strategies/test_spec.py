"""Rows of the registry: settings as a file or a command line gives them, and what a row says."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import pytest

from lb.errors import UsageError
from lb.strategies import REGISTRY, Seconds, Spec, create, parse
from lb.strategies.registry import build
from lb.strategies.round_robin import Params as Nothing
from lb.strategies.round_robin import RoundRobin
from lb.strategies.sticky import Sticky


@dataclass(frozen=True)
class Params:
    """Settings of every kind."""

    colour: Literal["red", "green"] = "red"
    """What it looks like.

    Nobody knows why."""
    patience: Seconds = 1.5
    """How long."""
    many: int = 2
    share: float = 0.5
    """How much."""
    loud: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.many > 9:
            raise ValueError("many is too many")


ROW = Spec("kinds", lambda _, rng: RoundRobin(Nothing(), rng), Params, "O(1)", "never")


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("colour", "green", "green"),
        ("patience", "250ms", 0.25),
        ("many", "3", 3),
        ("many", 3, 3),
        ("share", "0.25", 0.25),
        ("share", 1, 1.0),
        ("loud", "true", True),
        ("loud", True, True),
        ("loud", "False", False),
        ("name", "anything", "anything"),
    ],
)
def test_a_setting_is_read_from_a_file_and_from_text(
    name: str, given: object, taken: object
) -> None:
    value = getattr(ROW.configure({name: given}), name)
    assert value == taken
    assert type(value) is type(taken)


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("colour", "gren", "kinds: colour: 'gren' is unknown; did you mean 'green'"),
        ("patience", 3, "kinds: patience: a duration is a number and a unit"),
        ("many", "3.5", "kinds: many: a whole number, not '3.5'"),
        ("many", 3.0, "kinds: many: a whole number, not 3.0"),
        ("many", True, "kinds: many: a whole number, not true"),
        ("many", [1], "kinds: many: a whole number, not a list"),
        ("many", 10, "kinds: many is too many"),
        ("share", "much", "kinds: share: a number, not 'much'"),
        ("share", False, "kinds: share: a number, not false"),
        ("loud", "yes", "kinds: loud: true or false, not 'yes'"),
        ("mayn", 1, "kinds has no parameter 'mayn': did you mean 'many'"),
    ],
)
def test_a_setting_that_does_not_fit_says_why(name: str, given: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        ROW.configure({name: given})


def test_who_has_no_settings_says_so() -> None:
    row = Spec("bare", RoundRobin, Nothing, "O(1)", "never")
    with pytest.raises(UsageError, match="bare has no parameter 'x': it has none"):
        row.configure({"x": 1})


def test_the_manual_is_the_text_under_each_field() -> None:
    assert list(ROW.manual()) == [
        ("colour", "red", "What it looks like.\n\nNobody knows why."),
        ("patience", "1.5", "How long."),
        ("many", "2", ""),
        ("share", "0.5", "How much."),
        ("loud", "False", ""),
        ("name", "", ""),
    ]


@dataclass(frozen=True)
class Required:
    """One that must be given."""

    size: int
    """How large."""


def test_a_setting_without_a_default_must_be_given() -> None:
    row = Spec("sized", RoundRobin, Required, "O(1)", "never")
    assert list(row.manual()) == [("size", "", "How large.")]
    assert row.configure({"size": 3}) == Required(3)
    with pytest.raises(UsageError, match=r"sized: .*size"):
        row.configure({})


def test_the_story_is_that_of_the_file_and_the_summary_its_first_sentence() -> None:
    row = REGISTRY["round_robin"]
    assert row.story.startswith("Round robin: every backend in turn, in configured order.\n\nCost:")
    assert row.summary == "every backend in turn, in configured order"
    assert (
        ROW.story == "Rows of the registry: settings as a file or a command line gives them, "
        "and what a row says."
    )
    assert ROW.summary == "settings as a file or a command line gives them, and what a row says"


def test_a_factory_from_nowhere_has_no_story() -> None:
    row = Spec("built", eval("lambda params, rng: None", {"__name__": "nowhere"}), Nothing, "", "")
    assert row.story == ""
    assert row.summary == ""


def test_what_a_compiled_module_says_is_read_from_its_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = REGISTRY["peak_ewma"]
    told = row.story, list(row.manual())

    def unavailable(_: object) -> str:
        raise OSError("source code not available")

    monkeypatch.setattr(inspect, "getsource", unavailable)
    monkeypatch.setattr(sys.modules["lb.strategies.peak_ewma"], "__doc__", None)
    assert (row.story, list(row.manual())) == told
    assert told[0].startswith("Peak EWMA: of two backends")
    assert told[1][2] == ("choices", "2", "Backends drawn for each pick.")


def test_a_row_at_other_settings_begins_with_them() -> None:
    row = ROW.at({"many": 5}).at({"share": "0.1"})
    assert row.title == "kinds:many=5,share=0.1"
    assert row.configure({"many": 6}) == Params(many=6, share=0.1)
    assert ROW.title == "kinds"
    assert ROW.configure({}) == Params()


def test_the_cases_of_a_row_are_its_own_and_one_for_each_variant() -> None:
    row = REGISTRY["p2c"]
    assert [case.preset for case in row.cases] == [{}, *row.variants]
    assert all(case.cases == (case,) for case in row.cases)
    assert ROW.cases == (ROW,)


def test_a_text_names_an_algorithm_and_its_settings() -> None:
    assert parse("p2c") == ("p2c", {})
    assert parse("p2c: choices = 3 ,replacement=true,") == (
        "p2c",
        {"choices": "3", "replacement": "true"},
    )
    with pytest.raises(UsageError, match="algorithm 'p2c:three': 'three' is not NAME=VALUE"):
        parse("p2c:three")
    with pytest.raises(UsageError, match="p2c: choices must be at least 1"):
        parse("p2c:choices=0")


def test_only_who_holds_another_is_handed_a_way_to_make_it() -> None:
    handed: list[tuple[Any, ...]] = []

    def factory(*arguments: Any) -> Any:
        handed.append(arguments)
        return RoundRobin(*arguments[:2])

    rng = Random(1)
    build(Spec("plain", factory, Nothing, "O(1)", "never"), rng)
    build(Spec("nests", factory, Nothing, "O(1)", "never", nests=True), rng)
    assert handed[0] == (Nothing(), rng)
    params, same, inner = handed[1]
    assert (params, same) == (Nothing(), rng)
    row, strategy = inner("p2c:choices=3", rng)
    assert row is REGISTRY["p2c"]
    assert strategy._choices == 3
    assert isinstance(create("sticky", rng), Sticky)


@pytest.mark.parametrize(
    "wrong",
    [
        "least_response_time:decay=0s",
        "least_response_time:penalty=0s",
        "peak_ewma:decay=0s",
        "peak_ewma:penalty=0s",
        "peak_ewma:choices=0",
        "p2c:choices=0",
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: str) -> None:
    name = wrong.partition(":")[0]
    with pytest.raises(UsageError, match=f"^{name}: .*(above zero seconds|at least 1, not 0)"):
        parse(wrong)


@pytest.mark.parametrize(
    "right", ["least_response_time:decay=1us,penalty=1us", "peak_ewma:choices=1", "p2c:choices=1"]
)
def test_the_smallest_settings_are_taken(right: str) -> None:
    parse(right)


def test_the_defaults_are_those_of_the_manual() -> None:
    for name in ("least_response_time", "peak_ewma"):
        defaults = {parameter: value for parameter, value, _ in REGISTRY[name].manual()}
        assert defaults["decay"] == "10.0"
        assert defaults["penalty"] == "1.0"
    defaults = {parameter: value for parameter, value, _ in REGISTRY["prequal"].manual()}
    assert list(defaults.values()) == ["3.0", "16", "1.0", "0.84", "1.0"]
    assert [value for _, value, _ in REGISTRY["p2c"].manual()] == ["2", "False"]
    assert [value for _, value, _ in REGISTRY["sticky"].manual()] == [
        "round_robin",
        "100000",
        "inf",
    ]
    assert [value for _, value, _ in REGISTRY["maglev"].manual()] == ["65537"]
    assert [value for _, value, _ in REGISTRY["consistent_hash"].manual()] == ["0"]
