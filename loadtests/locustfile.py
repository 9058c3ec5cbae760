"""The real proxy against the simulator's prediction.

    locust -f loadtests/ --host http://127.0.0.1:8080 [--headless] [--scenario FILE]

Arrivals are open-loop: one user walks through a schedule drawn ahead and starts each request at its
intended time, so locust's user count is not the arrival process. Latency counts from the intended
time. When the schedule ends the same schedule is simulated, both are printed, verdict.json is
written, and a missed prediction makes the exit status 4. With --quiet nothing is said but errors.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import gevent
from geventhttpclient import HTTPClient
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import LocalRunner

from lb.cli import streams
from lb.errors import LbError, UsageError, nearest
from lb.system import try_directory
from lb.terminal import Terminal, counted
from sim import Scenario, Schedule
from sim.engine.clients import back_off
from sim.live.load import LEAD, longest_answer
from sim.live.measurement import Measurement
from sim.live.verdict import judge
from sim.live.watch import Watch
from sim.output.report import print_verdict, verdict_files, write_verdict

streams.prepare()
SHIPPED = Path(__file__).parent / "scenarios"
DEFAULT = "round_robin"


class Plan:
    """One load test: what is to be sent, and what came of it."""

    def __init__(
        self, scenario: Scenario, verdict: Path, terminal: Terminal, seed: int | None
    ) -> None:
        self.scenario = scenario
        self.verdict = verdict
        self.terminal = terminal
        # The backends' faults come and go as the file's seed says, whatever is sent.
        run = scenario.run if seed is None else scenario.run.model_copy(update={"seed": seed})
        self.schedule = Schedule.draw(scenario.model_copy(update={"run": run}))
        self.measured = Measurement.blank(len(self.schedule))

    def introduce(self) -> None:
        """Say what is going to be sent."""
        rate, load = self.scenario.rate, self.scenario.utilisation
        self.terminal.say(
            f"{counted(f'{len(self.schedule)}', 'request')} at {rate:g}/s on average, "
            f"{load:.3g} of the modelled capacity"
        )

    def judge(self) -> int:
        """Print and write the verdict; the exit status."""
        verdict = judge(self.scenario, self.schedule, self.measured)
        write_verdict(verdict, self.verdict, self.schedule, self.measured)
        print_verdict(verdict, self.terminal)
        self.terminal.say(f"Written to {self.verdict}; raw times and the schedule are beside it.")
        return verdict.judgement.exit_status


def scenario_named(name: str) -> Scenario:
    """A file, or one of the shipped scenarios by name. Raises ConfigError or UsageError."""
    shipped = _shipped()
    if name in shipped:
        return Scenario.load(shipped[name])
    if not Path(name).exists() and not name.endswith(".toml"):
        raise UsageError(f"unknown scenario {name!r}: {nearest(name, shipped)}, or give a file")
    return Scenario.load(name)


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in SHIPPED.glob("*.toml")}


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("lb")
    group.add_argument(
        "--scenario",
        env_var="LB_SCENARIO",
        default=DEFAULT,
        help=f"Scenario file, or a shipped one: {', '.join(sorted(_shipped()))}.",
    )
    group.add_argument(
        "--seed",
        type=int,
        env_var="LB_SEED",
        default=None,
        help="Of the schedule, in place of the scenario's.",
    )
    group.add_argument(
        "--verdict", env_var="LB_VERDICT", default="verdict.json", help="Where the verdict goes."
    )
    group.add_argument(
        "--quiet", action="store_true", env_var="LB_QUIET", help="Say nothing but errors."
    )
    # Locust begins to say things before it tells us what was asked for.
    if "--quiet" in sys.argv or os.environ.get("LB_QUIET", "").lower() in ("1", "true", "yes"):
        parser.set_defaults(loglevel="ERROR", only_summary=True)


@events.init.add_listener
def _init(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if not isinstance(environment.runner, LocalRunner):
        _refuse("one process sends the whole schedule; run locust without --master or --worker", 2)
    try:
        scenario = scenario_named(options.scenario)
        if options.seed is not None and options.seed < 0:
            raise UsageError(f"--seed {options.seed}: a seed is a number from zero up")
        if options.host and urlsplit(options.host).scheme != "http":
            raise UsageError(f"--host {options.host!r}: write http://host:port")
        verdict = Path(options.verdict)
        OpenLoop.plan = Plan(scenario, verdict, Terminal(quiet=options.quiet), options.seed)
        try_directory(verdict.parent, [path.name for path in verdict_files(verdict)])
        OpenLoop.plan.introduce()
    except LbError as error:
        _refuse(str(error), error.exit_status)
    except OSError as error:
        streams.failed(error)
        sys.exit(1)
    if options.quiet:
        logging.getLogger("locust.stats_logger").setLevel(logging.ERROR)
    # Locust's run time counts by gevent's clock, which stood still during all those imports.
    gevent.get_hub().loop.update_now()


@events.test_stop.add_listener
def _judge(environment: Environment, **_: Any) -> None:
    # Locust would report a failed request as exit status 1; here the verdict alone decides.
    try:
        environment.process_exit_code = OpenLoop.plan.judge()
    except LbError as error:
        print(error, file=sys.stderr)
        environment.process_exit_code = error.exit_status
    except OSError as error:
        streams.failed(error)
        environment.process_exit_code = 1


class OpenLoop(User):
    """The one user: it walks through the schedule and never waits for an answer."""

    fixed_count = 1
    plan: Plan

    @task
    def walk(self) -> None:
        plan = self.plan
        # The web UI can start a test again; what was measured then is over.
        plan.measured = Measurement.blank(len(plan.schedule))
        target = urlsplit(self.host or self.environment.host or "http://127.0.0.1:8080")
        limit = longest_answer(plan.scenario)
        client = HTTPClient(
            target.hostname,
            target.port or 80,
            concurrency=len(plan.schedule),
            connection_timeout=limit,
            network_timeout=limit,
        )
        places = {row.address: order for order, row in enumerate(plan.scenario.backends)}
        fields = [plan.schedule.fields(i) for i in range(len(plan.schedule))]
        times = plan.schedule.times.tolist()
        gc.collect()
        gc.freeze()  # a full collection in the middle would make the generator late
        start = perf_counter() + LEAD
        watch = Watch(plan.scenario, self.host or self.environment.host or "")
        watching = gevent.spawn(_look, watch, client, start) if watch.url else None
        under_way = []
        try:
            for index, at in enumerate(times):
                while (delay := start + at - perf_counter()) > 0:  # may wake early
                    gevent.sleep(delay)
                under_way.append(
                    gevent.spawn(
                        self._send, client, index, target.path or "/", fields[index], start, places
                    )
                )
        finally:  # stopped early, what was sent is still owed its answer
            gevent.joinall(under_way)
            if watching is not None:
                watching.kill()
            plan.measured = replace(plan.measured, rotation=watch.rotation)
            client.close()
        runner = self.environment.runner
        # From another greenlet: both wait for this user to end. The web UI stays open for a look.
        gevent.spawn(runner.quit if self.environment.parsed_options.headless else runner.stop)
        raise StopUser

    def _send(
        self,
        client: HTTPClient,
        index: int,
        path: str,
        fields: dict[str, str],
        start: float,
        places: dict[str, int],
    ) -> None:
        plan, measured = self.plan, self.plan.measured
        due = plan.schedule.times[index]
        measured.sent[index] = perf_counter() - start
        limits = plan.schedule.patience
        until = None if limits is None else max(start + due + limits[index] - perf_counter(), 0.0)
        error: Exception | None = None
        length = 0
        try:
            with gevent.Timeout(until, Impatient):
                for failures in range(1 + plan.scenario.offered().client_retries):
                    if failures:
                        gevent.sleep(back_off(failures))
                    length, error = self._try(client, index, path, fields, places)
                    if error is None:
                        measured.ended[index] = perf_counter() - start
                        break
        except Impatient as left:
            error = left
            measured.gone[index] = True
        over = perf_counter() - start
        if error is not None:
            measured.lost[index] = over
        self.environment.events.request.fire(
            request_type="GET",
            name=path,
            response_time=1e3 * (over - due),
            response_length=length,
            exception=error,
            context={},
        )

    def _try(
        self,
        client: HTTPClient,
        index: int,
        path: str,
        fields: dict[str, str],
        places: dict[str, int],
    ) -> tuple[int, Exception | None]:
        """Length of the body, and what was wrong."""
        try:
            answer = client.get(path, headers=fields)
            length = len(answer.read())
        # Refused, reset, silent, or not HTTP.
        except (OSError, ValueError, HTTPException) as trouble:
            return 0, trouble
        self.plan.measured.backend[index] = places.get(answer.get("X-Backend-Server", ""), -1)
        status = answer.status_code
        return length, None if status == 200 else RuntimeError(f"status {status}")


def _look(watch: Watch, client: HTTPClient, start: float) -> None:
    while True:
        gevent.sleep(max(start + watch.next_look() - perf_counter(), 0.0))
        at, told = perf_counter() - start, b""
        with suppress(OSError, ValueError, HTTPException):
            told = client.get(urlsplit(watch.url).path).read()
        watch.saw(at, told)


class Impatient(Exception):
    """The client has left: its connection closes."""


def _refuse(why: str, status: int) -> None:
    print(why, file=sys.stderr)
    sys.exit(status)
