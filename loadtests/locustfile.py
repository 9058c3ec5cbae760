"""The real proxy against the simulator's prediction.

    locust -f loadtests/ --host http://127.0.0.1:8080 [--headless] [--scenario FILE]

What is sent, and when, is drawn ahead: a schedule that waits for nobody, or users each of whom
waits for its answers. Locust's own users show how much is offered: one for each request per second
of a schedule (or each ten, hundred ...), one for each of the scenario's users. Latency counts from
the intended time. In the end the same is simulated, both are printed, verdict.json is written, and
a missed prediction makes the exit status 4. With --quiet nothing is said but errors.

With --processes N, or --master and --worker, the load is dealt out to workers, clocks are compared,
and what all of them saw becomes one verdict.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import Any
from urllib.parse import urlsplit

import _loadtest
import gevent
from _hands import Together, Worker
from _looking import Running, running
from _panel import Panel
from _plan import Outputs, Plan, shipped
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from lb.cli import streams
from lb.errors import LbError, UsageError
from lb.terminal import Terminal
from sim.live.noting import BACKEND

streams.prepare()
DEFAULT = "round_robin"
TARGETS = ("lb", "haproxy", "nginx", "other")
HEARD_FROM_WORKERS = ("lb_ready", "lb_pong", "lb_seen")
HEARD_FROM_MASTER = ("lb_deal", "lb_ping", "lb_start", "lb_stop")
CONTRADICTIONS = {
    ("--master", "--worker"): "are two processes; give one of them",
    ("--master", "--processes"): "say the same: workers of this machine have their master",
}
"""Options that locust would not refuse, or not with status 2."""
COMING = 10.0
"""Seconds in which workers of this machine have found their master."""


class State:
    """What this process is about."""

    plan: Plan
    outputs: Outputs
    test: _loadtest.LoadTest | None = None
    last: _loadtest.LoadTest | None = None
    """The same, and when it is over still."""
    prediction: _loadtest.Prediction | None = None


class Client(User):
    """Stands for a user of the scenario, or for a request per second: who sends is elsewhere."""

    @task
    def wait(self) -> None:
        """Until locust has no more use for it."""
        gevent.sleep(3600)


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    given = {argument.partition("=")[0] for argument in sys.argv[1:]}
    for pair, why in CONTRADICTIONS.items():
        if given >= set(pair):
            _refuse(f"{pair[0]} and {pair[1]} {why}", 2)
    group = parser.add_argument_group("lb")

    def option(name: str, **more: Any) -> None:
        variable = "LB_" + name.strip("-").replace("-", "_").upper()
        action = group.add_argument(name, env_var=variable, **more)
        # The others decide what this process is, before it shows a page.
        action.include_in_web_ui = name == "--seed"

    option(
        "--scenario",
        default=DEFAULT,
        help=f"Scenario file, or a shipped one: {', '.join(sorted(shipped()))}.",
    )
    option(
        "--algorithm",
        metavar="NAME",
        default=None,
        help="What the balancer runs, in place of the scenario's, as p2c or p2c:choices=3.",
    )
    option("--seed", type=int, default=None, help="Of the load, in place of the scenario's.")
    option(
        "--steps",
        metavar="N:TIME,...",
        default=None,
        help="So many requests per second, or users, for so long each, as in 50:10s,100:20s.",
    )
    option("--verdict", default="verdict.json", help="Where the verdict goes.")
    option("--junit", metavar="FILE", default=None, help="The verdict as JUnit XML.")
    option(
        "--summary",
        metavar="FILE",
        default=None,
        help="Append the verdict as Markdown, as for $GITHUB_STEP_SUMMARY.",
    )
    option(
        "--target-kind",
        choices=TARGETS,
        default="lb",
        help="Which balancer it is; of another than lb nothing but its answers is asked.",
    )
    option(
        "--backend-header",
        metavar="FIELD",
        default=BACKEND,
        help="Field of an answer that names its backend, by name or address. Where it is missing "
        "modelled backends name themselves.",
    )
    option("--quiet", action="store_true", help="Say nothing but errors.")
    # Locust begins to say things before it tells us what was asked for.
    if "--quiet" in sys.argv or os.environ.get("LB_QUIET", "").lower() in ("1", "true", "yes"):
        parser.set_defaults(loglevel="ERROR", only_summary=True)


@events.init.add_listener
def _init(environment: Environment, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        _work(environment)
        return
    options = environment.parsed_options
    try:
        _checked(options)
        # Locust's own clock of a run starts long before the load.
        options.length, options.run_time = options.run_time, None
        plan = Plan.of(options, options.num_users)
        now = running(plan) if options.headless else Running()
        if other := now.another(plan):
            raise UsageError(other)
        State.plan = plan = plan.with_balancers(now.balancers(plan))
        State.outputs = Outputs(options)
        terminal = Terminal(quiet=options.quiet)
        plan.introduce(terminal)
        if options.num_users is not None and plan.people is None:
            terminal.say("--users says nothing here: the scenario's arrivals wait for nobody.")
        for name in ("tags", "exclude_tags"):
            if getattr(options, name):
                setattr(options, name, None)
                flag = name.replace("_", "-")
                terminal.say(f"--{flag} says nothing here: there is one kind of request.")
    except LbError as error:
        _dismiss(environment)
        _refuse(str(error), error.exit_status)
    except OSError as error:
        _dismiss(environment)
        streams.failed(error)
        sys.exit(1)
    if options.quiet:
        logging.getLogger("locust.stats_logger").setLevel(logging.ERROR)
    options.num_users = plan.shown(0.0)
    options.spawn_rate = max(100, plan.shown(0.0) // 5)
    if plan.people is None or plan.stepped:  # then nobody need be asked how many there are
        environment.shape_class = _loadtest.Stepping(lambda: State.plan, lambda: State.test)
        environment.shape_class.runner = environment.runner
        # Locust heeds the signal only when a shape has come to its end.
        gevent.signal_handler(signal.SIGTERM, _quitting, environment)
    for kind in HEARD_FROM_WORKERS:
        environment.runner.register_message(kind, _heard)
    environment.events.worker_connect.add_listener(_connected)
    if environment.web_ui is not None:
        State.prediction = _loadtest.Prediction(plan)
        Panel(environment.web_ui, lambda: State.last, lambda: State.prediction)


def _dismiss(environment: Environment) -> None:
    """Send workers home: who waits for a master that is gone does so for a minute."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        with gevent.Timeout(COMING, False):
            while len(runner.clients) < (environment.parsed_options.processes or 0):
                gevent.sleep(0.05)
        runner.quit()


def _checked(options: Any) -> None:
    _seed(options.seed)
    _url(options.host or "http://127.0.0.1:8080")
    if options.num_users is not None and options.num_users < 1:
        raise UsageError(f"--users {options.num_users}: there must be one at least")


def _seed(given: Any) -> int | None:
    """A page gives text."""
    if given in (None, ""):
        return None
    if not str(given).isdecimal():
        raise UsageError(f"--seed {given}: a seed is a number from zero up")
    return int(given)


def _url(host: str) -> str:
    if not _plain(host):
        raise UsageError(f"--host {host!r}: write http://host:port")
    return host


def _plain(host: str) -> bool:
    """Whether it is an address that load can be sent to."""
    try:
        parts = urlsplit(host)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _work(environment: Environment) -> None:
    """As a worker: whatever the master says."""
    worker = Worker(environment)
    for kind in HEARD_FROM_MASTER:
        environment.runner.register_message(
            kind, lambda environment, msg: worker.heard(msg.type, msg.data)
        )
    environment.process_exit_code = 0  # the master's verdict decides


def _heard(environment: Environment, msg: Any, **_: Any) -> None:
    if State.test is not None and isinstance(State.test.hands, Together):
        State.test.hands.heard(msg.type, msg.node_id, msg.data)


def _connected(client_id: str, **_: Any) -> None:
    if State.test is not None and isinstance(State.test.hands, Together):
        State.test.hands.connected(client_id)


@events.test_start.add_listener
def _begin(environment: Environment, **_: Any) -> None:
    if not isinstance(environment.runner, LocalRunner | MasterRunner):
        return  # a worker, perhaps one that came too late to know who it is
    plan, web_ui = State.plan, environment.web_ui
    trouble = ""
    try:
        asked = _asked(environment)
        if any(plan.asked[name] != value for name, value in asked.items()):
            State.plan = plan = plan.changed(**asked)
        if web_ui is not None:
            now = running(plan)
            State.plan = plan = plan.with_balancers(now.balancers(plan))
            trouble = now.another(plan)
    except LbError as error:
        trouble = str(error)
    if web_ui is not None and State.prediction.plan is not plan:
        State.prediction = _loadtest.Prediction(plan)
    State.test = State.last = _loadtest.LoadTest(environment, plan, State.prediction)
    if trouble:
        print(trouble, file=sys.stderr)
        State.test.hands.trouble.append(trouble)


def _asked(environment: Environment) -> dict[str, Any]:
    """What a page's form may say otherwise than the command line. Raises UsageError."""
    options, plan = environment.parsed_options, State.plan
    asked: dict[str, Any] = {"url": _url(environment.host or plan.url)}
    if environment.web_ui is not None:
        asked["seed"] = _seed(options.seed)
        if plan.people is not None and not plan.stepped:
            asked["users"] = environment.runner.target_user_count
    return asked


@events.spawning_complete.add_listener
def _spawned(**_: Any) -> None:
    if State.test is not None:
        State.test.begin()


@events.test_stopping.add_listener
def _stopping(**_: Any) -> None:
    if State.test is not None:
        State.test.stop()


@events.test_stop.add_listener
def _judge(environment: Environment, **_: Any) -> None:
    # Locust would report a failed request as exit status 1; here the verdict alone decides.
    if State.test is not None:
        test, State.test = State.test, None
        environment.process_exit_code = test.judge(State.outputs)


@events.quitting.add_listener
def _quitting(environment: Environment, **_: Any) -> None:
    # Stopped by Ctrl-C or SIGTERM, what was sent is judged all the same.
    if State.test is not None:
        environment.runner.quit()


def _refuse(why: str, status: int) -> None:
    print(why, file=sys.stderr)
    sys.exit(status)
