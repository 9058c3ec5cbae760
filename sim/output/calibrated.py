"""What a person gets of a calibration: tables, sentences, the scenario file, pictures."""

from __future__ import annotations

from pathlib import Path

from lb.system import writing
from lb.terminal import Terminal, plain
from sim.analysis.statistics import FIGURES as COMPARED
from sim.fit.calibrate import Backend, Calibration
from sim.fit.calibrate.figures import interval, milliseconds, ways
from sim.fit.calibrate.laws import EMPIRICAL
from sim.model.laws import Floats
from sim.output.documents import write_json

DOCUMENT = "calibration.json"


def print_calibration(calibration: Calibration, terminal: Terminal) -> None:
    """Backends, traffic, what is unknown, and how well the model replays the recording."""
    seen = calibration.seen
    terminal.table(
        f"{len(seen)} requests in {plain(seen.seconds)} s; 95 % intervals in brackets",
        ["backend", "workers", "queue", "law", "mean service", "cv", "most at once"],
        [_row(row) for row in calibration.backends],
    )
    arrivals = calibration.arrivals
    told = [f"Arrivals: {arrivals.table.process}, {interval(arrivals.rate)} requests/s."]
    if calibration.keys is not None:
        keys = calibration.keys
        told.append(f"Keys: zipf, s {interval(keys.s)}, {interval(keys.count)} of them.")
    if calibration.work_by_key is not None:
        told.append(f"Work differs by key: cv {interval(calibration.work_by_key)}.")
    told.append(ways(calibration))
    for fault in calibration.faults:
        span = f"from {plain(fault.since)} s" if fault.since else "all the time"
        told.append(f"{fault.backend}: {fault.kind} {span}, rate {interval(fault.rate)}.")
    for sentence in [*told, *(f"{row.why}." for row in calibration.unknown)]:
        terminal.say(sentence)
    for remark in calibration.remarks:
        terminal.say(f"Note: {remark}.")
    if calibration.replayed is not None:
        _print_replay(calibration, terminal)


def _row(row: Backend) -> list[str]:
    station = row.station
    own = station.hypothesis
    if row.guessed:
        return [row.name, "unknown", "", "", "unknown", "", ""]
    if station.most is None:
        workers = f"{station.fewest} or more"
    elif station.most > station.fewest:
        workers = f"{own.workers} ({station.fewest} to {station.most})"
    else:
        workers = str(own.workers)
    queue: str = "fifo or ps" if len(station.disciplines) > 1 else own.discipline
    law = "as it was" if row.service.law.best.name == EMPIRICAL else row.service.law.best.name
    if own.usl is not None:
        queue += " slowing"
    return [
        *(row.name, workers, queue, law),
        *(milliseconds(row.mean), interval(row.cv), str(station.never_more)),
    ]


def _print_replay(calibration: Calibration, terminal: Terminal) -> None:
    replayed = calibration.replayed
    assert replayed is not None
    terminal.table(
        "The model with the recorded arrivals, beside the recording (ms)",
        ["", *COMPARED],
        [
            ["recorded", *(plain(1e3 * replayed.recorded[name]) for name in COMPARED)],
            ["replayed", *(plain(1e3 * replayed.replayed[name].value) for name in COMPARED)],
            ["error", *(f"{replayed.error.get(name, float('nan')):+.1%}" for name in COMPARED)],
        ],
    )
    recorded, again = replayed.failed
    terminal.say(
        f"Shares differ by {replayed.share_error:.1%} at most; failed: {recorded:.2%} recorded, "
        f"{again:.2%} replayed."
    )


def write_scenario(calibration: Calibration, path: Path) -> list[Path]:
    """The file, and beside it what fits no law. Raises CannotWrite."""
    beside: dict[str, Floats] = {}
    text = calibration.text(beside)
    written = [path]
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    for name, values in beside.items():
        own = f"{path.stem}-{name}"
        text = text.replace(f'file = "{name}"', f'file = "{own}"')
        lines = "".join(f"{value:.7g}\n" for value in values)
        with writing(path.parent / own):
            (path.parent / own).write_text(lines, encoding="utf-8")
        written.append(path.parent / own)
    with writing(path):
        path.write_text(text, encoding="utf-8")
    return written


def write_pictures(calibration: Calibration, directory: Path) -> list[str]:
    """Pictures and calibration.json into `directory`; their names. Raises CannotWrite."""
    from sim.output.plots.calibrated import FIGURES, drawable
    from sim.output.plots.style import without_warnings

    names = []
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    for name in drawable(calibration):
        place = directory / f"calibrated_{name}.png"
        with writing(place), without_warnings():
            FIGURES[name](calibration).savefig(place)
        names.append(place.name)
    place = directory / DOCUMENT
    with writing(place):
        write_json(calibration.as_dict(), place)
    return [*names, DOCUMENT]
