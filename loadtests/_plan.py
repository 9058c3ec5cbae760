"""One load test: what is to be sent, and what is made of what was seen."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lb.config import Algorithm
from lb.errors import UsageError, nearest
from lb.foreign.matching import KINDS, chosen
from lb.foreign.weights import whole
from lb.system import try_directory
from lb.terminal import Terminal, counted, plain
from sim import Scenario, Schedule
from sim.fit.apart import apart
from sim.live.arranged import arranged, offered_at, read_steps, stepped
from sim.live.measurement import Measurement
from sim.live.system import rooted
from sim.live.users import population
from sim.live.verdict import Verdict, judge, predict
from sim.model.users import Population
from sim.output.report import print_verdict, verdict_files, write_verdict
from sim.output.summary import Outcome, append_summary, write_junit
from sim.result import Result

SHIPPED = Path(__file__).parent / "scenarios"
LARGEST = 256
"""Of HAProxy's weights, which are whole numbers as nginx's are; `lb export` writes them so."""
SHOWN_AT_MOST = 100
"""Users that stand for the rate of an open loop: one for each request per second, or each ten."""


def shipped() -> dict[str, Path]:
    """The scenarios beside this file, by name."""
    return {path.stem: path for path in SHIPPED.glob("*.toml")}


def scenario_file(name: str) -> Path:
    """A file, or one of the shipped scenarios by name. Raises UsageError."""
    known = shipped()
    if name in known:
        return known[name]
    if not Path(name).exists() and not name.endswith(".toml"):
        raise UsageError(f"unknown scenario {name!r}: {nearest(name, known)}, or give a file")
    return Path(name)


class Plan:
    """What is to be sent: the schedule of a file, or its users."""

    def __init__(self, asked: dict[str, Any], drawn: Schedule | None = None) -> None:
        """`asked`: file (its text), source, algorithm, seed, steps, users, length.

        It is also what a worker is sent; `drawn` is what a worker need not draw. Raises ConfigError
        and UsageError.
        """
        self.asked = asked
        file = Scenario.parse(asked["file"], asked["source"])
        if asked["algorithm"] is not None:
            file = file.with_flags(algorithm=file.chosen(asked["algorithm"]))
        length = asked["length"]
        steps, ends = read_steps(asked["steps"]) if asked["steps"] else (None, None)
        if ends is not None:
            length = ends if length is None else min(length, ends)
            file = file.with_run(requests=None, duration=None).standing_at(file)
        waiting = file.offered().users is not None
        self.scenario = arranged(file, steps, asked["users"], length if waiting or steps else None)
        self.scenario.modelled()
        self.seed: int | None = asked["seed"]
        self.people: Population | None = None
        self.schedule: Schedule | None = None
        if waiting:
            self.people = population(self.scenario, self.seed)
        elif drawn is not None:
            self.schedule = drawn
        else:
            # The backends' faults come and go as the file's seed says, whatever is sent.
            seed = self.scenario.run.seed if self.seed is None else self.seed
            drawn = Schedule.draw(self.scenario.with_run(seed=seed))
            if length is not None:
                drawn = drawn.head(int((drawn.times < length).sum()))
            self.schedule = drawn
        self.url: str = asked["url"]
        self.backend_header: str = asked["backend_header"]
        self.target: str = asked["target"]
        self.model = ""
        """What another balancer does in our words, and what of the file it does not."""
        if self.target != "lb":  # it tells its backends in its own way, and nothing else
            told = {"backend_header": True, "stats_path": ""}
            server = self.scenario.server.model_copy(update=told)
            changes: dict[str, Any] = {"server": server}
            if self.target in KINDS:  # predicted as it balances
                found = chosen(self.target, self.scenario.algorithm)
                changes["algorithm"] = Algorithm.of(found.ours)
                rows = self.scenario.backends
                weights, _ = whole([row.weight for row in rows], LARGEST)
                changes["backends"] = tuple(
                    row.model_copy(update={"weight": weight})
                    for row, weight in zip(rows, weights, strict=True)
                )
                self.model = f"{found.ours} ({found.lost})" if found.lost else found.ours
            self.scenario = self.scenario.model_copy(update=changes).standing_at(self.scenario)
        self.balancers: int = asked["balancers"]
        if self.balancers > 1:  # the limits of a file are meant for all workers together
            self.scenario = apart(self.scenario, self.balancers).standing_at(self.scenario)

    @classmethod
    def of(cls, options: Namespace, users: int | None = None) -> Plan:
        """As the command line says. Raises ConfigError and UsageError."""
        path = scenario_file(options.scenario)
        Scenario.load(path)  # which says what is wrong with it, and where
        text = rooted(path.read_text(encoding="utf-8-sig"), path.parent)
        seed = options.seed if options.seed not in (None, "") else None
        return cls(
            {
                "file": text,
                "source": str(path),
                "algorithm": options.algorithm or None,
                "seed": None if seed is None else int(seed),
                "steps": options.steps,
                "users": users,
                "length": options.length,
                "url": options.host or "http://127.0.0.1:8080",
                "backend_header": options.backend_header,
                "target": options.target_kind,
                "balancers": 1,
            }
        )

    def predict(self, *, heeded: bool = True) -> Result:
        """What the simulator says of it; `heeded`: whether backends do the work that is sent."""
        return predict(self.scenario, self.schedule, self.balancers, heeded=heeded)

    def changed(self, **asked: Any) -> Plan:
        """The same but for what is asked otherwise."""
        return Plan({**self.asked, **asked})

    def with_balancers(self, count: int) -> Plan:
        """The same before so many balancers."""
        return self if count == self.balancers else self.changed(balancers=count)

    @property
    def stepped(self) -> bool:
        """Whether what is offered changes with time as the file says."""
        return stepped(self.scenario)

    @property
    def unit(self) -> int:
        """How much of what is offered one of locust's users stands for."""
        if self.people is not None:
            return 1
        peak, unit = max(self.scenario.rate, *self._course()), 1
        while peak / unit > SHOWN_AT_MOST:
            unit *= 10
        return unit

    def shown(self, at: float) -> int:
        """How many of locust's users stand for what is offered at a time."""
        return max(round(offered_at(self.scenario, at) / self.unit), 1)

    def _course(self) -> list[float]:
        return [offered_at(self.scenario, float(at)) for at in range(round(self.length) + 1)]

    @property
    def length(self) -> float:
        """About how many seconds it takes."""
        if self.schedule is not None:
            return float(self.schedule.times[-1]) if len(self.schedule) else 0.0
        return self.scenario.length

    def introduce(self, terminal: Terminal) -> None:
        """Say what is going to be sent, and of whom it is predicted."""
        if self.model:
            terminal.say(f"{self.target} is predicted as {self.model}.")
        if self.balancers > 1:
            each = "each of which balances its own requests only"
            terminal.say(f"{self.balancers} workers are there, {each}.")
        if self.people is not None:
            users = counted(self.people.count, "user")
            terminal.say(f"{users} who wait for their answers, for about {plain(self.length, 3)} s")
            return
        assert self.schedule is not None
        rate, load = self.scenario.rate, self.scenario.utilisation
        terminal.say(
            f"{counted(len(self.schedule), 'request')} at {rate:g}/s on average, "
            f"{load:.3g} of the modelled capacity"
        )
        if self.unit > 1:
            terminal.say(f"Each of locust's users stands for {self.unit} requests per second.")


class Outputs:
    """Where the verdict goes."""

    def __init__(self, options: Namespace) -> None:
        """Raises CannotWrite, before anything is sent, and UsageError."""
        self.verdict = Path(options.verdict)
        self.junit = Path(options.junit) if options.junit else None
        self.summary = Path(options.summary) if options.summary else None
        self._terminal = Terminal(quiet=options.quiet)
        others = [path for path in (self.junit, self.summary) if path is not None]
        every = [*verdict_files(self.verdict), *others]
        if len({path.resolve() for path in every}) < len(every):
            raise UsageError("--verdict, --junit and --summary: give each a file of its own")
        try_directory(self.verdict.parent, [path.name for path in verdict_files(self.verdict)])
        for path in others:
            try_directory(path.parent, [path.name])

    def judge(
        self,
        plan: Plan,
        measured: Measurement,
        invalid: Sequence[str],
        predicted: Result | None,
    ) -> Verdict:
        """Print and write the verdict. `invalid`: what speaks against judging."""
        verdict = judged(plan, measured, predicted)
        verdict = replace(verdict, invalid=[*invalid, *verdict.invalid])
        try:
            self._write(plan, measured, verdict)
        finally:  # what cannot be written is said all the same
            print_verdict(verdict, self._terminal)
        self._terminal.say(f"Written to {self.verdict}; raw times and the schedule are beside it.")
        return verdict

    def _write(self, plan: Plan, measured: Measurement, verdict: Verdict) -> None:
        from sim.output.plots.pictures import draw_distributions  # half a second, and no worker's

        write_verdict(verdict, self.verdict, plan.schedule, measured)
        if verdict.distribution is not None:
            draw_distributions(verdict, self.verdict)
        name, over = Path(plan.asked["source"]).stem, [*measured.ended, *measured.lost]
        seconds = float(max(filter(math.isfinite, over), default=0.0))
        outcome = Outcome(name, verdict.as_dict(), plan.target, seconds)
        if self.junit is not None:
            write_junit([outcome], self.junit)
        if self.summary is not None:
            append_summary([outcome], self.summary)


def judged(plan: Plan, measured: Measurement, predicted: Result | None) -> Verdict:
    """Measured beside predicted."""
    if predicted is None and plan.balancers > 1:
        predicted = plan.predict(heeded=measured.heeded)
    return judge(plan.scenario, plan.schedule, measured, predicted)
