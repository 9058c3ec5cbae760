"""The driver: carries out what the balancer decides, and owns everything that lives.

It holds the one balancer, the connections, the shared time limits and a single timer.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_network
from random import Random

from lb.balancing import (
    Backend,
    Balancer,
    Changed,
    LoadReport,
    Outcome,
    Probe,
    ProbeKind,
    Refuse,
    Start,
)
from lb.balancing.health import Health
from lb.config import Scenario, host_and_port
from lb.errors import CannotListen
from lb.proxy import endpoints
from lb.proxy.exchange.client import ClientConnection
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.exchange.tunnel import Tunnel
from lb.proxy.health.prober import Prober
from lb.proxy.http.keys import key_of
from lb.proxy.logs.log import Log
from lb.proxy.logs.recorder import Recorder
from lb.proxy.timers import Deadlines
from lb.proxy.upstream.pool import UpstreamPool
from lb.strategies import spec
from lb.system import reason

BACKLOG = 1024
"""Connections the kernel keeps for us until we accept them."""
TICK = 0.05
"""Seconds between two looks at the time limits, and so their resolution."""


class Driver:
    """One running proxy. `start`, then `stop`."""

    now: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(
        self,
        scenario: Scenario,
        log: Log,
        rng: Random | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """Must be made inside a running event loop. A `recorder` brings its own `rng`."""
        self.loop = asyncio.get_running_loop()
        self.log = log
        self.timeouts = scenario.timeouts
        server = scenario.server
        self._listen = server.listen
        self.trusted = [ip_network(network) for network in server.trusted_proxies]
        self.limits = scenario.limits
        self._recorder = recorder
        self.balancer: Balancer[Exchange] = (
            scenario.balancer(rng or Random(), self.now())
            if recorder is None
            else recorder.balancer(scenario, self.now())
        )
        for backend in self.balancer.pool.backends:
            backend.driver = UpstreamPool(self, backend)
        needs = spec(self.balancer.algorithm).needs
        # A recording may be replayed under any algorithm.
        needs_key = recorder is not None or "key" in needs
        kind, _, name = scenario.key.partition(":")
        sets_cookie = "sets_cookie" in needs and kind == "cookie"
        self.key_of = (
            key_of(scenario.key, self.trusted, newcomers_apart=sets_cookie) if needs_key else None
        )
        self.cookie = name.encode() if sets_cookie else None
        self.endpoints: dict[bytes, Callable[[], tuple[int, bytes]]] = {}
        if server.health_path:
            self.endpoints[server.health_path.encode()] = lambda: endpoints.health(self.balancer)
        if server.stats_path:
            self.endpoints[server.stats_path.encode()] = lambda: endpoints.stats(
                self.balancer, self.now()
            )
        self.access_log = self._log_access if server.access_log else None

        limits = scenario.timeouts
        self.clients: set[ClientConnection] = set()
        self.header = Deadlines(limits.header, ClientConnection.too_slow)
        self.client_idle = Deadlines(limits.client_idle, ClientConnection.too_slow)
        self._response: Deadlines[Exchange] = Deadlines(
            limits.response, lambda exchange: exchange.broken(Outcome.TIMEOUT)
        )
        self._stalled: Deadlines[Exchange] = Deadlines(
            limits.client_idle, lambda exchange: exchange.client.cut_off()
        )
        self._tunnels: Deadlines[Tunnel] = Deadlines(limits.tunnel, Tunnel.close)
        self._deadlines = (
            self.header,
            self.client_idle,
            self._response,
            self._stalled,
            self._tunnels,
        )
        self._draining = False
        self._deserted = asyncio.Event()  # the last client has gone
        self._prober = Prober(scenario.health)
        self._probes: set[asyncio.Task[None]] = set()
        self._first_answers = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- life

    async def start(self) -> None:
        """Ask every backend once, then listen. Raises CannotListen."""
        host, port = host_and_port(self._listen)
        try:
            self._server = await self.loop.create_server(
                lambda: ClientConnection(self), host, port, backlog=BACKLOG, start_serving=False
            )
            # A port in use is known before anybody is probed; whoever connects waits until then.
            # Binding alone would not tell, and uvloop keeps to itself when it cannot listen later.
            for bound in self._server.sockets:
                with socket.socket(fileno=os.dup(bound.fileno())) as listener:
                    listener.listen(BACKLOG)
            self._tick()
            await self._first_answers.wait()
            await self._server.start_serving()
        except OSError as error:
            raise CannotListen(f"cannot listen on {self._listen}: {reason(error)}") from None

    @property
    def addresses(self) -> Sequence[str]:
        """Where it listens, as host:port."""
        assert self._server is not None
        names = [socket.getsockname() for socket in self._server.sockets]
        return [f"[{n[0]}]:{n[1]}" if ":" in n[0] else f"{n[0]}:{n[1]}" for n in names]

    async def stop(self) -> bool:
        """Take no more connections, finish what is in flight, close. False if time ran out."""
        if self._server is not None:
            self._server.close()
        self._draining = True
        for client in list(self.clients):
            client.drain()
        in_time = await self._desertion(self.timeouts.drain)
        for client in list(self.clients):
            client.cut_off()
        await self._desertion(1.0)  # connections are lost from the loop
        if self._timer is not None:
            self._timer.cancel()
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        await self._prober.close()
        for backend in self.balancer.pool.backends:
            backend.driver.close()
        await asyncio.sleep(0)  # so do the transports close
        if self._recorder is not None:
            self._recorder.close()
        return in_time

    def hurry(self) -> None:
        """Let `stop` wait no longer for what is in flight."""
        self._deserted.set()

    async def _desertion(self, seconds: float) -> bool:
        """Wait until the last client is gone; False when it stayed."""
        if self.clients:
            self._deserted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._deserted.wait()
        return not self.clients

    def joined(self, client: ClientConnection) -> None:
        self.clients.add(client)
        if self._draining:
            client.drain()

    def left(self, client: ClientConnection) -> None:
        self.clients.discard(client)
        if self._draining and not self.clients:
            self._deserted.set()

    def _tick(self) -> None:
        self._timer = self.loop.call_later(TICK, self._tick)
        now = self.now()
        if now >= self.balancer.wakes_at:
            self.balancer.wake(now)
            self.drain()
        for deadlines in self._deadlines:
            deadlines.sweep(now)
        for backend in self.balancer.pool.backends:
            backend.driver.close_idle(now - self.timeouts.idle)
        if not self._first_answers.is_set() and all(
            backend.health.state is not Health.UNKNOWN for backend in self.balancer.pool.backends
        ):
            self._first_answers.set()
        if self._recorder is not None:
            self._recorder.flush()

    # --- what the balancer asks for

    def drain(self) -> None:
        """Carry out the balancer's actions."""
        out = self.balancer.out
        while out:
            match out.popleft():
                case Start(lease):
                    lease.call.start(lease)
                case Refuse(call, why):
                    call.refuse(why)
                case Probe(backend, kind):
                    ask = self._probe if kind is ProbeKind.HEALTH else self._ask_for_load
                    task = self.loop.create_task(ask(backend))
                    self._probes.add(task)
                    task.add_done_callback(self._probes.discard)
                case Changed(backend, why):
                    level = "info" if backend.healthy else "warning"
                    self.log(level, f"backend {backend.standing}", backend=backend.name, reason=why)

    async def _probe(self, backend: Backend) -> None:
        result = await self._prober.probe(backend)
        self.balancer.observed(backend, self.now(), result)
        self.drain()

    async def _ask_for_load(self, backend: Backend) -> None:
        report = await self._prober.load(backend)
        if report is not None:
            self.reported(backend, report)

    def reported(self, backend: Backend, report: LoadReport) -> None:
        """A backend has said how loaded it is."""
        self.balancer.observed(backend, self.now(), report)

    # --- time limits of exchanges

    def owed(self, exchange: Exchange, now: float) -> None:
        """A backend owes this exchange (more of) an answer from now on."""
        if self._stalled.waiting:
            self._stalled.stop(exchange)
        self._response.start(exchange, now)

    def stalled(self, exchange: Exchange) -> None:
        """Its client does not read."""
        self._response.stop(exchange)
        self._stalled.start(exchange, self.now())

    def settled(self, exchange: Exchange) -> None:
        self._response.waiting.pop(exchange, None)
        if self._stalled.waiting:
            self._stalled.stop(exchange)

    # --- tunnels

    def tunnel(self, exchange: Exchange) -> None:
        """Join the two connections of an exchange for good."""
        client, upstream = exchange.client, exchange.upstream
        assert isinstance(client, ClientConnection)
        assert upstream is not None
        front, ahead = client.into_tunnel()
        back, behind = upstream.into_tunnel()

        def over(tunnel: Tunnel) -> None:
            self._tunnels.stop(tunnel)
            exchange.tunnel_closed()
            client.connection_lost(None)

        tunnel = Tunnel(
            front, back, moved=lambda tunnel: self._tunnels.start(tunnel, self.now()), over=over
        )
        front.write(behind)
        back.write(ahead)
        if client.half_closed:
            tunnel.client.eof_received()

    def _log_access(self, exchange: Exchange, peer: bytes) -> None:
        backend = exchange.lease.backend.name if exchange.lease else None
        self.log(
            "info",
            "request",
            client=peer.decode(),
            method=exchange.request.method.decode(),
            target=exchange.request.target.decode("latin-1"),
            status=exchange.status,
            backend=backend,
            ms=round((self.now() - exchange.arrived_at) * 1e3, 3) if exchange.arrived_at else 0,
        )
