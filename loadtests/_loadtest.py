"""One load test from its start to its verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

import gevent
from _hands import Alone, Together
from _plan import Outputs, Plan
from locust import LoadTestShape
from locust.env import Environment
from locust.runners import MasterRunner

from lb.cli import streams
from lb.errors import LbError
from sim.live.measurement import Measurement
from sim.live.progress import Progress
from sim.live.verdict import Verdict
from sim.result import Result


class LoadTest:
    """What runs between locust's test_start and its test_stop."""

    def __init__(self, environment: Environment, plan: Plan, predicted: Prediction | None) -> None:
        self._environment = environment
        self.plan, self._prediction = plan, predicted
        kind = Together if isinstance(environment.runner, MasterRunner) else Alone
        self.hands: Alone | Together = kind(environment, plan)
        self.over = self.judged = self._begun = self._stopping = False
        self._ended = 0.0
        self.verdict: Verdict | None = None
        """Once it is judged, if it could be written."""

    def begin(self) -> None:
        """Locust's users are there."""
        if not self._begun:
            self._begun = True
            gevent.spawn(self._conduct)

    def _conduct(self) -> None:
        try:
            if self._prediction is not None:
                self._prediction.wait()
            if not self._stopping and not self.hands.trouble:
                self.hands.play()
        except LbError as error:
            self.hands.trouble.append(str(error))
        finally:
            self._has_ended()
            self._end()

    def _end(self) -> None:
        if self._stopping:
            return  # somebody else ends it
        # The web UI stays open for a look.
        runner = self._environment.runner
        headless = self._environment.parsed_options.headless
        gevent.spawn(runner.quit if headless else runner.stop)

    def stop(self) -> None:
        """Somebody wants it to end, or it has."""
        self._stopping = True
        self._has_ended()
        self.hands.stop()

    def _has_ended(self) -> None:
        self.over = True
        self._ended = self._ended or perf_counter()

    def judge(self, outputs: Outputs) -> int:
        """Print and write the verdict; the exit status."""
        measured = self.hands.measured()
        predicted = None if self._prediction is None else self._prediction.result
        try:
            self.verdict = outputs.judge(self.plan, measured, self.hands.trouble, predicted)
            return self.verdict.judgement.exit_status
        except LbError as error:
            print(error, file=sys.stderr)
            return error.exit_status
        except OSError as error:
            streams.failed(error)
            return 1
        finally:
            self.judged = True

    def elapsed(self) -> float:
        """Seconds since the first instant of the schedule, to its end; zero before it."""
        now = self._ended or perf_counter()
        return max(now - self.hands.start, 0.0) if self.hands.start else 0.0

    def measured(self) -> Measurement:
        """What was seen so far."""
        return self.hands.measured()


class Prediction:
    """What the simulator says of a plan, found beside everything else before the load starts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.result: Result | None = None
        self.progress: Progress | None = None
        self._heeded = True
        self._working = gevent.spawn(self._work)

    def fits(self, measured: Measurement) -> bool:
        """Whether it is of backends that heed what they are sent, or do not, as these."""
        return measured.heeded or (not self._heeded and self._working.ready())

    def again(self) -> None:
        """Anew, of backends that find work of their own."""
        if self._heeded:
            self._heeded = False
            self._working = gevent.spawn(self._work)

    def _work(self) -> None:
        # In a thread of its own the page is there meanwhile; a load starts only afterwards.
        asked = (self.plan, self._heeded)
        self.result, self.progress = gevent.get_hub().threadpool.apply(_predicted, asked)

    def wait(self) -> None:
        """Until it is there. Raises what the simulator does."""
        self._working.get()


def _predicted(plan: Plan, heeded: bool) -> tuple[Result, Progress]:
    result = plan.predict(heeded=heeded)
    return result, Progress(plan.scenario, result)


class Stepping(LoadTestShape):
    """Shows with locust's users what is offered, step by step, until the test ends."""

    abstract = True

    def __init__(self, plan: Callable[[], Plan], test: Callable[[], LoadTest | None]) -> None:
        """What is planned, and the test that is under way."""
        super().__init__()
        self._plan, self._test = plan, test
        self._begun = False

    def reset_time(self) -> None:
        """A test is about to start."""
        super().reset_time()
        self._begun = False

    def tick(self) -> tuple[int, float] | None:
        """Users and how quickly they are there; None ends the test."""
        test = self._test()
        if test is None:
            return None if self._begun else (self._plan().shown(0.0), 100.0)
        self._begun = True
        return test.plan.shown(test.elapsed()), 100.0
