"""`lb replay`: a recording of `lb serve`, played again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lb.cli.options import AsJson, Quiet, algorithm_option
from lb.cli.printing import print_json
from lb.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lb.balancing import Pick
    from lb.recording.comparison import Mismatch, Replayed
    from lb.recording.reader import Decision


def replay(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `lb serve --record` has written.")
    ],
    algorithm: Annotated[
        str | None,
        algorithm_option("Show what this one would have picked [the recorded algorithm]."),
    ] = None,
    explain: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            envvar="LB_EXPLAIN",
            help="Say of the last N picks why each fell as it did.",
        ),
    ] = 0,
    call: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="NUMBER", envvar="LB_CALL", help="With --explain: of this call's."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make the recorded decisions again. Exit status 1 if the recorded algorithm's differ.

    Parts of the recording that stand beside FILE belong to it.
    """
    from collections import deque
    from random import Random

    from lb.errors import BadRecording, ConfigError, UsageError
    from lb.recording.parts import of_workers, parts, pieces, place
    from lb.recording.replay import replay as run
    from lb.system import reason

    if call is not None and not explain:
        raise UsageError("--call says whose picks --explain is about; give --explain N with it")
    picks: deque[tuple[Decision, Pick]] = deque(maxlen=explain)

    def explained(made: Decision, pick: Pick) -> None:
        if call is None or made.call == call:
            picks.append((made, pick))

    if workers := of_workers(file):
        named = ", ".join(map(str, workers))
        why = f"each worker has a recording of its own, with picks of its own; give one: {named}"
        raise ConfigError([f"{file}: {why}"])
    try:
        files = parts(file)
        replayed = run(
            pieces(files), algorithm, random=Random, explained=explained if explain else None
        )
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {reason(error)}"]) from None
    except BadRecording as error:
        path, offset = place(files, error.offset)
        raise ConfigError([f"{path}: {BadRecording(offset, error.why)}"]) from None
    if as_json:
        document = _document(replayed)
        if explain:
            document["explained"] = [_explained(replayed, *row) for row in picks]
        print_json(document)
    terminal = Terminal(stderr=as_json, quiet=quiet)
    _report(replayed, terminal, compared=algorithm is not None)
    if explain and not as_json:
        _explain(replayed, picks, terminal)
    if replayed.faithful and not replayed.identical:
        raise typer.Exit(1)


def _report(replayed: Replayed, terminal: Terminal, *, compared: bool) -> None:
    say, header = terminal.say, replayed.header
    say(
        f"{replayed.events.total()} events, {replayed.events['admit']} calls, "
        f"{_starts(replayed.recorded).total()} picks by {header.setup.algorithm}, "
        f"recorded by lb {header.lb} with seed {header.seed}.",
    )
    if not replayed.complete:
        say(
            "The recording was not closed (a crash, or it is still being written): "
            f"replayed up to its last whole event, byte {replayed.end}.",
        )
    if compared:
        columns = ("backend", header.setup.algorithm, replayed.algorithm)
        rows = [
            (row["name"], f"{row['recorded_share']:.1%}", f"{row['replayed_share']:.1%}")
            for row in _shares(replayed)
        ]
        terminal.table("Share of the picks", columns, rows)
        say(f"{_agreement(replayed):.1%} of the picks agree.")
    first = replayed.first_difference
    say("identical" if first is None else _sentence(first, replayed))


def _explained(replayed: Replayed, made: Decision, pick: Pick) -> dict[str, Any]:
    seconds = pick.now - replayed.header.now
    return {"call": made.call, "attempt": made.attempt, "seconds": seconds, **pick.as_dict()}


def _explain(
    replayed: Replayed, picks: Iterable[tuple[Decision, Pick]], terminal: Terminal
) -> None:
    from lb.cli.picks import said

    for made, pick in picks:
        told = _explained(replayed, made, pick)
        what = f"call {made.call}" + f" attempt {made.attempt + 1}" * bool(made.attempt)
        key = f", key {told['key']}" if told["key"] else ""
        terminal.say(f"{what} after {told['seconds']:.3f} s{key}: {pick.picked}")
        for line in said(told):
            terminal.say(line)
    if not picks:
        terminal.say("no such pick")


def _shares(replayed: Replayed) -> list[dict[str, Any]]:
    recorded, other = _starts(replayed.recorded), _starts(replayed.replayed)
    return [
        {
            "name": name,
            "recorded": recorded[order],
            "replayed": other[order],
            "recorded_share": recorded[order] / max(recorded.total(), 1),
            "replayed_share": other[order] / max(other.total(), 1),
        }
        for order, name in enumerate(replayed.names)
    ]


def _starts(orders: Any) -> Counter[int]:
    """How often each backend was picked."""
    return Counter(order for order in orders if order >= 0)


def _agreement(replayed: Replayed) -> float:
    """Share of the starts that both worlds made at the same backend."""
    starts = len(replayed.recorded)
    return replayed.agreeing / starts if starts else 1.0


def _sentence(difference: Mismatch, replayed: Replayed) -> str:
    after = difference.now - replayed.header.now
    return (
        f"first difference at event {difference.event} (byte {difference.offset}, "
        f"after {after:.3f} s): recorded {_words(difference.recorded, replayed.names)}, "
        f"replayed {_words(difference.replayed, replayed.names)}"
    )


def _words(decision: Decision | None, names: list[str]) -> str:
    if decision is None:
        return "nothing"
    what = f"call {decision.call}" + (f" attempt {decision.attempt + 1}" * bool(decision.attempt))
    if decision.order < 0:
        return f"{what} refused"
    known = decision.order < len(names)
    return f"{what} to {names[decision.order] if known else f'backend {decision.order}'}"


def _document(replayed: Replayed) -> dict[str, object]:
    difference = replayed.first_difference
    header = replayed.header
    return {
        "schema": 1,
        "lb": header.lb,
        "seed": header.seed,
        "recorded_algorithm": header.setup.algorithm,
        "replayed_algorithm": replayed.algorithm,
        "events": dict(replayed.events),
        "picks": _starts(replayed.recorded).total(),
        "complete": replayed.complete,
        "bytes": replayed.end,
        "identical": replayed.identical,
        "agreement": _agreement(replayed),
        "first_difference": None
        if difference is None
        else {
            "event": difference.event,
            "byte": difference.offset,
            "seconds": difference.now - header.now,
            "recorded": difference.recorded and difference.recorded._asdict(),
            "replayed": difference.replayed and difference.replayed._asdict(),
        },
        "backends": _shares(replayed),
    }
