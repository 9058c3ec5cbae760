"""The JSON Schema of files: what it lets pass, what it does not, and what it says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lb.config import Scenario, effective
from lb.config.schema import schema
from lb.errors import ConfigError
from lb.strategies import REGISTRY
from tests.config.test_effective import PECULIAR, SHIPPED

README = Path("README.md").read_text(encoding="utf-8")


@cache
def validator() -> Any:
    made = schema()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def wrong(text: str) -> list[str]:
    return [error.json_path for error in validator().iter_errors(tomllib.loads(text))]


def test_it_is_of_the_dialect_that_it_says() -> None:
    assert validator().schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_files_fit(file: Path) -> None:
    assert not wrong(file.read_text())
    assert not list(validator().iter_errors(effective(Scenario.load(file))))


@pytest.mark.parametrize("text", PECULIAR.values(), ids=PECULIAR)
def test_files_that_are_right_fit(text: str) -> None:
    Scenario.parse(text)
    assert not wrong(text)
    assert not list(validator().iter_errors(effective(Scenario.parse(text))))


def test_examples_of_the_readme_fit() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert blocks
    assert not [place for text in blocks for place in wrong(text)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("algoritm = 1", "$"),
        ('algorithm = "p2"', "$.algorithm"),
        ('algorithm = { name = "p2c", choice = 3 }', "$.algorithm"),
        ('key = "header"', "$.key"),
        ("[timeouts]\nconnect = 5", "$.timeouts.connect"),
        ('[timeouts]\nconnect = "5 sec"', "$.timeouts.connect"),
        ('[timeouts]\nconect = "5s"', "$.timeouts"),
        ('[limits]\nheader_bytes = "8kb"', "$.limits.header_bytes"),
        ('[server]\nlisten = "8080"', "$.server.listen"),
        ("[[backend]]\nweight = 1", "$.backend[0]"),
        ('[[backend]]\naddress = "h:1"\nweight = 0', "$.backend[0]"),
        ('[[backend]]\naddress = "h:1"\nmax_in_flight = "adaptiv"', "$.backend[0]"),
        ('backend = ["nowhere"]', "$.backend[0]"),
        ('[traffic]\narrivals = { process = "poison", rate = 1 }', "$.traffic.arrivals"),
        ("[panic]\nthreshold = 1.5", "$.panic.threshold"),
        ('[retries]\non = ["conect"]', "$.retries.on[0]"),
        ('[hedging]\nafter = "95"', "$.hedging.after"),
    ],
)
def test_a_file_that_is_wrong_does_not_fit(text: str, place: str) -> None:
    with pytest.raises(ConfigError):
        Scenario.parse(text)
    assert wrong(text) == [place]


def keys_without_a_word(shape: Any, at: str = "") -> Iterator[str]:
    if isinstance(shape, dict):
        for key, told in shape.get("properties", {}).items():
            tag = isinstance(told, dict) and set(told) & {"const", "enum"}
            if not tag and not told.get("description"):
                yield f"{at}.{key}"
        for key, inside in shape.items():
            yield from keys_without_a_word(inside, f"{at}/{key}")
    elif isinstance(shape, list):
        for inside in shape:
            yield from keys_without_a_word(inside, at)


def test_every_key_says_what_it_is() -> None:
    assert not set(keys_without_a_word(validator().schema))


def test_what_it_says_are_the_words_of_the_field() -> None:
    tables = validator().schema["$defs"]
    assert tables["Timeouts"]["properties"]["tunnel"]["description"].startswith("Silence of both")
    budget = tables["Retries"]["properties"]["budget"]["description"]
    assert budget.startswith("Extra attempts as a share")  # stands with the policy


def test_defaults_are_as_a_file_would_have_them() -> None:
    tables = validator().schema["$defs"]
    assert tables["Timeouts"]["properties"]["connect"]["default"] == "1s"
    assert "default" not in tables["Timeouts"]["properties"]["total"]
    assert "'null'" not in str(validator().schema)


def test_algorithms_and_their_parameters_are_the_registrys() -> None:
    forms = validator().schema["$defs"]["Algorithm"]["anyOf"]
    assert {form["const"] for form in forms if "const" in form} >= REGISTRY.keys()
    properties = [form["properties"] for form in forms if "properties" in form]
    tables = {of["name"]["const"]: of for of in properties}
    for name, row in REGISTRY.items():
        assert tables[name].keys() == {"name", *(parameter for parameter, _, _ in row.manual())}
    assert tables["peak_ewma"]["decay"]["default"] == "10s"
    assert tables["p2c"]["choices"]["type"] == "integer"
