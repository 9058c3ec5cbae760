"""`lb verify`: algorithms against their laws, the simulator against theory and papers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from lb.cli.options import AsJson, Quiet
from lb.cli.printing import print_json
from lb.terminal import Terminal

if TYPE_CHECKING:
    from sim.checks.check import Check

WORDS = {True: "ok", False: "BROKEN", None: "exempt"}


def verify(
    strategy: Annotated[
        str | None,
        typer.Option(
            "-s", "--strategy", metavar="NAME", envvar="LB_STRATEGY", help="Only this one [all]."
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            envvar="LB_QUICK",
            help="Fewer systems and wider intervals: under a minute.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check algorithms and simulator against exact results.

    Plug-ins too, and against what was published. Times are in service times, intervals at 99.99 %:
    all of them hold together at 99 %.
    Exit status 4 if anything fails.
    """
    say = Terminal(stderr=as_json, quiet=quiet).say
    done: list[Check] = []
    for check in _checks(strategy, quick):
        if check.simulated is not None:
            if not any(before.simulated for before in done):
                say(f"{'':<8}{'':<34}{'oracle':>10}{'simulated':>10}  at 99.99 %")
            if not done or done[-1].subject != check.subject:
                say(f"{check.subject} ({check.source})", hang=2)
            say(_row(check), hang=8)
        elif check.kept is not None or strategy is not None:
            tail = f": {check.why}" if check.why else ""
            say(f"{WORDS[check.kept]:<6}  {check.subject}: {check.says}{tail}", hang=8)
        done.append(check)
    broken = sum(check.kept is False for check in done)
    kept = sum(check.kept is True for check in done)
    say(f"{kept} hold, {broken} do not.")
    if as_json:
        rows = [check.as_dict() for check in done]
        print_json({"schema": 1, "kept": not broken, "checks": rows})
    if broken:
        raise typer.Exit(4)


def _row(check: Check) -> str:
    """A figure beside what is known of it, in 80 columns as long as nothing is broken."""
    found = check.simulated
    assert found is not None
    relation = "" if check.relation == "=" else f"{check.relation} "
    oracle = f"{relation}{_number(check.oracle)}"
    interval = f"{_number(found.low)} to {_number(found.high)}"
    why = f"  {check.why}" if check.why else ""
    values = f"{oracle:>10}{_number(found.value):>10}  {interval}"
    return f"{WORDS[check.kept]:<8}{check.says:<34}{values}{why}"


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4g}"


def _checks(strategy: str | None, quick: bool) -> Iterator[Check]:
    from lb.strategies import all_specs, parse, spec
    from sim.checks.check import Check
    from sim.checks.verify import known_sequences, laws_of, simulator

    if strategy is not None:
        name, settings = parse(strategy)
        yield from laws_of(spec(name).at(settings) if settings else spec(name))
        return
    rows, broken = all_specs()
    for row in rows.values():
        yield from laws_of(row)
    for line in broken:
        yield Check("plug-in", "can be loaded", False, line)
    yield from known_sequences()
    yield from simulator(quick)
