"""What a study is made of: thirteen scenarios, and the algorithms of each kind of balancer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from lb import __version__
from lb.config import Algorithm, Scenario
from lb.errors import ConfigError, UsageError, nearest
from lb.foreign import export
from lb.foreign.matching import KINDS, chosen
from lb.native.running import ROOT
from lb.strategies import parse, spec
from sim.live.kinds import Kind
from sim.live.system import relocated, rooted

SCENARIOS = {
    "round_robin": "homogeneous backends",
    "weighted": "backends of several speeds, with weights",
    "slow_backend": "one slow backend",
    "crash": "a backend is killed and restarted",
    "fail_fast": "a backend fails fast",
    "flash_crowd": "a flash crowd",
    "users": "users who wait for answers",
    "heavy_tail": "heavy-tailed service",
    "processor_sharing": "processor sharing",
    "hot_keys": "keys of Zipf's popularity",
    "overload": "overload, a limited line, impatient clients",
    "retries": "errors are tried again",
    "balancers": "two balancers",
}
"""Files of loadtests/scenarios, and what they are about."""
SHIPPED = Path("loadtests") / "scenarios"
SECONDS, QUICK_SECONDS = 60.0, 20.0
QUICK_ALGORITHMS = 2
"""Of each scenario, in turn: every algorithm is tried on five of the thirteen."""


class Otherwise(NamedTuple):
    """How a scenario is set up where a balancer has no equal of it as it is, live and on paper."""

    tables: Mapping[str, Mapping[str, Any]]
    why: str


@dataclass(frozen=True)
class Target:
    """One kind of balancer, as it is and as it is modelled."""

    name: str
    algorithms: Mapping[str, str]
    """What they are called in a table, and which of ours is exported for it."""
    model: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is modelled in another way than its file says, by table: the nearest of our settings."""
    otherwise: Mapping[str, Otherwise] = field(default_factory=dict)
    """Scenarios that have no equal there as they are."""
    refuses: Kind = Kind.REFUSED
    """What a client has where all backends are at their limits."""


OURS = ("weighted_round_robin", "least_connections", "p2c", "peak_ewma", "consistent_hash")
TARGETS = {
    target.name: target
    for target in (
        Target("lb", {name: name for name in OURS}),
        Target(
            "haproxy",
            {
                "roundrobin": "weighted_round_robin",
                "static-rr": "weighted_round_robin:sequence=static",
                "leastconn": "least_connections",
                "random(2)": "p2c",
            },
            # Whom errors have marked down is back with the second check, and checks are a second
            # apart; whoever fails again does so some 150 ms after that one.
            model={"outliers": {"failure_rate": None, "eject": 1.85, "max_eject": 1.85}},
            otherwise={
                "overload": Otherwise(
                    {"queue": {"discipline": "fifo", "timeout": 0.1}},
                    "its line never turns round (queue.discipline): whoever has waited 100 ms is "
                    "refused, or hardly anybody would be answered in time",
                ),
            },
        ),
        Target(
            "nginx",
            {
                "round robin": "weighted_round_robin",
                "least_conn": "least_connections",
                "random two least_conn": "p2c",
                "hash consistent": "consistent_hash",
            },
            model={
                "health": {"enabled": False},
                "outliers": {"counts": ("connect", "reset", "timeout"), "failure_rate": None},
            },
            otherwise=dict.fromkeys(
                ("flash_crowd", "overload"),
                Otherwise(
                    {"queue": {"limit": 0, "discipline": "fifo"}},
                    "nobody waits in line (queue.limit): it answers 502 as soon as all are full",
                ),
            ),
            refuses=Kind.RESET,
        ),
    )
}


@dataclass(frozen=True)
class Case:
    """One live run: a file, an algorithm, a balancer."""

    file: Path
    text: str
    algorithm: str
    """As the target calls it."""
    target: Target
    seconds: float
    seed: int

    def __str__(self) -> str:
        return f"{self.name}, {self.algorithm}"

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def key(self) -> str:
        """The hash of what its outcome depends on, chance and the machine apart."""
        run = [self.target.name, self.seconds, self.seed, __version__]
        return sha256(json.dumps([self.text, self.algorithm, *run]).encode()).hexdigest()[:16]

    def placed(self) -> Scenario:
        """The scenario on ports that are free at the moment, as the live run has it."""
        file = Scenario.parse(relocated(rooted(self.text, self.file.parent)), str(self.file))
        run = {"duration": self.seconds, "requests": None, "seed": self.seed}
        tables: dict[str, Mapping[str, Any]] = {"run": run}
        if self.target.name != "lb":
            # Another one would pass the question on, as a request like any other.
            tables["server"] = {"stats_path": "", "health_path": ""}
        if self.name in self.target.otherwise:
            tables |= self.target.otherwise[self.name].tables
        changes = _changed(file, tables)
        return file.model_copy(update={**changes, "algorithm": file.chosen(self.ours)})

    @property
    def ours(self) -> str:
        """Which algorithm of ours it is set up from."""
        return self.target.algorithms.get(self.algorithm, self.algorithm)

    def modelled(self, placed: Scenario) -> tuple[Scenario, str]:
        """The same as it is predicted, with the strategy that is its balancer's.

        And in what that is not quite it; empty where there is nothing.
        """
        if self.target.name == "lb":
            return placed, ""
        changes = _changed(placed, self.target.model)
        exported = export(placed, self.target.name)
        changes["algorithm"] = Algorithm.of(exported.algorithm)
        return placed.model_copy(update=changes), exported.differs


def cases(
    target: str,
    scenarios: Sequence[str] = (),
    algorithms: Sequence[str] = (),
    *,
    quick: bool = False,
    seconds: float | None = None,
    seed: int = 1,
) -> list[Case]:
    """Those of a study, scenario by scenario. Raises UsageError and ConfigError.

    `scenarios`: names of shipped ones, or files; all thirteen unless given. `quick`: shorter, and
    without `algorithms` two of them for each.
    """
    kind = _known("target", target, TARGETS)
    named = _algorithms(kind, algorithms)
    length = float(seconds or (QUICK_SECONDS if quick else SECONDS))
    found = []
    for number, file in enumerate(_files(scenarios or list(SCENARIOS), kind)):
        text = _text(file)
        mine = named
        if quick and not algorithms:
            mine = [named[(number + 2 * k) % len(named)] for k in range(QUICK_ALGORITHMS)]
        found += [_playable(Case(file, text, name, kind, length, seed)) for name in mine]
    return found


def _changed(file: Scenario, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: getattr(file, name).model_copy(update=rows) for name, rows in tables.items()}


def _playable(case: Case) -> Case:
    """Raises ConfigError for what its file lacks, before anything has begun."""
    placed = case.placed()
    placed.modelled()
    if lacking := placed.lacking():
        raise ConfigError(lacking)
    return case


def _text(file: Path) -> str:
    Scenario.load(file)  # which says what is wrong with it
    return file.read_text(encoding="utf-8-sig")


def _files(names: Iterable[str], kind: Target) -> Iterator[Path]:
    for name in names:
        if Path(name).suffix == ".toml":
            yield Path(name)
            continue
        _known("scenario", name, SCENARIOS)
        yield shipped() / f"{name}.toml"


def shipped() -> Path:
    """Where the scenario files lie: here, or beside the packages. Raises UsageError."""
    for place in (SHIPPED, ROOT / SHIPPED):
        if place.is_dir():
            return place
    raise UsageError(
        f"no {SHIPPED} here, which the source distribution holds; give files: --scenario FILE.toml"
    )


def _algorithms(kind: Target, given: Sequence[str]) -> list[str]:
    """As the target calls them; our names are understood too."""
    found = []
    for text in given or list(kind.algorithms):
        name = _theirs(kind, text)
        if name in found:
            raise UsageError(f"algorithm {text!r} is given twice")
        found.append(name)
    return found


def _theirs(kind: Target, text: str) -> str:
    """As a study of theirs calls it, else as we do where theirs is no other.

    Raises UsageError.
    """
    if kind.name == "lb":
        parse(text)  # any of ours
        return text
    theirs = {our: their for their, our in reversed([*kind.algorithms.items()])}
    if text in kind.algorithms or text in theirs:
        return theirs.get(text, text)
    table = KINDS[kind.name]
    plain = [name for name, match in table.items() if not match.lost]
    methods = {table[name].method: name for name in plain if not table[name].keyed}
    name, _, rest = text.partition(":")
    if name in methods and name not in table and not rest:
        return methods[name]
    if name not in (*table, "sticky"):
        _known(
            f"algorithm of {kind.name}", name, {**kind.algorithms, **theirs, **dict.fromkeys(plain)}
        )
    name, settings = parse(text)
    lost = "clients do not stick" if spec(name).nests else ""
    if lost := lost or chosen(kind.name, Algorithm(name=name, **settings)).lost:
        raise UsageError(f"{kind.name} has no equal of {text}: {lost}")
    return text


def _known(what: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UsageError(f"unknown {what} {name!r}: {nearest(name, known)}")
    return known[name]
