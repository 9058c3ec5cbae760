"""How a prediction comes about: the gate, and behind it every setting on the same requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lb.config import Scenario
from lb.errors import ConfigError, UsageError, nearest
from lb.strategies import spec
from lb.terminal import plain
from lb.traces.observed import Observed
from lb.traces.observing import observe
from sim.analysis.distances import distance
from sim.analysis.statistics import FIGURES
from sim.crew import Crew, Workers
from sim.fit import doubt
from sim.fit.doubt import Bias
from sim.fit.predict import origin
from sim.fit.predict.changes import (
    NOTHING,
    Change,
    Outlook,
    compared,
    outlook,
    rescued,
    with_the_rest,
)
from sim.fit.predict.current import Current, current, placed
from sim.fit.predict.gate import Answer, Gate, by_the_file, judged
from sim.fit.predict.overload import Load, offered, overloaded
from sim.fit.predict.prediction import Prediction, Told
from sim.fit.predict.replayed import on_its_own, replayed
from sim.fit.predict.runs import Plan, Setting
from sim.fit.sample import METRICS, MOST, Sample, Window, measured, window_of
from sim.fit.seen import Seen
from sim.fit.stood import awake, left_out, steady
from sim.fit.whatif import WhatIf

REPLICATIONS, FEWEST = 40, 10
"""Of each setting, and of long ones."""
LEAST = 2
"""Replications that differ from each other."""
MANY = 3_000_000
"""Requests of a setting beyond which replications are fewer."""


def predict(
    scenario: Scenario,
    changes: Sequence[WhatIf | str] = (),
    seen: Observed | str | Path | None = None,
    *,
    metric: str = "p99",
    max_error: Mapping[str, float] | None = None,
    replications: int | None = None,
    workers: Workers = 1,
    on_replication: Callable[[int], None] | None = None,
) -> Prediction:
    """What `changes`, algorithms or more, would do to the service that `scenario` models.

    `seen` is a recording of the current setting, or a file that holds one (`lb.traces.observing`
    says which), that the model has to tell first; without one the file's own [calibration] says how
    far it is off. `metric`: mean, p50, p95, p99 or failed, what a gain is told by. `max_error`:
    relative errors by figure from which the model is not believed. All settings see the same
    requests. `workers`: see `simulate`. `on_replication` is called after each replication with how
    many there will be, as far as is known.

    >>> from sim import Scenario, predict
    >>> told = predict(Scenario.load("lb.toml"), ["p2c"])
    >>> told["p2c"].outlook.latency["p99"].expected

    Raises ConfigError for a scenario without models or traffic, and for another's recording;
    UsageError for changes that cannot be made, and WorkerDied.
    """
    if metric not in METRICS:
        raise UsageError(f"no figure {metric!r} to predict by; {nearest(metric, METRICS)}")
    if replications is not None and replications < LEAST:
        raise UsageError(f"replications: {replications} says nothing of chance; give 2 at least")
    asked = [WhatIf(it) if isinstance(it, str) else it for it in changes]
    for it in asked:
        if asked.count(it) > 1:
            raise UsageError(f"{it} is asked twice")
    scenario.modelled()
    if isinstance(seen, str | Path):
        seen = observe(str(seen), scenario.key)
    setting = current(scenario, seen)
    with TemporaryDirectory(prefix="lb-predict-") as directory, Crew(workers) as crew:
        work = _Work(setting, asked, seen, Path(directory), metric, max_error or {}, replications)
        return work.done(crew, on_replication)


class _Work:
    """One prediction in the making."""

    def __init__(
        self,
        setting: Current,
        asked: Sequence[WhatIf],
        seen: Observed | None,
        directory: Path,
        metric: str,
        max_error: Mapping[str, float],
        replications: int | None,
    ) -> None:
        self._asked, self._metric, self._bounds = _with_circumstances(asked), metric, max_error
        whole = None if seen is None else awake(Seen.of(seen))
        self._seen = None if whole is None else steady(whole)
        remarks: list[str] = []
        if self._seen is not None:
            self._window, cut = window_of(self._seen, setting.scenario.run.warmup)
            self._now, remarks = replayed(setting.scenario, self._seen, directory)
            remarks += cut if whole is None else [*cut, *left_out(whole)]
            remarks.append(
                f"figures are of arrivals from {plain(self._window.since, 3)} to "
                f"{plain(self._window.until)} s, where start and end do not show"
            )
        else:
            self._now, since = on_its_own(setting.scenario)
            self._window = Window(since, math.inf)
        for times in dict.fromkeys(it.rate_times for it in asked if it.rate_times != 1):
            remarks.append(
                f"{times:g} times the traffic is the same requests in as much less time: bursts "
                "keep their size, and are as much shorter"
            )
        if origin.made_from(self._now, seen):
            remarks.append(origin.remark(setting.scenario))
        if self._now.faults:
            remarks.append("the faults of the file strike in every replay")
        self._applied = [it.applied(self._now) for it in self._asked]
        told = (note for there in (self._now, *self._applied) for note in there.notes())
        parts = (note for it in self._asked for note in it.remarks(self._now))
        remarks += dict.fromkeys([*told, *parts, *self._now.notes_of_runs()])
        self._setting = setting
        self._told = Told(
            setting,
            "" if seen is None else seen.source,
            0 if seen is None else len(seen),
            0.0 if self._seen is None else self._seen.seconds,
            tuple(remarks),
        )
        self._check()
        length = (
            min(len(seen), MOST) if seen is not None else int(self._now.length * self._now.rate)
        )
        most = max(FEWEST, min(REPLICATIONS, MANY // max(length, 1)))
        self._replications = most if replications is None else replications

    def _check(self) -> None:
        """Raise what is wrong with a setting before anything is simulated."""
        for there in (self._now, *self._applied):
            there.setup()
            keyless = [] if there.offered().keyed else there.keyless([there.algorithm.name])
            if not keyless or _keyed(self._seen):
                continue
            if self._seen is not None:
                why = "says no keys; name a field that holds them, or give [traffic] keys"
                keyless.insert(0, f"{self._seen.observed.source}: {why}")
            raise ConfigError(keyless)
        if endless := self._now.endless():
            raise ConfigError(endless)

    def done(self, crew: Crew, on_replication: Callable[[int], None] | None) -> Prediction:
        """All of it."""
        first = Plan(self._now, [None], [self._window], self._replications, varied=False)
        first.run(crew, _counted(on_replication, self._replications))
        (now,) = first.settings
        seen, gate = self._gate(now)
        if gate.answer is Answer.FAILED:
            refused = [self._refused(it, gate) for it in self._asked]
            return self._prediction(gate, None, refused, seen, {"": now})
        biases = self._biases(seen, gate, now)
        loads = [offered(it, self._now) for it in self._asked]
        fine = [it for it, load in zip(self._asked, loads, strict=True) if not load.why]
        windows = [self._window, *(self._window.at(it.rate_times) for it in fine)]
        plan = Plan(self._now, [None, *fine], windows, self._replications)
        plan.settings[0].runs, plan.settings[0].known = now.runs, True
        plan.run(crew, _counted(on_replication, len(plan.tasks()) + self._replications))
        current_view = outlook(
            plan, plan.settings[0], self._setting.algorithm, self._now.utilisation, biases, gate
        )
        simulated = dict(zip(map(str, fine), plan.settings[1:], strict=True))
        changes: list[Change] = []
        unsure: set[str] = set()
        for it, load in zip(self._asked, loads, strict=True):
            other, base = simulated.get(str(it)), self._base(it)
            if other is not None:
                load = overloaded(it, self._now, other, plan.settings[0]) or load
            if base in unsure and not load.why:
                load = Load(
                    load.offered, f"{base} cannot be told, and so not what is gained", False
                )
            if other is None or load.why:
                if not load.sure:
                    unsure.add(str(it))
                change = self._overloaded(it, load, gate)
            else:
                view = outlook(plan, other, str(it), load.offered, biases, gate)
                beside = simulated.get(base, plan.settings[0])
                change = compared(plan, beside, other, view, self._metric, biases, gate, len(fine))
                change = with_the_rest(plan, change, beside, other, gate)
                lost = next((one for one in changes if one.outlook.name == base), None)
                if lost is not None and lost.outlook.overload:
                    change = rescued(change, gate)
                change = _meant(it, change, other, gate)
            changes.append(replace(change, beside=base, choice=str(it.choice)))
        return self._prediction(
            gate, current_view, changes, seen, {"": plan.settings[0], **simulated}
        )

    def _base(self, asked: WhatIf) -> str:
        """What it is held against: the setting as it is, under the same circumstances."""
        base = asked.circumstances
        return str(base) if base.parts and base != asked else ""

    def _prediction(
        self,
        gate: Gate,
        view: Outlook | None,
        changes: list[Change],
        seen: Sample | None,
        settings: Mapping[str, Setting],
    ) -> Prediction:
        return Prediction(
            self._now.run.seed,
            self._metric,
            self._told,
            gate,
            view,
            changes,
            self._replications,
            np.empty(0) if seen is None else seen.latency,
            {name: [run.sample.latency for run in it.runs] for name, it in settings.items()},
        )

    def _overloaded(self, asked: WhatIf, load: Load, gate: Gate) -> Change:
        """Without figures, for there is no steady state, or nobody knows whether there is."""
        view = Outlook(str(asked), load.offered, overload=load.why)
        return Change(
            view,
            self._metric,
            told=gate.passed and load.sure,
            why=load.why,
            circumstance=asked == asked.circumstances,
        )

    def _refused(self, asked: WhatIf, gate: Gate) -> Change:
        return Change(Outlook(str(asked), math.nan), self._metric, self._base(asked), why=gate.why)

    def _gate(self, now: Setting) -> tuple[Sample | None, Gate]:
        if self._seen is None:
            calibration = self._now.calibration
            errors = None if calibration is None else calibration.error
            stated = {} if errors is None else errors.model_dump(exclude_none=True)
            return None, by_the_file(stated, self._metric, self._bounds)
        places = placed(self._now, self._seen.observed)
        backends = len(self._now.backends)
        seen = measured(self._seen, self._window, places, backends)
        replays = [run.sample for run in now.runs]
        whole = distance(seen.latency, [one.latency for one in replays])
        names = [row.label for row in self._now.backends]
        return seen, judged(
            self._metric,
            seen,
            replays,
            names,
            self._seen.seconds,
            self._bounds,
            whole,
            origin.cure(self._setting.scenario, self._seen.observed, self._metric),
        )

    def _biases(self, seen: Sample | None, gate: Gate, now: Setting) -> dict[str, Bias]:
        found, seconds = {}, 0.0
        if seen is not None:
            seconds = doubt.missing(seen.latency, [run.sample.latency for run in now.runs])
        for name in FIGURES:
            if seen is not None and not gate.latency[name].needs:
                found[name] = doubt.bias(name, seen.figures[name], now.figure(name), seconds)
            elif seen is not None:
                found[name] = doubt.told(name, 0.0)
            elif name in gate.declared:
                found[name] = doubt.told(name, gate.declared[name])
            else:
                found[name] = doubt.unvouched()
        return found


def _with_circumstances(asked: Sequence[WhatIf]) -> list[WhatIf]:
    """Before each choice the setting as it is under the same circumstances, where there are any."""
    found: list[WhatIf] = []
    for it in asked:
        base = it.circumstances
        if base.parts and base not in found and base != it:
            found.append(base)
        if it not in found:
            found.append(it)
    return found


def _meant(asked: WhatIf, change: Change, there: Setting, gate: Gate) -> Change:
    """`change` as an answer to what was asked: of a circumstance, how much it changes."""
    if asked == asked.circumstances:
        told = change.told or (gate.passed and change.distinguishable)
        return replace(change, recommended=False, told=told, circumstance=True)
    if change.why == NOTHING and asked.weighs_in and not _weighs(there.scenario):
        why = f"{NOTHING}: {there.scenario.algorithm.name} ignores weights"
        return replace(change, why=why)
    return change


def _weighs(scenario: Scenario) -> bool:
    """Whether the algorithm there minds weights; of one that nests another it is not known."""
    row = spec(scenario.algorithm.name)
    return row.weighs or row.nests


def _keyed(seen: Seen | None) -> bool:
    return seen is not None and bool((seen.key >= 0).any())


def _counted(on_replication: Callable[[int], None] | None, total: int) -> Callable[[], None] | None:
    return None if on_replication is None else lambda: on_replication(total)
