"""How HAProxy asks servers how they are, as lines of a backend and words of a server."""

from __future__ import annotations

from collections.abc import Iterator

from lb.config import BackendTable, Scenario
from lb.foreign import common
from lb.foreign.common import milliseconds as ms
from lb.foreign.exported import Lacks
from lb.foreign.haproxy.words import word

KEYS = frozenset({"interval", "fast_interval", "rise", "fall", "port", "enabled"})
"""Keys of a check that each server may have its own of."""
MOST_SPREAD = 0.5
NAME = "%[srv_name]"
"""What a server is called here, in a line for all."""


def spread(file: Scenario, lacks: Lacks) -> Iterator[str]:
    """The line of `global`."""
    jitter = file.health.jitter
    if jitter and file.health.enabled:
        if jitter > MOST_SPREAD:
            lacks.add(("health", "jitter"), f"{MOST_SPREAD:.0%} of the interval at most")
        yield f"spread-checks {round(100 * min(MOST_SPREAD, jitter))}"


def lines(file: Scenario, lacks: Lacks) -> Iterator[str]:
    """What is asked and expected of all."""
    for number, key in common.own_health(file, KEYS):
        lacks.add(("backend", number, "health", key), "checks ask all servers the same")
    table = file.health
    if not any(row.checked_by(table).enabled for row in file.backends) or table.kind == "tcp":
        return
    yield "option httpchk"
    host = common.ascii_address(table.host) if table.host else _by_name(file, lacks)
    yield f"http-check send meth GET uri {word(table.path)} ver HTTP/1.1 hdr Host {host}"
    yield f"http-check expect status {table.expect.replace(', ', ',')}"
    if table.match is not None:
        yield f"http-check expect rstring {word(table.match)}"


def _by_name(file: Scenario, lacks: Lacks) -> str:
    """Each server's own address, as lb says it, where that is what it is called."""
    if all(row.label == row.address for row in file.backends):
        return NAME
    lacks.add(("health", "host"), "checks say the same Host to all servers: lb, unless given")
    return "lb"


def words(row: BackendTable, file: Scenario) -> Iterator[str]:
    """Of one server."""
    table = row.checked_by(file.health)
    if not table.enabled:
        return
    yield f"check inter {ms(table.interval)} fastinter {ms(table.fast_interval)}"
    yield f"rise {table.rise} fall {table.fall}"
    if table.port:
        yield f"port {table.port}"
        if row.tls is not None:  # at a port of their own checks are plain unless told
            yield "check-ssl"
        if row.proxy_protocol is not None:
            yield "check-send-proxy"
