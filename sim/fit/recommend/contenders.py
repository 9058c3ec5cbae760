"""Which algorithms can serve a file, and at which settings each is tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from lb.config import Scenario
from lb.errors import ConfigError, LbError, UsageError
from lb.strategies import all_specs, parse, spec
from lb.strategies.spec import Seconds, Spec
from lb.units import duration

INNER = ("least_connections", "p2c")
"""What an algorithm that holds another one is tried with, beside its default."""
TIMES = (0.1, 3.0)
"""Durations are tried at so many times their default: that they are far apart is meant, for what
they smooth is seen only then."""
PARTS = (0.5, 2.0)
"""Numbers too."""
STILL = {"table", "table_size", "drain", "replacement", "pool", "surplus", "blackout", "expiry"}
"""Parameters of memory, of leaving and of beginnings, or that the analysis has and nobody sets."""
OF_FAILURES = {"penalty", "error_penalty"}
"""They count where requests fail."""
OF_OTHERS = {"fwrr", "static", "idle_first", "before"}
"""Other balancers' ways of the same, there to predict them."""
NEED_BACKENDS = {"probes": "answer probes", "reports": "report their load"}
"""What backends must do for an algorithm, by what it needs."""


@dataclass(frozen=True)
class Contender:
    """An algorithm at some settings."""

    text: str
    """As `-a` takes it: `p2c:choices=3`."""
    rank: tuple[int, ...]
    """Simplest and cheapest first: by what it needs, by how many settings are not the default, by
    its place in the registry."""
    asks: str = ""
    """What its backends must do, as in "answer probes"."""
    keyed: bool = False
    heeds_weights: bool = True


class Field(NamedTuple):
    """Who takes part, and who does not."""

    contenders: list[Contender]
    left_out: list[tuple[str, str]]
    """Algorithms with the reason."""


def contenders(scenario: Scenario, given: Sequence[str] | None = None) -> Field:
    """Those of `given`, or all, that mean something for `scenario`, simplest first.

    One that is given with settings is tried at these alone. Raises UsageError for one that is
    unknown, and ConfigError where none is left.
    """
    rows, _ = all_specs()
    places = {name: place for place, name in enumerate(rows)}
    keyed = scenario.offered().keyed
    alike = len({row.weight for row in scenario.backends}) == 1
    fails = bool(scenario.faults) or scenario.offered().patience is not None
    found: dict[str, Contender] = {}
    left_out: list[tuple[str, str]] = []
    texts = list(given or rows)
    for text in texts:
        name, settings = parse(text)
        row = spec(name)
        why = ""
        if "key" in row.needs and not keyed:
            why = "goes by keys, and the traffic has none"
        elif "weights" in row.needs and alike and not given:
            why = "goes by weights, and all are the same"
        if why and given:
            raise ConfigError(scenario.keyless([name])) if not keyed else UsageError(why)
        if why:
            left_out.append((name, why))
            continue
        own = scenario.algorithm.settings if name == scenario.algorithm.name else {}
        variants: Iterator[dict[str, Any]] | list[dict[str, Any]] = [dict(settings)]
        if not settings:
            variants = _variants(row, len(scenario.backends), fails=fails)
            if own:
                variants = [dict(own), *variants]
        for each in variants:
            one = _contender(scenario, row, each, places.get(name, len(places)))
            found.setdefault(one.text, one)
    current = scenario.algorithm
    if not given and (keyed or "key" not in spec(current.name).needs):
        row = spec(current.name)
        one = _contender(scenario, row, dict(current.settings), places.get(current.name, 0))
        found.setdefault(one.text, one)
    usable = []
    for one in found.values():
        try:
            scenario.setup(one.text)
        except LbError as error:
            if given:
                raise
            left_out.append((one.text, str(error).splitlines()[0]))
        else:
            usable.append(one)
    return Field(sorted(usable, key=lambda it: it.rank), left_out)


def _contender(scenario: Scenario, row: Spec, settings: dict[str, Any], place: int) -> Contender:
    text = f"{row.name}:{','.join(f'{k}={_written(v)}' for k, v in settings.items())}"
    weighs = row.weighs
    if row.nests:
        inner = str(getattr(row.configure(settings), "inner", row.name)).partition(":")[0]
        weighs = spec(inner).weighs
    asks = [what for need, what in NEED_BACKENDS.items() if need in row.needs]
    return Contender(
        text if settings else row.name,
        (len(asks), "key" in row.needs, "latency" in row.needs, len(settings), place),
        " and ".join(asks),
        "key" in row.needs,
        weighs,
    )


def _variants(row: Spec, backends: int, *, fails: bool) -> Iterator[dict[str, Any]]:
    """Its defaults, then each parameter at other values, one at a time."""
    yield {}
    hints = get_type_hints(row.params, include_extras=True)
    for parameter in fields(row.params):
        name = parameter.name
        if name in STILL or (name in OF_FAILURES and not fails):
            continue
        for value in _values(name, hints[name], getattr(row.configure({}), name), backends):
            try:
                row.configure({name: value})
            except UsageError:
                continue  # beyond what this parameter may be
            yield {name: value}


def _values(name: str, hint: Any, default: Any, backends: int) -> list[Any]:
    """By its type, beside the default."""
    if get_origin(hint) is Literal:
        return [choice for choice in get_args(hint) if choice not in (default, *OF_OTHERS)]
    if hint is bool:
        return [not default]
    if hint == Seconds:
        return [duration(float(f"{default * factor:.3g}")) for factor in TIMES if default]
    if name == "choices":  # as many as there are is least of all
        return [more for more in (default + 1,) if more <= backends]
    if hint is int:
        return [max(round(default * factor), 1) for factor in PARTS if default]
    if hint is float:
        return [default * factor for factor in PARTS if default]
    if name == "inner":
        return [inner for inner in INNER if inner != default]
    return []


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
