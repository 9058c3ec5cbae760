"""What `lb serve` is asked to record, and to try on what is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lb.errors import UsageError

if TYPE_CHECKING:
    from lb.recording.wanted import Recording

LEAST = 1 << 20
"""Bytes of a part: what begins one, a header with all backends, may take some hundred thousand."""

Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE",
        envvar="LB_RECORD",
        help="Record all that decides and what came of it, for `lb replay` and `lb calibrate`. "
        "A recording that FILE holds is replaced.",
    ),
]
RecordSize = Annotated[
    str | None,
    typer.Option(
        "--record-size",
        metavar="SIZE",
        envvar="LB_RECORD_SIZE",
        help="At this size the recording ends, or goes on in another part [256MiB].",
    ),
]
RecordKeep = Annotated[
    int | None,
    typer.Option(
        "--record-keep",
        metavar="N",
        envvar="LB_RECORD_KEEP",
        help="Go on in parts, and keep the newest N of them [end when FILE is full].",
    ),
]
RecordSample = Annotated[
    str | None,
    typer.Option(
        "--record-sample",
        metavar="SHARE",
        envvar="LB_RECORD_SAMPLE",
        help="Record this share of the requests, 10% say, which `lb replay` cannot use [1].",
    ),
]


def recording(
    file: Path | None, size: str | None, keep: int | None, sample: str | None
) -> Recording | None:
    """What the flags ask for. Raises UsageError."""
    from lb.recording.wanted import Recording
    from lb.units import share
    from lb.units import size as bytes_of

    if file is None:
        given = {"--record-size": size, "--record-keep": keep, "--record-sample": sample}
        for flag, value in given.items():
            if value is not None:
                raise UsageError(f"{flag}: nothing is recorded; give --record FILE")
        return None
    wanted = Recording(file)
    most = wanted.size
    if size is not None:
        try:
            most = bytes_of(size)
        except ValueError as error:
            raise UsageError(f"--record-size: {error}") from None
        if most < LEAST:
            raise UsageError(f"--record-size {size}: a part takes 1MiB at least")
    if keep is not None and keep < 2:
        raise UsageError(
            f"--record-keep {keep}: 2 at least, the one that is written and one before"
        )
    part = wanted.share
    if sample is not None:
        try:
            part = share(sample)
        except ValueError as error:
            raise UsageError(f"--record-sample: {error}") from None
        if not 0.0 < part <= 1.0:
            raise UsageError(f"--record-sample {sample}: a share is above 0 and at most 1")
    return Recording(file, most, keep, part)


def shadows(given: Sequence[str], recording: Recording | None) -> list[str]:
    """What `--shadow` asks for. Raises UsageError."""
    from lb.cli.options import algorithms
    from lb.strategies import parse

    found = algorithms(given)
    for text in found:
        try:
            parse(text)
        except UsageError as error:
            raise UsageError(f"--shadow: {error}") from None
    if found and recording is not None and recording.share < 1.0:
        raise UsageError("--shadow has to see all requests; leave --record-sample out")
    return found
