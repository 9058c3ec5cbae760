"""The proxy's own tables: where it listens, its time limits, how large a message may be."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from lb.config.files import NamedFile
from lb.config.laws import Law
from lb.config.listeners import ListenerTls
from lb.config.values import (
    UNIX,
    Address,
    Addresses,
    Mistakes,
    PositiveDuration,
    Size,
    Table,
    UrlPathOrNone,
    Workers,
    each,
    host_and_port,
)

OTHER_HTTP = frozenset({"http", "h2", "h2c", "h3"})
"""Protocols never switched to: requests would pass that nobody here has looked at."""
_TOKEN = re.compile(r"[!#-'*+.^_`|~0-9A-Za-z-]+")


class ProxyModel(Table):
    """What a balancer's own work costs, which its one thread does in turn; read by lb simulate."""

    service: Law
    """Of each request, before a backend is picked for it."""
    answer: Law | None = None
    """Of each answer, on its way to the client; nothing unless given."""

    @property
    def cost(self) -> float:
        """Seconds of each request and its answer, on average."""
        return self.service.mean + (0.0 if self.answer is None else self.answer.mean)

    @property
    def capacity(self) -> float:
        """Requests per second that a balancer can see to."""
        return 1 / self.cost if self.cost else float("inf")


class Server(Table):
    """What the proxy is towards its clients."""

    listen: Addresses = "127.0.0.1:8080"
    """host:port, [v6]:port, unix:/path, or a list of them. [::] is all addresses of IPv6 and none
    of IPv4, which 0.0.0.0 is. Further ones that differ in how clients speak there are
    [[listener]]s; with those alone this is not listened on unless given."""
    tls: ListenerTls | None = None
    """Clients at `listen` speak TLS."""
    workers: Workers = 1
    """Processes that serve, or "auto": one for each core that there is. Each balances the requests
    that come to it; limits and budgets are divided among them."""
    admin: Address | None = None
    """Where the control plane listens: status page, metrics, control. Off unless given. A Unix
    socket, which is for its owner alone, and a loopback address need no token; others do."""
    admin_token_file: NamedFile | None = None
    """Holds the token that the control plane asks for: `Authorization: Bearer ...`. Read at the
    start and at each reload."""
    health_path: UrlPathOrNone = "/lb-health"
    """Answers 200 while some backend is usable; empty to switch it off."""
    stats_path: UrlPathOrNone = "/lb-stats"
    """Tells what every backend is doing; empty to switch it off."""
    backend_header: bool = True
    """Clients hear in X-Backend-Server who answered; the load test needs it."""
    upgrades: Annotated[tuple[str, ...], Field(strict=False)] = ("websocket",)
    """Protocols a connection may be upgraded to; ["*"] is all but HTTP itself, never passed."""
    trusted_proxies: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Networks whose X-Forwarded-* and Forwarded fields are kept, and X-Forwarded-For extended."""
    half_close: bool = False
    """Whether a client that has closed its side still gets its answers; else it has gone."""
    model: ProxyModel | None = None
    """What each balancer's own work costs on paper; nothing unless given."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of `listen`."""
        return (self.listen,) if isinstance(self.listen, str) else self.listen

    @field_validator("upgrades")
    @classmethod
    def _protocols(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return each(names, _protocol)

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return each(networks, ip_network)

    @model_validator(mode="after")
    def _guarded(self) -> Server:
        if self.admin is not None and self.admin_token_file is None and not near(self.admin):
            why = f"{self.admin} can be reached from elsewhere; give admin_token_file, or listen on"
            raise Mistakes((("admin",), f"{why} 127.0.0.1 or a Unix socket"))
        return self

    @model_validator(mode="after")
    def _two_paths(self) -> Server:
        if self.stats_path and self.stats_path == self.health_path:
            key, other = "stats_path", "health_path"
            if key not in self.model_fields_set:
                key, other = other, key
            why = f"{self.stats_path!r} is {other} too; the two answers are not the same"
            raise Mistakes(((key,), why))
        return self


def near(address: str) -> bool:
    """Whether only this machine reaches it."""
    if address.startswith(UNIX):
        return True
    host, _ = host_and_port(address)
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _protocol(name: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f'{name!r} is no protocol, such as "websocket"')
    if name.lower() in OTHER_HTTP:
        raise ValueError(f"{name} would pass requests that nobody has looked at")


class Timeouts(Table):
    """How long is waited for whom."""

    connect: PositiveDuration = 1.0
    """For a connection to a backend."""
    header: PositiveDuration = 10.0
    """For a client to send a whole request head."""
    attempt: PositiveDuration | None = None
    """For one try, from the pick of a backend to the first byte of its answer; off unless given.
    Then another may be tried. It does not run out while the client is still sending its body."""
    response: PositiveDuration = 60.0
    """Silence of a backend that owes an answer."""
    idle: PositiveDuration = 15.0
    """Unused connections to backends are closed after this."""
    total: PositiveDuration | None = None
    """From a request's head to the last byte of its answer; off unless given. 504, or cut off."""
    client_idle: PositiveDuration = 60.0
    """For the next request of a client that is connected."""
    drain: PositiveDuration = 30.0
    """After SIGTERM, for requests in flight."""
    tunnel: PositiveDuration = 3600.0
    """Silence of both sides of a WebSocket, or of whatever else a connection was upgraded to."""


class Limits(Table):
    """How large a message may be, which is refused else; how many clients there may be."""

    request_line: Annotated[Size, Field(ge=64)] = 8 * 1024
    """Method, target and version; 414."""
    header_bytes: Annotated[Size, Field(ge=256)] = 64 * 1024
    """The fields of one head, or its trailers; 431, and 502 when a backend says them."""
    header_count: Annotated[int, Field(ge=8)] = 200
    """Fields in one head; the same."""
    body: Annotated[Size, Field(ge=0)] | None = None
    """Of a request; 413. Unlimited unless given: bodies are passed on as they come."""
    body_rate: Annotated[Size, Field(ge=1)] | None = None
    """Bytes a second that a request's body must keep, judged from its fifth second on; 408."""
    client_connections: Annotated[int, Field(ge=1)] = 10_000
    """Clients connected at a time, fewer where the system allows too few open files. Beyond it the
    one that has been idle longest is closed; while none is idle, newcomers wait to be accepted."""
