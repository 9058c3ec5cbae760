"""What everybody in the proxy needs and nobody owns: time, limits, who clients are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from lb.config import Scenario
from lb.measures import Requests
from lb.proxy.http.hop import Intermediary
from lb.proxy.http.keys import KeyOf
from lb.proxy.http.message import Answer
from lb.proxy.http.tracing import Marks
from lb.proxy.logs.log import Log
from lb.proxy.logs.teller import Teller
from lb.proxy.reaching import Ways
from lb.proxy.refusals import Refusals
from lb.proxy.tls.credentials import Credentials
from lb.recording.writer import RecordedBalancer

Endpoint = Callable[[Callable[[Answer], None]], None]
"""Tells the answer, now or later."""


class Context:
    """Made inside a running event loop."""

    def __init__(
        self, scenario: Scenario, log: Log, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`now` is the time that everything goes by, seconds; that of the loop may be coarser.

        Raises ConfigError where a certificate is no good.
        """
        self.loop = asyncio.get_running_loop()
        self.now = now
        self.log = log
        self.refusals = Refusals(log)
        self.adopt(scenario, Credentials.read(scenario))
        self.endpoints: dict[bytes, Endpoint] = {}
        """By path: what the proxy answers by itself."""
        self.teller: Teller | None = None
        """Hears of every request that has ended, but for those that it passes over."""
        self.collector: Teller | None = None
        """Hears of those whose trace is `recorded`."""
        self.recorded: RecordedBalancer[Any] | None = None
        """Hears what became of every request, if there is a recording."""
        self.marks: Marks | None = None
        """What requests are told apart by, if they are."""
        self.measured = Requests()
        """How long requests and attempts took."""
        self.brisk = True
        """What is told at once is done at once, see `Exchange.go` and `Exchange.come`; without it
        all events come one by one, and nothing else is different."""
        self.exchange: Any
        """What is made of a request: the type of exchanges."""
        self.key_of: KeyOf | None = None
        """None while the algorithm sees no keys."""
        self.make_room: Callable[[], None] = lambda: None
        """Called when descriptors are missing."""
        self.cookie: bytes | None = None
        """The name of the cookie that tells a client's backend, if there is one."""

    def learn(self, scenario: Scenario, credentials: Credentials) -> None:
        """How backends are reached, those of a file and those that are found."""
        self.credentials = credentials
        self.ways = Ways(scenario, credentials)

    def adopt(self, scenario: Scenario, credentials: Credentials) -> None:
        """What of a file is only looked at: in force from here on."""
        self.learn(scenario, credentials)
        self.timeouts = scenario.timeouts
        self.total = scenario.timeouts.total
        self.limits = scenario.limits
        self.half_close = scenario.server.half_close
        self.intermediary = Intermediary(scenario.limits, scenario.server.upgrades)
        self.trusted: Sequence[IPv4Network | IPv6Network] = [
            ip_network(network) for network in scenario.server.trusted_proxies
        ]
        self.backend_header = scenario.server.backend_header
        """Clients hear in X-Backend-Server who answered."""
