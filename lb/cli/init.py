"""`lb init`: files to begin with, for the balancer and for what runs it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from lb import __version__
from lb.cli.options import AsJson
from lb.cli.printing import print_json
from lb.errors import ConfigError, LbError
from lb.system import try_directory, writing
from lb.terminal import Terminal

FILE, SCHEMA = "lb.toml", "lb.schema.json"
HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")
"""Where a service with ProtectHome= and PrivateTmp= finds nothing."""
USUAL = "/opt/lb/bin/lb"
"""Where lb is installed for a service, if it is not where one finds it already."""


class Place(NamedTuple):
    """Where the balancer runs, as far as its own file is concerned."""

    server: str
    backends: str


HERE = Place(
    """\
listen = "127.0.0.1:8080"          # or a list; "unix:/path", "[::]:8080"
admin = "127.0.0.1:8405"           # status page, metrics, `lb ctl`; keep it to yourself
# stats_path = ""                  # on the port of all clients; for when that is public""",
    """\
[[backend]]
address = "127.0.0.1:3001"
# name = "a"
# weight = 5
# max_in_flight = 100

[[backend]]
address = "127.0.0.1:3002"

[[backend]]
address = "127.0.0.1:3003"

# [[discovery]]                    # beside them, or instead of them
# dns = "web.internal:3000"        # every address of the name; srv, file""",
)
CONTAINER = Place(
    """\
listen = "0.0.0.0:8080"
admin = "127.0.0.1:8405"           # inside: lb ctl, by docker exec or kubectl exec; for Prometheus
# admin_token_file = "/run/token"  # outside 0.0.0.0:8405, and a token, which is asked for then
stats_path = ""                    # would tell everybody what backends there are""",
    """\
[[discovery]]
dns = "web:3001"                   # every address of the name is a backend
interval = "5s\"""",
)


class File(NamedTuple):
    """One that can be written: what it is for, and its text."""

    about: str
    text: Callable[[Place], str]


def _template(name: str) -> str:
    text = files("lb.templates").joinpath(name).read_text(encoding="utf-8")
    python = "{}.{}".format(*sys.version_info)
    return text.replace("{{version}}", __version__).replace("{{python}}", python)


def _as_it_is(name: str) -> Callable[[Place], str]:
    return lambda _: _template(name)


def _own_file(place: Place) -> str:
    text = _template(FILE).replace("{{server}}", place.server)
    return text.replace("{{backends}}", place.backends)


def _schema(_: Place) -> str:
    from lb.config.schema import schema

    return json.dumps(schema(), indent=1) + "\n"


def _kubernetes(_place: Place) -> str:
    _, _, text = _own_file(CONTAINER).partition("\n")  # at a schema that is not beside it
    config = "\n".join(f"    {line}".rstrip() for line in text.rstrip().splitlines())
    return _template("kubernetes.yaml").replace("{{config}}", config)


def _service(_: Place) -> str:
    command = _command()
    install = (
        "#   python3 -m venv /opt/lb && /opt/lb/bin/pip install lb-twin   where lb is, below\n"
    )
    text = _template("lb.service").replace("{{command}}", command)
    return text.replace("{{install}}\n", install if command == USUAL else "")


def _dashboard(_: Place) -> str:
    from lb.templates.dashboard import dashboard

    return dashboard()


def _command() -> str:
    """This lb, if a service can reach it."""
    found = str(Path(sys.executable).with_name("lb"))
    return found if os.access(found, os.X_OK) and not found.startswith(HIDDEN) else USUAL


FILES = {
    FILE: File("what the balancer does", _own_file),
    SCHEMA: File("what editors are told of it, as `lb check --schema` has it", _schema),
    "Dockerfile": File("lb in a container", _as_it_is("Dockerfile")),
    ".dockerignore": File("what of this directory goes into it", _as_it_is("dockerignore")),
    "compose.yaml": File("lb before three replicas of `lb backend`", _as_it_is("compose.yaml")),
    "kubernetes.yaml": File("lb, its file, and three backends in Kubernetes", _kubernetes),
    "lb.service": File("lb as a service of systemd, which says how", _service),
    "grafana.json": File("a dashboard, to be imported into Grafana", _dashboard),
    "prometheus.yml": File("where Prometheus finds lb", _as_it_is("prometheus.yml")),
    "lb.alerts.yml": File("what Prometheus should wake you for", _as_it_is("lb.alerts.yml")),
    "lb.socket": File("what that listens on", _as_it_is("lb.socket")),
}
"""All that can be written, by name."""
WANTED = {
    "docker": (FILE, SCHEMA, "Dockerfile", ".dockerignore"),
    "compose": (FILE, SCHEMA, "Dockerfile", ".dockerignore", "compose.yaml"),
    "kubernetes": ("kubernetes.yaml",),
    "systemd": (FILE, SCHEMA, "lb.service", "lb.socket"),
    "grafana": ("grafana.json", "prometheus.yml", "lb.alerts.yml"),
}
"""Files of each option; without any the first two."""
CONTAINED = {"docker", "compose"}
STAYS = {FILE, SCHEMA}
"""They are not asked for by name, so one that is there is left as it is."""


def init(
    docker: Annotated[
        bool, typer.Option("--docker", envvar="LB_DOCKER", help="A Dockerfile.")
    ] = False,
    compose: Annotated[
        bool,
        typer.Option(
            "--compose",
            envvar="LB_COMPOSE",
            help="The same, and a Compose file with backends found by DNS.",
        ),
    ] = False,
    kubernetes: Annotated[
        bool,
        typer.Option("--kubernetes", envvar="LB_KUBERNETES", help="Deployments and services."),
    ] = False,
    systemd: Annotated[
        bool,
        typer.Option("--systemd", envvar="LB_SYSTEMD", help="A hardened service and its socket."),
    ] = False,
    grafana: Annotated[
        bool,
        typer.Option(
            "--grafana", envvar="LB_GRAFANA", help="A dashboard, and alerts for Prometheus."
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIR", envvar="LB_OUT", help="Where they go.")
    ] = Path(),
    force: Annotated[
        bool, typer.Option("--force", envvar="LB_FORCE", help="Replace what is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write files to begin with: lb.toml, and what runs it.

    Every line of lb.toml has a comment.
    Nothing that is there is replaced without --force; then nothing is written at all.
    """
    flags = {
        "docker": docker,
        "compose": compose,
        "kubernetes": kubernetes,
        "systemd": systemd,
        "grafana": grafana,
    }
    asked = {name for name, given in flags.items() if given}
    wanted = list(dict.fromkeys(it for name in WANTED if name in asked for it in WANTED[name]))
    names = wanted or [FILE, SCHEMA]
    left = set[str]() if force or not asked else {it for it in STAYS if _there(out / it)}
    names = [name for name in names if name not in left]
    taken = [name for name in names if _there(out / name)]
    if taken and not force:
        what = f"{', '.join(str(out / name) for name in taken)}: there already"
        raise LbError(f"{what}; --force replaces, --out DIR writes elsewhere")
    try_directory(out, names)
    where = CONTAINER if asked & CONTAINED else HERE
    _write({out / name: FILES[name].text(where) for name in names})
    terminal = Terminal(stderr=as_json)
    terminal.listing((str(out / name), FILES[name].about) for name in names)
    notes = list(_notes(out, asked, left))
    for note in notes:
        terminal.say(f"note: {note}")
    if as_json:
        rows = [{"file": str(out / name), "about": FILES[name].about} for name in names]
        print_json({"schema": 1, "files": rows, "notes": notes})


def _there(path: Path) -> bool:
    return os.path.lexists(path)


def _write(texts: Mapping[Path, str]) -> None:
    """All of them, or where there is no room for one none."""
    beside = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in texts}
    try:
        for path, text in texts.items():
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    beside[path].write_text(text, encoding="utf-8")
                except OSError as error:
                    error.filename = str(path)
                    raise
        for path in texts:
            with writing(path):
                beside[path].replace(path)
    finally:
        for path in beside.values():
            with suppress(OSError):
                path.unlink()


def _notes(out: Path, asked: set[str], left: Iterable[str]) -> Iterator[str]:
    """What a person has to do, or would wonder about."""
    file = out / FILE
    if FILE in left:
        yield f"{file} is there already, and stays as it is"
        if asked & CONTAINED and _unreachable(file):
            yield f'in a container it has to say listen = "0.0.0.0:8080" in [server] of {file}'
    if "systemd" in asked and _command() == USUAL:
        yield f"lb.service expects lb at {USUAL}: it does not see home directories, nor /tmp"


def _unreachable(file: Path) -> bool:
    """Whether clients of another machine, such as a container's host, would find nobody."""
    from lb.config import Scenario
    from lb.config.serving import near

    with suppress(ConfigError):
        return all(near(it.address) for it in Scenario.load(file).listening())
    return False
