"""Which algorithms there are, by name, and how one is made.

Plug-ins are looked for only when a name is not lb's own, or when everything is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lb.errors import UsageError, nearest
from lb.strategies import (
    consistent_hash,
    ip_hash,
    join_idle_queue,
    least_connections,
    least_reported,
    least_response_time,
    maglev,
    p2c,
    peak_ewma,
    plugins,
    prequal,
    random,
    rendezvous,
    round_robin,
    sticky,
    weighted_feedback,
    weighted_random,
    weighted_round_robin,
)
from lb.strategies.base import Random, Strategy
from lb.strategies.spec import Spec

REGISTRY: dict[str, Spec] = {
    module.SPEC.name: module.SPEC
    for module in (
        round_robin,
        weighted_round_robin,
        random,
        weighted_random,
        least_connections,
        p2c,
        peak_ewma,
        least_response_time,
        join_idle_queue,
        ip_hash,
        consistent_hash,
        maglev,
        rendezvous,
        prequal,
        least_reported,
        weighted_feedback,
        sticky,
    )
}
"""lb's own, in the order of all lists."""


def spec(name: str) -> Spec:
    """The row of `name`, lb's own or a plug-in's; UsageError names the nearest known algorithm."""
    if name in REGISTRY:
        return REGISTRY[name]
    try:
        return plugins.load(name, REGISTRY)
    except KeyError:
        known = {*REGISTRY, *plugins.offered()}
        raise UsageError(f"unknown algorithm {name!r}: {nearest(name, known)}") from None


def all_specs() -> tuple[dict[str, Spec], list[str]]:
    """Every row, lb's own first, and one line for each plug-in that is broken."""
    rows, broken = dict(REGISTRY), []
    for name in plugins.offered():
        try:
            rows[name] = plugins.load(name, REGISTRY)
        except UsageError as error:
            broken.append(str(error))
    return rows, broken


def parse(text: str) -> tuple[str, dict[str, str]]:
    """`"p2c:choices=3,replacement=true"` -> name and settings, checked. Raises UsageError."""
    name, _, rest = text.partition(":")
    settings = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"algorithm {text!r}: {part!r} is not NAME=VALUE")
        settings[key.strip()] = value.strip()
    spec(name).configure(settings)
    return name, settings


def create(name: str, rng: Random, settings: Mapping[str, object] | None = None) -> Strategy[Any]:
    """A fresh strategy, empty. Raises UsageError for an unknown name or setting."""
    return build(spec(name), rng, settings)


def build(row: Spec, rng: Random, settings: Mapping[str, object] | None = None) -> Strategy[Any]:
    """A fresh strategy of a row, empty.

    Raises UsageError for a setting that does not fit, and for a plug-in's class that inherits from
    a compiled one that is not made for that.
    """
    params = row.configure(settings or {})
    try:
        return row.factory(params, rng, inner) if row.nests else row.factory(params, rng)
    except TypeError as error:
        if plugins.HEIR not in str(error):
            raise
        raise UsageError(plugins.disinherited(row)) from None


def inner(text: str, rng: Random) -> tuple[Spec, Strategy[Any]]:
    """What a strategy that holds another makes it with: `"p2c:choices=3"` -> its row and itself."""
    name, settings = parse(text)
    row = spec(name)
    return row, build(row, rng, settings)
