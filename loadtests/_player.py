"""One generator: sends its part of a plan at its times, and never waits for an answer of others."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from http.client import HTTPException
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.event
import numpy as np
from _plan import Plan
from gevent import monkey
from geventhttpclient import HTTPClient

from sim.engine.clients import back_off
from sim.live.clients import longest_answer
from sim.live.dealing import Packed, pack, part
from sim.live.noting import Notes, Sheet
from sim.live.users import fields_of
from sim.model.arrivals import Schedule
from sim.model.users import Place

AT_ONCE = 20_000
"""Connections that may be open at a time."""
NEAR = 1.5e-3
"""Seconds before a time that gevent, whose clock ticks in milliseconds, cannot be trusted with."""
select = monkey.get_original("select", "select")


class Impatient(Exception):
    """The client has left: its connection closes."""


class Player:
    """Sends what is dealt to generator `number` of `of`; `fire` tells locust of each request."""

    def __init__(
        self, plan: Plan, schedule: Schedule | None, number: int, of: int, fire: Callable[..., None]
    ) -> None:
        """`schedule` is its part already."""
        self.plan, self._schedule, self._fire = plan, schedule, fire
        self._users = [] if plan.people is None else list(range(number, plan.people.count, of))
        self.sheet = Sheet(0 if schedule is None else len(schedule))
        self._known: list[int] = []
        """Rows that ended and are not reported yet."""
        self._reported = np.zeros(len(self.sheet), bool)
        self._walking: set[gevent.Greenlet] = set()
        self._under_way: set[gevent.Greenlet] = set()
        self._ends = math.inf
        self._near: list[float] = []
        """Times that somebody sends at within the next moment."""
        events = gevent.get_hub().loop.fileno()
        self._events: int = -1 if events is None else events
        self.over = gevent.event.Event()
        target = urlsplit(plan.url)
        limit = longest_answer(plan.scenario)
        self._path = target.path or "/"
        self._tries = 1 + plan.scenario.offered().client_retries
        self._notes = Notes(plan.scenario, plan.backend_header)
        self._client = HTTPClient(
            target.hostname,
            target.port or 80,
            concurrency=AT_ONCE,
            connection_timeout=limit,
            network_timeout=limit,
        )
        self._fields = (
            [] if schedule is None else [schedule.fields(i) for i in range(len(schedule))]
        )
        gc.collect()
        gc.freeze()  # a full collection in the middle would make the generator late

    @classmethod
    def dealt(cls, plan: Plan, number: int, of: int, fire: Callable[..., None]) -> Player:
        """From the whole plan."""
        whole = plan.schedule
        return cls(plan, None if whole is None else part(whole, number, of), number, of, fire)

    def play(self, start: float) -> None:
        """Send everything, and wait for every answer; `start` is of this process's clock."""
        self.start = start
        try:
            if self._schedule is not None:
                self._spawn(self._walking, self._walk, self._schedule)
            else:
                for user in self._users:
                    self._spawn(self._walking, self._live, user)
            gevent.joinall(list(self._walking))
            gevent.joinall(list(self._under_way))
        finally:
            self._client.close()
            self.over.set()

    def stop(self) -> None:
        """Send nothing more; what was sent is still owed its answer."""
        self._ends = -math.inf
        gevent.killall(list(self._walking), block=False)

    def report(self, *, last: bool = False) -> Packed:
        """What became known since the last report; in the end also what never did."""
        columns = self.sheet.measured.columns
        rows = np.array(self._known, np.int64)
        self._known = []
        if len(self._reported) < len(self.sheet):
            more = max(len(self.sheet) - len(self._reported), len(self._reported), 1024)
            self._reported = np.concatenate([self._reported, np.zeros(more, bool)])
        self._reported[rows] = True
        if last:
            left = ~self._reported[: len(self.sheet)] & np.isfinite(columns["sent"])
            rows = np.concatenate([rows, np.flatnonzero(left)])
        return pack({"row": rows, **{name: column[rows] for name, column in columns.items()}})

    def _spawn(self, group: set[gevent.Greenlet], what: Callable[..., None], *given: Any) -> None:
        greenlet = gevent.spawn(what, *given)
        group.add(greenlet)
        greenlet.link(group.discard)

    def _walk(self, schedule: Schedule) -> None:
        patience = None if schedule.patience is None else schedule.patience.tolist()
        for row, due in enumerate(schedule.times.tolist()):
            if not self._until(due):
                return
            self.sheet.open.sent[row] = perf_counter() - self.start
            limit = None if patience is None else patience[row]
            self._spawn(self._under_way, self._send, row, due, limit, self._fields[row])

    def _live(self, user: int) -> None:
        people = self.plan.people
        assert people is not None
        place, now = Place(people, user), people.comes(user, 0.0)
        ends = math.inf if people.duration is None else people.duration
        while (due := place.due(now)) < ends and self._until(due):
            limit = None if people.patience is None else people.patience(user, place.sent)
            fields = fields_of(people, *place.send())
            row = self.sheet.add(user, due, perf_counter() - self.start)
            if len(self.sheet) == people.requests:
                self.stop_others()
            send = gevent.spawn(self._send, row, due, limit, fields)
            self._under_way.add(send)
            send.link(self._under_way.discard)
            send.join()  # if this user is stopped, its request is still owed an answer
            now = perf_counter() - self.start

    def stop_others(self) -> None:
        """Nobody sends any more, but for who does now."""
        self._ends = -math.inf
        me = gevent.getcurrent()
        gevent.killall([one for one in self._walking if one is not me], block=False)

    def _until(self, due: float) -> bool:
        """Wait for a time; whether there is anything to send then."""
        at = self.start + due
        trusted = NEAR if self._events >= 0 else 0.0
        while (delay := at - perf_counter()) > trusted:
            gevent.sleep(delay - trusted / 2)
        self._near.append(at)
        try:
            # Nearly there: look out for whatever happens on any connection until then.
            while (delay := min(self._near) - perf_counter()) > 0:
                try:
                    select([self._events], [], [], delay)
                except KeyboardInterrupt as stop:  # which is for whoever runs us
                    gevent.get_hub().handle_system_error(KeyboardInterrupt, stop)
                gevent.sleep(0)
                if at <= perf_counter():
                    break
        finally:
            self._near.remove(at)
        return due < self._ends

    def _send(self, row: int, due: float, patience: float | None, fields: dict[str, str]) -> None:
        until = None
        if patience is not None:
            until = max(self.start + due + patience - perf_counter(), 0.0)
        error: Exception | None = None
        length = 0
        try:
            with gevent.Timeout(until, Impatient):
                for failures in range(self._tries):
                    if failures:
                        gevent.sleep(back_off(failures))
                    length, error = self._try(row, fields)
                    if error is None:
                        break
        except Impatient as left:
            error = left
            self._notes.left(self.sheet.open, row)
        over = perf_counter() - self.start
        self.sheet.end(row, over, error is None)
        self._known.append(row)
        self._fire(
            request_type="GET",
            name=self._path,
            response_time=1e3 * (over - due),
            response_length=length,
            exception=error,
            context={},
        )

    def _try(self, row: int, fields: dict[str, str]) -> tuple[int, Exception | None]:
        """Length of the body, and what was wrong."""
        try:
            answer = self._client.get(self._path, headers=fields)
            length = len(answer.read())
        # Refused, reset, silent, or not HTTP.
        except (OSError, ValueError, HTTPException) as trouble:
            self._notes.broken(self.sheet.open, row, trouble)
            return 0, trouble
        status = answer.status_code
        good = self._notes.answered(self.sheet.open, row, status, answer.get)
        return length, None if good else RuntimeError(f"status {status}")
