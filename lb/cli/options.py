"""What several commands share: options and the reading of files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lb import BUILD, __version__
from lb.errors import UsageError

if TYPE_CHECKING:
    from lb.config import Scenario

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="FILE", envvar="LB_CONFIG", help="Scenario file (TOML)."
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        python = ".".join(map(str, sys.version_info[:3]))
        typer.echo(f"lb {__version__} ({BUILD}; Python {python})")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "-q", "--quiet", envvar="LB_QUIET", help="Say nothing but errors; --json is still printed."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", envvar="LB_JSON", help="Print JSON on stdout.")]

Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="NAME=COLUMN",
        envvar="LB_FIELD",
        help="What a field of the log is called there, ended=ts say; repeat for several.",
    ),
]


def algorithm_option(text: str) -> Any:
    """`-a NAME`; the help says what it does in a command."""
    return typer.Option("-a", "--algorithm", metavar="NAME", envvar="LB_ALGORITHM", help=text)


def out_option(text: str) -> Any:
    """`--out DIR`; the help says what goes there."""
    return typer.Option(metavar="DIR", envvar="LB_OUT", help=text)


def output_option(text: str) -> Any:
    """`-o FILE`; the help says what is written there."""
    return typer.Option("-o", "--output", metavar="FILE", envvar="LB_OUTPUT", help=text)


Workers = Annotated[
    str,
    typer.Option(
        "--workers",
        metavar="N|auto",
        envvar="LB_WORKERS",
        help="Processes that simulate; auto: all cores, where that is quicker.",
    ),
]

Algorithms = Annotated[
    list[str] | None,
    algorithm_option(
        "Algorithm to simulate; repeat, or put commas between, to compare [the file's]."
    ),
]
Output = Annotated[Path, output_option("Where it goes; - is stdout.")]
Rate = Annotated[
    float | None,
    typer.Option(envvar="LB_RATE", help="Requests per second, all rates in proportion."),
]
Load = Annotated[
    float | None,
    typer.Option(envvar="LB_LOAD", help="Offered work over capacity, in place of --rate."),
]
Requests = Annotated[
    int | None, typer.Option(min=1, envvar="LB_REQUESTS", help="Requests per replication.")
]
Replications = Annotated[
    int | None, typer.Option(min=1, envvar="LB_REPLICATIONS", help="Independent repetitions.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, envvar="LB_SEED", help="Seed of everything random.")
]


def fields(given: Iterable[str]) -> dict[str, str]:
    """Of `--field`: columns of an access log by what they hold. Raises UsageError."""
    return dict(pair("--field", text, "NAME=COLUMN, such as ended=ts") for text in given)


def pair(flag: str, text: str, form: str = "KEY=VALUE") -> tuple[str, str]:
    """Both sides of an equals sign. Raises UsageError, which says the `form`."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise UsageError(f"{flag} {text}: write {form}")
    return name.strip(), value.strip()


def number_of_workers(given: str) -> int | Literal["auto"]:
    """Of `--workers`. Raises UsageError."""
    if given == "auto":
        return "auto"
    if not given.isascii() or not given.isdigit() or not int(given):
        raise UsageError(f"--workers: {given!r} is neither a number from 1 on nor auto")
    return int(given)


def scenario_from(path: Path | None) -> Scenario:
    """The file's scenario, or the defaults. Raises ConfigError."""
    from lb.config import Scenario

    return Scenario() if path is None else Scenario.load(path)


def at_pace(scenario: Scenario, rate: float | None, load: float | None) -> Scenario:
    """`scenario` with the traffic of `--rate` or `--load`. Raises UsageError."""
    if rate is not None and load is not None:
        raise UsageError("--rate and --load say the same in two ways; give one of them")
    for flag, given in (("--rate", rate), ("--load", load)):
        if given is not None and not 0 < given < float("inf"):
            raise UsageError(f"{flag}: {given:g} is not a number above zero")
    if rate is not None:
        return scenario.at_rate(rate)
    return scenario if load is None else scenario.at_load(load)


_NAMED = re.compile(r"\s*[A-Za-z_][\w.-]*\s*(:|$)")


def algorithms(given: Iterable[str]) -> list[str]:
    """`["p2c:choices=3,replacement=true,random"]` -> two: commas stand between algorithms, too.

    A part that begins with no algorithm's name, for it sets something, belongs to the one before.
    """
    found: list[str] = []
    for text in given:
        mine: list[str] = []
        for part in filter(str.strip, text.split(",")):
            if mine and not _NAMED.match(part):
                mine[-1] += f",{part.strip()}"
            else:
                mine.append(part.strip())
        found += mine
    return found


def checked_place(host: str, port: int) -> str:
    """`host:port`; an IPv6 host needs no brackets here. Raises UsageError."""
    from lb.config import address

    bare = ":" in host and not host.startswith("[")
    try:
        return address(f"[{host}]:{port}" if bare else f"{host}:{port}")
    except ValueError as error:
        raise UsageError(f"--host: {error}") from None


def checked_port(port: int) -> int:
    """`port`, when there is such a one. Raises UsageError."""
    if not 0 <= port <= 65535:
        raise UsageError(f"port {port} is not between 0 and 65535")
    return port


def at_port(listen: Sequence[str], port: int) -> str:
    """The address of a file with another port. Raises UsageError where that is not plain."""
    if len(listen) > 1 or listen[0].startswith("unix:"):
        why = f"the file listens on {', '.join(listen)}; change it there"
        raise UsageError(f"--port {port}: {why}")
    host, _, _ = listen[0].rpartition(":")
    return f"{host}:{port}"
