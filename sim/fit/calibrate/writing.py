"""A calibration as a scenario file: for people, with comments that tell how certain a figure is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from lb import __version__
from lb.balancing.setup import POLICIES, Setup
from lb.config import Bimodal, LawTable, Scenario, Uniform, address
from lb.config.toml import toml
from lb.config.values import WRITTEN
from lb.errors import ConfigError
from lb.terminal import plain
from lb.units import duration, seconds
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.figures import interval, milliseconds, ways
from sim.fit.calibrate.laws import EMPIRICAL
from sim.fit.calibrate.model import Backend, Fitted
from sim.fit.calibrate.speeds import table
from sim.model.laws import Floats

DIGITS = 5
"""Of a figure in the file."""
OWN = ("backend", "traffic", "fault", "run", "calibration")
"""Tables that have a place and comments of their own."""


def scenario(fitted: Fitted, error: Mapping[str, float]) -> Scenario:
    """The whole file, as code has it."""
    backends = [_backend(row, fitted) for row in fitted.backends]
    several = {"balancers": many} if (many := fitted.seen.observed.balancers) > 1 else {}
    length = rounded(max(fitted.arrivals.seconds, 0.001))
    return Scenario(
        **_settings(fitted.seen.observed.setup),
        backends=backends,
        traffic=_traffic(fitted),
        **({} if fitted.time_limit is None else {"timeouts": {"attempt": fitted.time_limit}}),
        faults=[fault.table() for fault in fitted.faults],
        run={"duration": length, "replications": 5, **several},
        calibration=_origin(fitted, error),
    )


def rounded(value: float, digits: int = DIGITS) -> float:
    """As many digits as a file shows."""
    return float(f"{value:.{digits}g}")


def scaled(law: LawTable, mean: float) -> LawTable:
    """The law of that shape whose mean is `mean`, to as many digits as a file shows."""
    factor = mean / law.mean
    match law:
        case Uniform():
            ends = {"low": rounded(law.low * factor), "high": rounded(law.high * factor)}
            return law.model_copy(update=ends)
        case Bimodal():
            values = tuple(rounded(value * factor) for value in law.values)
            return law.model_copy(update={"values": values})
    told: dict[str, Any] = {"mean": rounded(mean)}
    for name in ("cv", "shape", "alpha", "ratio"):
        if name in type(law).model_fields:
            told[name] = rounded(getattr(law, name), 4)
    return law.model_copy(update=told)


def _model(row: Backend) -> dict[str, Any]:
    own = row.station.hypothesis
    model: dict[str, Any] = {
        "service": scaled(row.service.law.law, row.service.mean.value).model_dump(),
        "discipline": own.discipline,
        "workers": own.workers,
    }
    if own.usl is not None and own.workers > 1:
        model["usl"] = {
            "contention": rounded(own.usl.contention, 3),
            "coherency": rounded(own.usl.coherency, 3),
        }
    if (course := table(row.course)) is not None:
        model["speed"] = {"points": list(course.points), "shape": "step"}
    return model


def _backend(row: Backend, fitted: Fitted) -> dict[str, Any]:
    setup = fitted.seen.observed.setup
    for one in () if setup is None else setup.backends:
        if row.name in (one.label, one.address):
            told = {**_place(one.address, fitted), "model": _model(row)}
            for name in ("name", "weight", "max_in_flight", "priority", "zone"):
                value = getattr(one, name)
                if value != next(f.default for f in fields(one) if f.name == name):
                    told[name] = value
            return told
    return {**_place(row.name, fitted), "model": _model(row)}


def _place(name: str, fitted: Fitted) -> dict[str, Any]:
    """Where a backend is of which no more is known than what it is called."""
    try:
        return {"address": address(name)}
    except ValueError:
        number = [row.name for row in fitted.backends].index(name) + 1
        return {"address": f"backend-{number}.invalid:80", "name": name}


def _settings(setup: Setup | None) -> dict[str, Any]:
    """What decides, as far as it is not the default."""
    if setup is None:
        return {}
    told: dict[str, Any] = {"algorithm": {"name": setup.algorithm, **setup.settings}}
    for name, kind in POLICIES.items():
        if name not in Scenario.model_fields or name == "health":
            continue
        known = Scenario.model_fields[name].annotation
        usual, own = kind(), getattr(setup, name)
        keys = {field.name for field in fields(own)} & set(getattr(known, "model_fields", {}))
        changed = {
            key: getattr(own, key) for key in keys if getattr(own, key) != getattr(usual, key)
        }
        if changed:
            told[name] = changed
    try:
        Scenario(**told)
    except ConfigError:
        return {"algorithm": told["algorithm"]}
    return told


def _traffic(fitted: Fitted) -> dict[str, Any]:
    arrivals = fitted.arrivals.table
    traffic: dict[str, Any] = {"arrivals": _tidy(arrivals.model_dump())}
    if fitted.keys is not None:
        traffic["keys"] = fitted.keys.law.model_dump()
        if fitted.work_by_key is not None:
            traffic["work_by_key"] = rounded(fitted.work_by_key.value, 3)
    if fitted.way.identified and fitted.way.overhead.value > 0:
        half = rounded(fitted.way.overhead.value / 2, 3)
        traffic["network"] = {"law": "constant", "mean": half}
    if fitted.patience is not None:
        traffic["patience"] = fitted.patience.model_dump()
    return traffic


def _tidy(value: Any) -> Any:
    match value:
        case dict():
            return {key: _tidy(it) for key, it in value.items()}
        case float():
            return rounded(value)
    return value


def _origin(fitted: Fitted, error: Mapping[str, float]) -> dict[str, Any]:
    seen = fitted.seen
    told: dict[str, Any] = {
        "source": seen.observed.source,
        "requests": len(seen),
        "seconds": rounded(seen.seconds),
    }
    if error:
        told["error"] = {name: round(it, 4) for name, it in error.items()}
    told["unknown"] = [
        {name: it for name, it in row.model_dump().items() if it != ()} for row in fitted.unknown
    ]
    given = fitted.given
    told["estimate"] = [
        {
            "key": key,
            "value": _told(key, it.value),
            "low": _told(key, it.low),
            "high": _told(key, it.high),
            **(
                {"given": {"low": _told(key, given[key].low), "high": _told(key, given[key].high)}}
                if key in given
                else {}
            ),
        }
        for key, it in fitted.estimates.items()
        if key != "rate" and it.low is not None and it.high is not None
    ]
    return told


def _told(key: str, value: float | None) -> int | float | str:
    assert value is not None
    if key.endswith("mean"):
        return duration(rounded(max(value, 0.0)))
    if key.endswith(("workers", "count", ".k")):
        return round(value)
    return rounded(value, 4)


# --- text


def text(fitted: Fitted, file: Scenario, beside: dict[str, Floats] | None) -> str:
    """See `Calibration.text`; `file` is the scenario of `fitted`."""
    data = _readable(
        file.model_dump(by_alias=True, exclude_unset=True, exclude_none=True, context=WRITTEN)
    )
    parts = ["\n".join(_head(fitted))]
    settings = {name: it for name, it in data.items() if name not in OWN}
    if file.algorithm and not file.algorithm.settings:
        settings["algorithm"] = file.algorithm.name
    parts.append(toml(settings))
    for number, (row, written) in enumerate(zip(fitted.backends, data["backend"], strict=True)):
        written["model"]["service"] = _service(fitted, number, written, beside)
        lines = "\n".join(f"# {line}" for line in _of_backend(row))
        order = sorted(written.items(), key=lambda it: it[0] == "model")
        parts.append(f"{lines}\n{toml({'backend': [dict(order)]})}")
    lines = "\n".join(f"# {line}" for line in _of_traffic(fitted))
    parts.append(f"{lines}\n{toml({'traffic': data['traffic']})}")
    if data.get("fault"):
        parts.append(toml({"fault": data["fault"]}))
    parts.append(toml({"run": data["run"]}))
    parts.append(_certainty(data["calibration"]))
    return "\n".join(parts)


def _certainty(table: dict[str, Any]) -> str:
    """The table of itself: how well it replays its recording, what is certain, what is not."""
    lists = {name: table.pop(name, ()) for name in ("unknown", "estimate")}
    text = toml({"calibration": table})
    for name, rows in lists.items():
        for row in rows:
            order = {
                key: row[key] for key in ("key", "value", "low", "high", "why") if row.get(key)
            }
            text += "\n" + toml({"it": [order | row]}).replace("[[it]]", f"[[calibration.{name}]]")
    return text


def _readable(value: Any) -> Any:
    """Durations in the unit of their size."""
    match value:
        case dict():
            return {key: it if key == "why" else _readable(it) for key, it in value.items()}
        case list() | tuple():
            return [_readable(it) for it in value]
        case str() if _DURATION.fullmatch(value):
            return _in_its_unit(seconds(value))
    return value


def _in_its_unit(value: float) -> str:
    if value < UNITS[-1][1] or value >= 3600:
        return duration(value)
    unit, size = next(row for row in UNITS if value >= row[1])
    return f"{value / size:.{DIGITS}g}{unit}" if value / size < 10**DIGITS else duration(value)


_DURATION = re.compile(r"[0-9.]+(us|ms|s|m|h)")
UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))


def _service(
    fitted: Fitted,
    number: int,
    written: dict[str, Any],
    beside: dict[str, Floats] | None,
) -> dict[str, Any]:
    """The law of one backend; where none fits, what was measured, in a file of its own."""
    row = fitted.backends[number]
    law: dict[str, Any] = written["model"]["service"]
    if beside is None or row.service.law.best.name != EMPIRICAL:
        return {"law": law["law"], **law}
    name = f"service-{number}.txt"
    kept = row.service.law.kept
    beside[name] = kept * (row.service.mean.value / float(kept.mean()))
    return {"law": "empirical", "file": name}


def _head(fitted: Fitted) -> Iterator[str]:
    seen = fitted.seen
    yield f"# Made by lb calibrate {__version__} from {seen.observed.source}:"
    yield (
        f"# {len(seen)} requests in {plain(seen.seconds)} s, "
        f"{len(seen.latency)} of them answered well."
    )
    yield "# Figures in comments: the estimate, and its 95 % interval in brackets."
    for remark in fitted.remarks:
        yield f"# Note: {remark}."


def _of_backend(row: Backend) -> Iterator[str]:
    station, service = row.station, row.service
    if row.guessed:
        yield f"{row.name}: hardly seen; this is the model of another backend."
        return
    yield f"{row.name}: {len(row.sample)} answers, {station.never_more} in flight at most."
    yield f"Mean service {milliseconds(row.mean)}, cv {interval(row.cv)}."
    best = service.law.best
    if best.name == EMPIRICAL:
        yield "No law fits: what was measured is kept."
    elif service.law.others:
        whose = "all backends'" if service.shared else "its"
        yield (
            f"Law: {best.name} is likeliest of {whose} services; "
            f"distance {best.distance:.3f} ({best.allowed:.3f} allowed)."
        )
    own = station.hypothesis
    if station.most is None:
        yield f"Workers: at least {station.fewest}; never more than {station.never_more} in flight."
    elif station.most > station.fewest:
        yield f"Workers: {own.workers}, or {station.fewest} to {station.most}."
    if len(station.disciplines) > 1:
        yield "Discipline: cannot be told for certain."
    if own.usl is not None:
        told = Estimate(own.usl.contention, *station.contention)
        yield f"Contention {interval(told)}."
    if row.doubt:
        yield f"Doubt: {row.doubt}."


def _of_traffic(fitted: Fitted) -> Iterator[str]:
    arrivals = fitted.arrivals
    yield f"{interval(arrivals.rate)} requests/s; cv of the gaps {arrivals.gap_cv:.3g}."
    if len(arrivals.gains) > 1:
        likelier = ", ".join(f"{name} {gain:+.0f}" for name, gain in arrivals.gains[:4])
        yield f"Likelier than Poisson by (log, parameters paid for): {likelier}."
    if fitted.keys is not None:
        keys = fitted.keys
        yield f"{keys.distinct} keys seen of {interval(keys.count)}; s {interval(keys.s)}."
    if fitted.work_by_key is not None:
        yield f"Work differs by key: cv {interval(fitted.work_by_key)}."
    yield ways(fitted)
