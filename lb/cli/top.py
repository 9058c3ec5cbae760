"""`lb top`: a running balancer, as it is and from second to second."""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lb.cli.ctl import Admin, Config, TokenFile, plane
from lb.cli.interrupts import Heard, terminable
from lb.cli.options import AsJson
from lb.cli.printing import print_json
from lb.cli.remote import CannotReach, Remote

if TYPE_CHECKING:
    from lb.cli.screen import View

HISTORY = 400
"""Looks that the line of rates goes back to."""
FORECAST_EVERY = 5.0
"""Seconds between two questions for what is predicted."""
REMEMBERED = 50
"""Events."""


def top(
    context: typer.Context,
    config: Config = None,
    admin: Admin = None,
    token_file: TokenFile = None,
    interval: Annotated[
        float,
        typer.Option(
            "-i", "--interval", min=0.1, max=60, envvar="LB_INTERVAL", help="Seconds between looks."
        ),
    ] = 2.0,
    once: Annotated[
        bool,
        typer.Option("--once", envvar="LB_ONCE", help="Two looks, one report [not on a terminal]."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Watch a running balancer, by its control plane. q ends it, s sorts otherwise."""
    remote = plane(context, config, admin, token_file)
    if once or as_json or not (sys.stdout.isatty() and sys.stdin.isatty()):
        report(remote, interval, as_json)
        return
    heard = Heard()
    try:
        with terminable() as heard:
            watch(remote, interval)
    except KeyboardInterrupt:
        raise typer.Exit(heard.status) from None


def report(remote: Remote, interval: float, as_json: bool) -> None:
    """What there is to say after two looks."""
    from lb.cli.screen import View
    from lb.cli.watching import between

    then, began = remote.ask("GET", "/v1/snapshot"), time.monotonic()
    time.sleep(interval)
    now = remote.ask("GET", "/v1/snapshot")
    point = between(then, now, time.monotonic() - began)
    view = View(remote.address, now, point, forecast=remote.ask("GET", "/v1/forecast"))
    if as_json:
        print_json(as_document(view))
    else:
        say(view)


def as_document(view: View) -> dict[str, Any]:
    """The object of `lb top --json`."""
    point, told = view.point, view.snapshot
    assert point is not None
    backends = [
        {
            **{key: row[key] for key in ("name", "address", "state", "reason", "last_change")},
            **{key: row[key] for key in ("connections", "weight", "effective_weight", "ejections")},
            **vars(point.lanes[row["name"]]),
        }
        for row in told["backends"]
    ]
    whole = {key: value for key, value in vars(point).items() if key != "lanes"}
    kept = {key: told[key] for key in ("algorithm", "settings", "waiting", "panic", "workers")}
    return {"schema": 1, **kept, **whole, "forecast": view.forecast, "backends": backends}


def say(view: View) -> None:
    """Plain lines, and a table that fits."""
    from lb.cli.screen import figure, figures, headline, reason, seconds
    from lb.terminal import Terminal

    terminal = Terminal()
    assert view.point is not None
    terminal.say(headline(view, 10_000).plain)
    for line in figures(view, 10_000):
        terminal.say(line.plain.rstrip())
    terminal.say()
    rows = []
    for row in view.snapshot["backends"]:
        lane = view.point.lanes[row["name"]]
        share = "-" if lane.share is None else f"{100 * lane.share:.1f}%"
        figures_of = (share, figure(lane.rate), seconds(lane.latency), str(row["connections"]))
        more = (figure(lane.failing), str(row["ejections"]), f"{row['effective_weight']:g}")
        rows.append((row["name"], row["state"], *figures_of, *more, reason(row)))
    names = (
        "state",
        "share",
        "req/s",
        "latency",
        "in flight",
        "fail/s",
        "ejected",
        "weight",
        "since",
    )
    terminal.table("Backends", ("backend", *names), rows)


def watch(remote: Remote, interval: float) -> None:
    """Until q is pressed."""
    from rich.console import Console, Group
    from rich.live import Live

    from lb.cli.screen import SORTS, View, drawn
    from lb.cli.watching import Watch

    looks, rates = Watch(), deque[float](maxlen=HISTORY)
    view = View(remote.address, remote.ask("GET", "/v1/snapshot"))
    looks.take(view.snapshot, time.monotonic())
    view.events = Listener(remote).heard
    console = Console()
    next_look, next_forecast = time.monotonic() + min(interval, 1.0), 0.0
    with keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            wide, high = console.size
            live.update(Group(*drawn(view, wide, high)), refresh=True)
            key = pressed(max(next_look - time.monotonic(), 0.0))
            if key in ("q", "Q"):
                return
            if key == "\x03":
                raise KeyboardInterrupt
            if key == "s":
                view.sort = SORTS[(SORTS.index(view.sort) + 1) % len(SORTS)]
            now = time.monotonic()
            if now < next_look:
                continue
            next_look = now + interval
            try:
                view.snapshot = remote.ask("GET", "/v1/snapshot")
                if now >= next_forecast:
                    view.forecast = remote.ask("GET", "/v1/forecast")
                    next_forecast = now + FORECAST_EVERY
                view.trouble = ""
            except CannotReach as error:
                view.trouble = str(error).partition("; ")[0]
                continue
            view.point = looks.take(view.snapshot, time.monotonic())
            if view.point is not None:
                rates.append(view.point.rate)
            view.rates = list(rates)


class Listener:
    """Hears events in a thread of its own, again and again."""

    def __init__(self, remote: Remote) -> None:
        self.heard: deque[Mapping[str, Any]] = deque(maxlen=REMEMBERED)
        self._remote = remote
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            last = self.heard[-1]["number"] if self.heard else 0
            with suppress(CannotReach):  # whoever watches is told by the next look
                self.heard.extend(self._remote.events(last))
            time.sleep(1.0)


@contextmanager
def keys() -> Iterator[Any]:
    """Inside, a function that waits so many seconds for a key, and gives "" where none comes."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)

    def pressed(patience: float) -> str:
        ready, _, _ = select.select([sys.stdin], [], [], patience)
        return os.read(sys.stdin.fileno(), 64).decode("latin-1")[:1] if ready else ""

    try:
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
