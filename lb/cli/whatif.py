"""What-ifs as a command line writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lb.cli.axes import value_of
from lb.cli.options import algorithm_option, pair
from lb.errors import LbError, UsageError, nearest
from lb.units import seconds, share

if TYPE_CHECKING:
    from lb.config import Scenario
    from sim.fit.whatif import Loss, WhatIf

Changed = Annotated[
    list[str] | None,
    algorithm_option("What if it were this one; repeat, or put commas between, for a row each."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        envvar="LB_SET",
        help="Any key of the file by its dotted path, outliers.eject=5s or "
        "backend.NAME.model.workers=4 say; repeat for more. What is set holds for every row.",
    ),
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weight", metavar="NAME=W", envvar="LB_WEIGHT", help="A backend's weight."),
]
Add = Annotated[
    list[str] | None,
    typer.Option(
        "--add",
        metavar="[NAME]",
        envvar="LB_ADD",
        help="One backend more, like this one, or like the first of the file.",
    ),
]
Remove = Annotated[
    list[str] | None,
    typer.Option("--remove", metavar="NAME", envvar="LB_REMOVE", help="One backend less."),
]
Lose = Annotated[
    list[str] | None,
    typer.Option(
        "--lose",
        metavar="NAME[@FROM-TO]",
        envvar="LB_LOSE",
        help="A backend refuses connections, all the time or b@20s-40s after the start.",
    ),
]
RateTimes = Annotated[
    float,
    typer.Option(
        metavar="X",
        envvar="LB_RATE_TIMES",
        help="So many times the traffic: time runs faster, so it stays as bursty as it is.",
    ),
]
TimeLimits = Annotated[
    list[str] | None,
    typer.Option(
        "--timeout",
        metavar="NAME=DURATION",
        envvar="LB_TIMEOUT",
        help="A limit of [timeouts], such as attempt=500ms or total=2s.",
    ),
]
Retries = Annotated[
    int | None, typer.Option(min=0, envvar="LB_RETRIES", help="Further attempts of a request.")
]
QueueLimit = Annotated[
    int | None,
    typer.Option(
        "--queue", min=0, envvar="LB_QUEUE", help="Who may wait while all backends are full."
    ),
]
MaxInFlight = Annotated[
    int | None,
    typer.Option(min=1, envvar="LB_MAX_IN_FLIGHT", help="Requests at a time at every backend."),
]
Eject = Annotated[
    list[str] | None,
    typer.Option(
        "--eject",
        metavar="KEY=VALUE|off",
        envvar="LB_EJECT",
        help="A setting of [outliers], such as consecutive_failures=3; off: none is ejected.",
    ),
]
Balancers = Annotated[
    int | None,
    typer.Option(
        min=1,
        envvar="LB_BALANCERS",
        help="Balancers, or workers of one, each seeing its own requests only.",
    ),
]


def whatifs(
    scenario: Scenario,
    algorithms: Sequence[str],
    *,
    sets: Iterable[str],
    weights: Iterable[str],
    add: Iterable[str],
    remove: Sequence[str],
    lose: Iterable[str],
    rate_times: float,
    timeouts: Iterable[str],
    retries: int | None,
    queue: int | None,
    max_in_flight: int | None,
    eject: Iterable[str],
    balancers: int | None,
) -> list[WhatIf]:
    """One for each algorithm, else one; none where nothing is asked. Raises UsageError."""
    from sim.fit.whatif import WhatIf

    if not 0 < rate_times < float("inf"):
        raise UsageError(f"--rate-times: {rate_times:g} is not a number above zero")
    keys: dict[str, object] = {}
    for flag, prefix, given in (
        ("--set", "", sets),
        ("--timeout", "timeouts.", timeouts),
        ("--eject", "outliers.", _ejection(list(eject))),
    ):
        for text in given:
            name, value = pair(flag, text)
            _once(keys, f"{prefix}{name}", flag)
            keys[f"{prefix}{name}"] = value_of(value)
    for flag, key, number in (
        ("--retries", "retries.max", retries),
        ("--queue", "queue.limit", queue),
        ("--max-in-flight", "backend.max_in_flight", max_in_flight),
    ):
        if number is not None:
            _once(keys, key, flag)
            keys[key] = number
    if queue and max_in_flight is None and not _full_ever(scenario, keys):
        why = "nobody ever waits, for no backend has a max_in_flight; give --max-in-flight N too"
        raise UsageError(f"--queue {queue}: {why}")
    for name in keys:
        if name.partition(".")[0] == "algorithm":
            raise UsageError("--set algorithm: give -a NAME, with parameters as in p2c:choices=3")
    common: dict[str, Any] = {
        "keys": keys,
        "weights": dict(_weight(text) for text in weights),
        "more": tuple(name or scenario.backends[0].label for name in add),
        "without": tuple(remove),
        "lost": tuple(map(_loss, lose)),
        "rate_times": rate_times,
        "balancers": balancers,
    }
    if algorithms:
        return [WhatIf(name, **common) for name in algorithms]
    only = WhatIf(**common)
    return [only] if only.parts else []


def bounds_of(given: Iterable[str]) -> dict[str, float]:
    """`["10%", "p99=0.2"]` of --max-error: by figure. Raises UsageError."""
    from sim.analysis.statistics import FIGURES
    from sim.fit.sample import METRICS

    found: dict[str, float] = {}
    for text in given:
        name, equals, number = text.rpartition("=")
        if equals and name not in METRICS:
            raise UsageError(f"--max-error: no figure {name!r}; {nearest(name, METRICS)}")
        try:
            bound = share(number)
        except ValueError as error:
            raise UsageError(f"--max-error: {error}") from None
        if not 0 < bound < float("inf"):
            raise UsageError(f"--max-error: {number.strip()} is not above zero")
        found |= dict.fromkeys([name] if equals else FIGURES, bound)
    return found


def _ejection(given: list[str]) -> list[str]:
    if "off" in given and len(given) > 1:
        raise UsageError("--eject off: then there is nothing else to set; give off alone")
    return ["enabled=false" if it == "off" else it for it in given]


def _full_ever(scenario: Scenario, keys: Iterable[str]) -> bool:
    """Whether a backend may be full."""
    bounded = any(row.max_in_flight is not None for row in scenario.backends)
    return bounded or any(key.endswith(".max_in_flight") for key in keys)


def _once(keys: dict[str, object], name: str, flag: str) -> None:
    if name in keys:
        raise UsageError(f"{flag}: {name} is given twice; one will do")


def _weight(text: str) -> tuple[str, float]:
    name, _, weight = text.rpartition("=")
    try:
        return name, float(weight)
    except ValueError:
        name = ""
    raise UsageError(f"--weight {text}: write NAME=W, such as a=2")


def _loss(text: str) -> Loss:
    from sim.fit.whatif import Loss

    name, at, span = text.partition("@")
    if not at:
        return Loss(name)
    since, dash, until = span.partition("-")
    try:
        return Loss(name, _seconds(since), _seconds(until) if dash and until.strip() else None)
    except LbError:
        raise UsageError(f"--lose {text}: write NAME, or NAME@20s-40s") from None


def _seconds(text: str) -> float:
    """Of a duration; a bare number is seconds. Raises LbError."""
    try:
        return float(text)
    except ValueError:
        try:
            return seconds(text.strip())
        except ValueError as error:
            raise UsageError(str(error)) from None
