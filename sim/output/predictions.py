"""A prediction for a person: the gate, the changes beside each other, what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lb.terminal import Terminal, counted, plain
from sim.analysis.statistics import FIGURES, Estimate
from sim.fit.predict import Prediction
from sim.fit.predict.changes import Change, Outlook
from sim.fit.predict.gate import Answer, Gap
from sim.fit.sample import FAILED
from sim.output.words import MANY, milliseconds

FEW_FALSE = 0.005
"""Ejections a run that are worth no word."""


def print_prediction(told: Prediction, terminal: Terminal) -> None:
    """Tables, then sentences; the last ones say what to do."""
    if told.gate.latency:
        terminal.table(gate_title(told), GATE_HEADER, gate_rows(told))
    for sentence in gate_sentences(told):
        terminal.say(sentence)
    if rows := change_rows(told):
        terminal.table(CHANGES_TITLE, CHANGES_HEADER, rows)
    for sentence in change_sentences(told):
        terminal.say(sentence)


GATE_HEADER = ("figure", "measured", "model", "error", "95 % of it", "")
CHANGES_TITLE = "Latency in ms as clients see it, 95 % intervals; the model's error is in them"
CHANGES_HEADER = ("setting", *FIGURES)


def gate_title(told: Prediction) -> str:
    """What was replayed."""
    requests = counted(f"{told.told.requests:,}", "request")
    return (
        f"{told.told.source} replayed: {requests} in {plain(told.told.seconds, 3)} s under "
        f"{told.told.setting.algorithm}"
    )


def gate_rows(told: Prediction) -> list[list[str]]:
    """Each figure under `GATE_HEADER`."""
    gate = told.gate
    rows = [_relative(f"{name} (ms)", gap) for name, gap in gate.latency.items()]
    if len(gate.shares) <= MANY:
        rows += [_points(f"share of {name} (%)", gap) for name, gap in gate.shares.items()]
    elif gate.shares:
        worst = max(gate.shares, key=lambda name: abs(gate.shares[name].error.value))
        rows.append(_points(f"share of {worst} (%), the worst", gate.shares[worst]))
    if gate.failed is not None:
        rows.append(_points("failed (%)", gate.failed))
    return rows


def _relative(name: str, gap: Gap) -> list[str]:
    if gap.needs:
        return [name, f"needs {gap.needs:,}", _ms(gap.modelled), "-", "-", ""]
    interval = _span(gap.error, 100, "+.0f")
    error = f"{gap.error.value * 100:+.1f} %"
    return [name, _ms(gap.measured), _ms(gap.modelled), error, interval, _mark(gap)]


def _points(name: str, gap: Gap) -> list[str]:
    interval = _span(gap.error, 100, "+.1f")
    error = f"{gap.error.value * 100:+.1f} pt"
    measured, modelled = (f"{it * 100:.1f}" for it in (gap.measured, gap.modelled))
    return [name, measured, modelled, error, interval, _mark(gap)]


def _mark(gap: Gap) -> str:
    return "OFF" if gap.beyond else ""


def gate_sentences(told: Prediction) -> Iterator[str]:
    """What was replayed, how far off the model is, and whether it is to be believed."""
    gate, setting = told.gate, told.told.setting
    for phrase in setting.differs:
        yield f"The recording was made with {phrase}: what was recorded is what is replayed."
    for remark in told.told.remarks:
        yield f"Note: {remark}."
    if gate.distance is not None and math.isfinite(gate.distance.bound):
        seen = gate.distance
        yield (
            f"Kolmogorov distance {seen.value:.3f}; {seen.level:.0%} of runs as modelled are "
            f"within {seen.bound:.3f}."
        )
    match gate.answer:
        case Answer.PASSED if gate.declared:
            yield (
                f"By its own file the model is off by {gate.error(told.metric):.1%} at "
                f"{told.metric}; --from FILE would hold it against a recording."
            )
        case Answer.PASSED:
            gap = gate.failed if told.metric == FAILED else gate.latency[told.metric]
            chance = ", which may be chance" if gap is not None and gap.chance else ""
            within = _error(gate.error(told.metric), told.metric, 1)
            yield f"The model tells what was recorded: {told.metric} within {within}{chance}."
        case Answer.FAILED:
            yield f"Not predicted: {gate.why}. To be able to: {gate.cure}."
        case Answer.TOO_SMALL:
            yield f"Nothing is judged: {gate.why}. To be able to: {gate.cure}."
        case Answer.UNVOUCHED:
            yield f"Nothing is recommended: {gate.why}. {gate.cure[:1].upper()}{gate.cure[1:]}."


def change_rows(told: Prediction) -> list[list[str]]:
    """The current setting, and each change that has figures, under `CHANGES_HEADER`."""
    if told.current is None:
        return []
    views = [told.current, *(it.outlook for it in told.changes)]
    return [_row(view) for view in views if view.latency]


def _row(view: Outlook) -> list[str]:
    cells = [
        milliseconds(view.latency[name].expected) if name in view.latency else "-"
        for name in FIGURES
    ]
    return [view.name, *cells]


def change_sentences(told: Prediction) -> Iterator[str]:
    """One or two for each change, and the recommendation."""
    if told.current is None or not told.changes:
        return
    views = {"": told.current, **{it.outlook.name: it.outlook for it in told.changes}}
    for change in told.changes:
        yield from _change(told, views[change.beside], change)
    best = told.best
    if best is not None:
        where = f" with {best.beside}" if best.beside else ""
        yield f"Recommended{where}: {best.choice}."
    elif told.gate.passed:
        yield _why_nothing(told)


def _why_nothing(told: Prediction) -> str:
    if all(it.circumstance for it in told.changes):
        return "Nothing is recommended: who is lost and how much comes are no choices."
    if told.exit_status:
        return "Nothing of this is recommended: of no change a gain can be told for certain."
    if told.metric != FAILED and any("fewer requests would fail" in it.why for it in told.changes):
        return (
            f"Nothing of this is recommended: for certain nothing of it gains at {told.metric}; "
            "--metric failed asks how many requests fail."
        )
    return "Nothing of this is recommended: what can be told for certain is no gain."


def _change(told: Prediction, now: Outlook, change: Change) -> Iterator[str]:
    view, metric = change.outlook, told.metric
    latency, failing = _moved_latency(now, change), _moved_failures(now, change)
    asked = failing if metric == FAILED else latency
    if not asked:
        yield f"{now.name} -> {view.name}: {change.why}."
        return
    error = told.gate.error(metric)
    known = (
        "of which nobody knows the model's error"
        if math.isnan(error)
        else f"model error {_error(error, metric, 0)}"
    )
    yield f"{now.name} -> {view.name}: {asked}, {known}: {change.why}."
    more = [latency] if metric == FAILED and latency else []
    if metric in view.latency:
        low, high = view.latency[metric].one_run
        more.append(f"one run of this length shows {_ms(low)} to {_ms(high)} ms")
        fails = [it.failed.value for it in (now, view) if it.failed is not None]
        more += [failing] if any(fails) else []
    if view.ejections.ejected > FEW_FALSE:
        often, falsely = view.ejections
        more.append(f"{often:.2g} ejections a run, {falsely:.2g} of them false")
    if view.load >= 1:
        more.append(f"load {view.load:.2f} of capacity")
    if more:
        yield f"  {'; '.join(more)}."


def _moved_latency(now: Outlook, change: Change) -> str:
    """`p99 412 -> 233 (215 to 251) ms, -43 % (-48 to -37)`; p99 where failures are asked for."""
    metric = "p99" if change.metric == FAILED else change.metric
    if metric not in change.changes:
        return ""
    relative = change.changes[metric]
    before, after = now.latency[metric].expected, change.outlook.latency[metric].expected
    return (
        f"{metric} {_ms(before.value)} -> {_interval(after)} ms, "
        f"{relative.value * 100:+.0f} % ({_span(relative, 100, '+.0f')})"
    )


def _moved_failures(now: Outlook, change: Change) -> str:
    """`failed 5.12 -> 0.10 (0.05 to 0.16) %, -5.0 points (-5.3 to -4.7)`."""
    moved, before, after = change.failed, now.failed, change.outlook.failed
    if moved is None or before is None or after is None:
        return ""
    return (
        f"failed {before.value * 100:.2f} -> {after.value * 100:.2f} ({_span(after, 100, '.2f')}) "
        f"%, {moved.value * 100:+.2f} points ({_span(moved, 100, '+.2f')})"
    )


def _error(error: float, metric: str, digits: int) -> str:
    """Of the model, as a share, or of failures in points."""
    return f"{error * 100:.2f} points" if metric == FAILED else f"{error * 100:.{digits}f} %"


def _ms(seconds: float) -> str:
    return "-" if not math.isfinite(seconds) else _plain(seconds * 1e3)


def _plain(value: float) -> str:
    """Three digits, without an exponent."""
    if value <= 0:
        return "0"
    digits = max(2 - math.floor(math.log10(value)), 0)
    return f"{value:.{digits}f}"


def _interval(it: Estimate) -> str:
    """`233 (215 to 251)`, ms."""
    if it.low is None or it.high is None:
        return _ms(it.value)
    return f"{_ms(it.value)} ({_ms(it.low)} to {_ms(it.high)})"


def _span(it: Estimate, scale: float, form: str) -> str:
    if it.low is None or it.high is None:
        return "-"
    return f"{format(it.low * scale, form)} to {format(it.high * scale, form)}"
