"""`lb ctl`: a running balancer, shown and changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lb.cli.invocation import Command
from lb.cli.options import AsJson
from lb.cli.printing import print_json
from lb.cli.remote import DEFAULT, Remote, backend_path, remote
from lb.errors import UsageError
from lb.terminal import Terminal, counted


class Group(TyperGroup):
    """Options may stand before the name of the command as well as behind it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        before: list[str] = []
        rest = list(args)
        while rest and rest[0].startswith("-") and rest[0] not in ("-h", "--help"):
            before.append(rest.pop(0))
            if before[-1] in VALUED and rest:
                before.append(rest.pop(0))
        return super().parse_args(ctx, [*rest[:1], *before, *rest[1:]] if rest else [])


app = typer.Typer(
    name="ctl",
    cls=Group,
    help="Show and change a running balancer. Its control plane is [server] admin in its file. "
    "Where that is, each command is told by -c FILE or --admin ADDRESS.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


VALUED = ("-c", "--config", "--admin", "--token-file")
Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        envvar="LB_CONFIG",
        help="The balancer's file, for its [server] admin.",
    ),
]
Admin = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="ADDRESS",
        envvar="LB_ADMIN",
        help=f"host:port or unix:/path [{DEFAULT}].",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        envvar="LB_ADMIN_TOKEN_FILE",
        help="Holds the token [that of the balancer's file]; LB_ADMIN_TOKEN is the token itself.",
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The backend's name, else its address.")]


@app.command(cls=Command)
def status(
    context: typer.Context,
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """How the balancer and its backends are."""
    told = plane(context, config, admin, token_file).ask("GET", "/v1/snapshot")
    if as_json:
        print_json({"schema": 1, **told})
        return
    rows = [
        (
            row["name"],
            row["state"],
            f"{row['weight']:g}",
            str(row["connections"]),
            str(row["picked"]),
            str(row["failed"]),
            "-" if row["response_time_ms"] is None else f"{row['response_time_ms']:.1f}",
        )
        for row in told["backends"]
    ]
    header = ("backend", "state", "weight", "in flight", "picked", "failed", "ms")
    Terminal().table(_headline(told), header, rows)


@app.command(cls=Command)
def picks(
    context: typer.Context,
    last: Annotated[int, typer.Option("-n", "--last", min=1, max=100, help="How many.")] = 10,
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Why the last picks fell as they did, the newest first; watched for a minute once asked."""
    from lb.cli.picks import said

    told = plane(context, config, admin, token_file).ask("GET", f"/v1/picks?last={last}")
    if as_json:
        print_json({"schema": 1, **told})
        return
    terminal = Terminal()
    several = len({pick.get("worker") for pick in told["picks"]}) > 1
    for pick in told["picks"]:
        key = f", key {pick['key']}" if pick["key"] else ""
        key += f", worker {pick['worker']}" if several else ""
        terminal.say(f"{pick['seconds_ago']:.2f} s ago{key}: {pick['backend'] or 'nobody'}")
        for line in said(pick):
            terminal.say(line)
    if not told["picks"]:
        terminal.say("none yet; from now on they are watched for a minute")


def _headline(told: dict[str, Any]) -> str:
    usable = sum(row["usable"] and not row["panic"] for row in told["backends"])
    settings = ",".join(f"{name}={value}" for name, value in told["settings"].items())
    words = [
        f"{told['algorithm']}{settings and ':' + settings}",
        f"{usable} of {counted(len(told['backends']), 'backend')} usable",
        counted(len(told["workers"]), "worker"),
        counted(told["requests"], "request"),
    ]
    if told["waiting"]:
        words.append(f"{told['waiting']} waiting")
    if told["panic"]:
        words.append("panic")
    return ", ".join(words)


def _setter(state: str, what: str) -> Callable[..., None]:
    """The command that says what is wanted of a backend."""

    def command(
        context: typer.Context,
        name: Name,
        config: Config = None,
        admin: Admin = None,
        token_file: TokenFile = None,
        as_json: AsJson = False,
    ) -> None:
        _change(plane(context, config, admin, token_file), name, {"state": state}, as_json)

    command.__doc__ = what
    return command


for state, what in (
    ("drain", "Send a backend nobody new but those who are at home there."),
    ("up", "Use a backend again, as far as its health allows."),
    ("maint", "Send a backend nobody at all."),
):
    app.command(state, cls=Command)(_setter(state, what))


@app.command(cls=Command, context_settings={"ignore_unknown_options": True})
def weight(
    context: typer.Context,
    name: Name,
    weight: Annotated[str, typer.Argument(metavar="W", help="A number above zero.")],
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Weigh a backend otherwise."""
    _change(plane(context, config, admin, token_file), name, {"weight": _number(weight)}, as_json)


@app.command(cls=Command)
def add(
    context: typer.Context,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS[*W]", help="host:port, or host:port*weight.")
    ],
    name: Annotated[
        str | None, typer.Option(envvar="LB_NAME", help="What it is called [its address].")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, envvar="LB_PRIORITY", help="0 comes first [0].")
    ] = None,
    zone: Annotated[str | None, typer.Option(envvar="LB_ZONE", help="Where it is.")] = None,
    max_in_flight: Annotated[
        str | None,
        typer.Option(
            metavar="N|adaptive", envvar="LB_MAX_IN_FLIGHT", help="Requests at a time [no limit]."
        ),
    ] = None,
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """One more backend."""
    place, star, given = address.partition("*")
    body: dict[str, Any] = {"address": place}
    if star:
        body["weight"] = _number(given)
    if max_in_flight is not None:
        whole = max_in_flight.isascii() and max_in_flight.isdigit()
        body["max_in_flight"] = int(max_in_flight) if whole else max_in_flight
    more = {"name": name, "priority": priority, "zone": zone}
    body.update({key: value for key, value in more.items() if value is not None})
    told = plane(context, config, admin, token_file).ask("POST", "/v1/backends", body)
    _say_backend(told, as_json)


@app.command(cls=Command)
def remove(
    context: typer.Context,
    name: Name,
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a backend out; what it has in flight ends as it would."""
    told = plane(context, config, admin, token_file).ask("DELETE", backend_path(name))
    _say(told, f"{told['name']}: removed, {told['connections']} in flight", as_json)


@app.command(cls=Command)
def algorithm(
    context: typer.Context,
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help='Such as "p2c:choices=3", see `lb strategies`.')
    ],
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Pick by another algorithm from now on."""
    told = plane(context, config, admin, token_file).ask("PUT", "/v1/algorithm", {"name": spec})
    settings = ",".join(f"{name}={value}" for name, value in told["settings"].items())
    lines = [f"algorithm: {told['name']}{settings and ':' + settings}"]
    _say(told, "\n".join(lines + [f"note: {note}" for note in told["notes"]]), as_json)


@app.command(cls=Command)
def reload(
    context: typer.Context,
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Read the balancer's file again. Exit status 3 if it is wrong; nothing has changed then."""
    told = plane(context, config, admin, token_file).ask("POST", "/v1/reload")
    lines = ["reloaded", *(f"not changed while it runs: {it}" for it in told["not_changed"])]
    _say(told, "\n".join(lines), as_json)


@app.command(cls=Command)
def stop(
    context: typer.Context,
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Let the balancer finish what is in flight, and end."""
    _say(plane(context, config, admin, token_file).ask("POST", "/v1/stop"), "stopping", as_json)


def plane(
    context: typer.Context, config: Path | None, admin: str | None, token_file: Path | None
) -> Remote:
    """Flags win over the environment, whichever of them says where it is."""
    sources = [context.get_parameter_source(name) for name in ("config", "admin")]
    flags = [source is not None and source.name == "COMMANDLINE" for source in sources]
    return remote(config, None if flags == [True, False] else admin, token_file)


def _change(plane: Remote, name: str, body: dict[str, Any], as_json: bool) -> None:
    _say_backend(plane.ask("PATCH", backend_path(name), body), as_json)


def _say_backend(told: dict[str, Any], as_json: bool) -> None:
    line = f"{told['name']}: {told['state']}, weight {told['weight']:g}"
    _say(told, f"{line}, {told['connections']} in flight", as_json)


def _say(told: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print_json({"schema": 1, **told})
    else:
        Terminal().say(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise UsageError(f"weight {text!r} is not a number above zero; to send nobody new, drain")
    return int(number) if number == int(number) else number
