"""The live proxy: made out of its parts, started, stopped."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from time import monotonic
from typing import Any

from lb import BUILD
from lb.aside import Lookup, system_lookup
from lb.balancing import Apply, Backend, Balancer, Setup
from lb.config import Listener, Scenario, Server
from lb.errors import UsageError
from lb.measures import Connections, Report, Worker
from lb.proxy import endpoints, listening
from lb.proxy.context import Context
from lb.proxy.descriptors import in_use, room_for_clients
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.door import Door
from lb.proxy.entrance import Entrance
from lb.proxy.exchange.client import ClientConnection
from lb.proxy.exchange.clients import Clients
from lb.proxy.exchange.exchange import Exchange, Watched
from lb.proxy.explaining import Explaining
from lb.proxy.health.prober import Prober
from lb.proxy.http.keys import key_of
from lb.proxy.listening import Bound
from lb.proxy.logs.log import Log
from lb.proxy.logs.recorder import Recorder
from lb.proxy.names import Names
from lb.proxy.sharing import Part, Sharing
from lb.proxy.telling import Telling
from lb.proxy.timers import Timers
from lb.proxy.tls.credentials import Credentials
from lb.proxy.upstream.pool import UpstreamPool
from lb.proxy.waits import INFINITY
from lb.recording.writer import RecordedBalancer

RESTED = 0.5
"""Seconds without a request that make a client idle: it may just be on its way."""
ROUNDS = 3
"""Of the event loop, after which all that had come before has been read."""
TICK = 0.05
"""Seconds between two looks at the time limits, and so their resolution."""


class Proxy:
    """One running proxy. `start`, then `stop`."""

    def __init__(
        self,
        scenario: Scenario,
        log: Log,
        rng: Random | None = None,
        recorder: Recorder | None = None,
        lookup: Lookup = system_lookup,
        now: Callable[[], float] = monotonic,
        part: Part | None = None,
    ) -> None:
        """Must be made inside a running event loop. A `recorder` brings its own `rng`.

        `part`: it is one of several that serve together.

        Raises ConfigError where a file that it names is no good.
        """
        self.context = context = Context(scenario, log, now)
        self.timers = Timers(scenario.timeouts, context.loop, context.now)
        self.clients = Clients()
        self._log = log
        self._started_at = time.time()
        self._descriptors = in_use()  # before the first client
        self.listeners = scenario.listening()
        self._bound: Bound = []
        self._key = scenario.key
        self._part = part
        self._recorder = recorder
        self.shadow: Callable[[], Mapping[str, Any]] | None = None
        """Tells what other algorithms would give."""
        self._telling = Telling(context, log)
        self._telling.adopt(self._telling.prepared(scenario))
        self.names = Names(log, lookup)
        self._prober = Prober(scenario, self.names, log, context.now, context.ways)
        self.balancer: Balancer[Exchange] = (
            Balancer(part.setup if part else scenario.setup(), rng or Random(), context.now())
            if recorder is None
            else recorder.balancer(part.setup if part else scenario.setup(), context.now())
        )
        if isinstance(self.balancer, RecordedBalancer):
            context.recorded = self.balancer
        self.dispatcher = Dispatcher(
            context,
            self.balancer,
            prober=Sharing(part.health, self._prober) if part else self._prober,
            log=log,
            site=partial(UpstreamPool, context, self.names),
            swapped=self._identify,
            recall=self._recall,
            attempt=scenario.timeouts.attempt,
        )
        self.explaining = Explaining(self.balancer, context)
        self._identify(self.balancer.needs)
        self._serve_endpoints(scenario.server)
        client = partial(ClientConnection, context, self.timers, self.dispatcher, self.clients)
        self.room = self._room_of(scenario)
        """For clients."""
        self._door = Door(
            Entrance(context, self.timers, self.clients, client).enter,
            self.clients,
            self._spare,
            self.room,
            log,
        )
        context.make_room = self._make_room
        self._timer: asyncio.TimerHandle | None = None
        self._look_at = self._lag = 0.0  # when the next tick is due, and how late the last one was

    def _serve_endpoints(self, server: Server) -> None:
        context, part = self.context, self._part
        if part is not None:
            whole = part.whole
            found = endpoints.by_path(
                server, lambda tell: whole(lambda report: tell(report.snapshot)), whole
            )
        else:
            found = endpoints.by_path(
                server,
                lambda tell: tell(self.balancer.snapshot(context.now())),
                lambda tell: tell(self.report()),
            )
        context.endpoints.clear()
        context.endpoints.update(found)

    def reopen(self) -> None:
        """Go on in a new file of the same name, should somebody have moved the access log away."""
        self._telling.reopen()

    def _room_of(self, scenario: Scenario) -> int:
        """For clients."""
        wanted = scenario.limits.client_connections
        return room_for_clients(wanted, len(scenario.backends), self._descriptors)

    def _recall(self, backend: Backend) -> None:
        """Let go on elsewhere what waits at a backend that is silent."""
        owed = [client.current for client in self.timers.response.waiters()]
        for exchange in (*backend.site.connecting, *owed):
            if exchange is not None:
                exchange.recall(backend)

    def _identify(self, needs: frozenset[str]) -> None:
        """See to it that requests have the keys and cookies that the algorithm needs."""
        context = self.context
        context.exchange = Watched if self.dispatcher.watching else Exchange
        kind, _, name = self._key.partition(":")
        sets_cookie = "sets_cookie" in needs and kind == "cookie"
        context.cookie = name.encode() if sets_cookie else None
        # A recording may be replayed under any algorithm.
        needs_key = self._recorder is not None or "key" in needs
        context.key_of = (
            key_of(self._key, context.trusted, newcomers_apart=sets_cookie) if needs_key else None
        )

    # --- control

    def adopt(
        self,
        scenario: Scenario,
        credentials: Credentials | None = None,
        setup: Setup | None = None,
    ) -> None:
        """Go on by another file, but for where to listen; `setup` is that of a part.

        Its `credentials` are read here unless they are given, since reading takes its time. Raises
        UsageError, or ConfigError where a file that it names is no good, and changes nothing. What
        is in flight goes on as it would, with the time limits that it began with.
        """
        now = self.context.now()
        credentials = credentials or Credentials.read(scenario)
        credentials.keep(self.context.credentials)
        hearers = self._telling.prepared(scenario)
        try:
            self.dispatcher.perform(Apply(setup or scenario.setup()))
        except UsageError:
            self._telling.discard(hearers)
            raise
        self._telling.adopt(hearers)
        self.context.adopt(scenario, credentials)
        self.timers.adopt(scenario.timeouts, now)
        self.dispatcher.limit_attempts(scenario.timeouts.attempt)
        self._prober.adopt(scenario, self.context.ways)
        self.dispatcher.adopt()
        self._key = scenario.key
        self._identify(self.balancer.needs)
        self._serve_endpoints(scenario.server)
        self.room = self._room_of(scenario)
        self._door.allow(self.room)

    def learn(self, scenario: Scenario) -> None:
        """Of further backends, which are about to join: how they are reached and checked.

        Raises ConfigError where a certificate is no good, and changes nothing.
        """
        self.context.learn(scenario, self.context.credentials.joined_by(scenario))
        self._prober.adopt(scenario, self.context.ways)
        self.dispatcher.adopt()
        self.room = self._room_of(scenario)
        self._door.allow(self.room)

    def report(self) -> Report:
        """How everything is now."""
        now = self.context.now()
        snapshot = self.balancer.snapshot(now)
        ours = Worker(
            pid=os.getpid(),
            started_at=self._started_at,
            clients=len(self.clients),
            requests=snapshot.requests,
            lag=self._lag,
            descriptors=in_use(),
        )
        measured = self.context.measured
        return Report(
            BUILD.name,
            snapshot,
            (ours,),
            refused=dict(self.dispatcher.refused),
            server=measured.server,
            client=measured.client,
            good=measured.good,
            ends=measured.ends,
            picks=self.explaining.picks,
            connections={
                backend.name: Connections(backend.active, backend.site.unused)
                for backend in self.balancer.pool.backends
            },
            connections_refused=dict(self.context.refusals.counts),
            dropped=self._telling.dropped,
            certificates=self.context.credentials.expiry,
            shadow=None if self.shadow is None else self.shadow(),
        )

    # --- life

    async def start(self, bound: Bound | None = None) -> None:
        """Ask every backend once, then listen: at what is `bound` for us, or where the file says.

        Raises CannotListen.
        """
        # A port in use is known before anybody is probed; whoever connects waits until then.
        if bound is None:
            bound = await listening.all_bound(self.listeners, self.names)
        self._bound = bound
        for listener, one in bound:
            self._door.adopt(listener, one)
        self.dispatcher.begin()
        self._tick()
        await self.dispatcher.answered.wait()
        self._door.open()

    @property
    def addresses(self) -> Sequence[str]:
        """Where it listens, as host:port or unix:/path."""
        return self._door.addresses

    def welcome(self, listener: Listener, connection: socket.socket) -> None:
        """Take in a client whom somebody else has accepted, on a socket that does not block."""
        self._door.welcome(listener, connection)

    async def stop(self, patience: float = 0.0) -> bool:
        """Take no more connections, finish what is in flight, close. False if time ran out.

        With `patience`, somebody else listens at the same sockets, and those who are connected
        shall go there; see `Clients.end`.
        """
        await self._close_the_door(patience)
        in_time = await self.clients.end(self.context.timeouts.drain)
        if self._timer is not None:
            self._timer.cancel()
        await self.dispatcher.close()
        await self._prober.close()
        await asyncio.sleep(0)  # so do the transports close
        if self._recorder is not None:
            self._recorder.close(served=self._timer is not None)
        self.context.refusals.tell(INFINITY)
        self._telling.close()
        return in_time

    async def _close_the_door(self, patience: float) -> None:
        """Listen no more. Whoever has come is let in, and read what he has said."""
        self.clients.expect_no_more(patience)
        if not patience:
            for _, one in self._bound:
                listening.forget(one)
        await self._door.shut()
        await self._door.settled()
        for _ in range(ROUNDS):
            await asyncio.sleep(0)

    def hurry(self) -> None:
        """Let `stop` wait no longer for what is in flight."""
        self.clients.hurry()

    def _spare(self) -> bool:
        """Close the client that has been idle longest, if one is."""
        return self.timers.spare_one(self.context.now() - RESTED)

    def _make_room(self) -> None:
        """Give up what is idle: there are no descriptors left."""
        self.dispatcher.close_idle(self.context.now())
        self._door.make_room()

    def _tick(self) -> None:
        now = self.context.now()
        self._lag = max(now - self._look_at, 0.0) if self._timer is not None else 0.0
        self._look_at = now + TICK
        self._timer = self.context.loop.call_later(TICK, self._tick)
        self.dispatcher.lagged(self._lag)
        self.dispatcher.sweep(now)
        self.timers.sweep(now)
        self._door.look()
        self.dispatcher.close_some_idle(now - self.context.timeouts.idle)
        self.context.measured.fold_sometimes(now)
        self.context.refusals.tell(now)
        self._telling.flush()
        if self._recorder is not None:
            self._recorder.tick()
