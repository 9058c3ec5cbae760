"""What the tables of one file say against each other: the one place for it.

A check reads some tables and yields mistakes, each with its place. It is made whenever these tables
are right by themselves, whatever is wrong with others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from lb.config import faults as fault_lines
from lb.config import stations
from lb.config import tiers as tier_lines
from lb.config.decisions import Hedging, Queue, Retries
from lb.config.discovery import DiscoveryTable, check_sources
from lb.config.health import HealthTable
from lb.config.listeners import ListenerTable, listeners, twice
from lb.config.model import BackendKeys, BackendTable, Run
from lb.config.outliers import Outliers
from lb.config.places import Place
from lb.config.serving import Server, Timeouts
from lb.config.values import UNIX, Mistakes

Found = Iterator[tuple[Place, str]]
Backends = Sequence[BackendTable]
Discovery = Sequence[DiscoveryTable]


def contradictions(file: Any, wrong: Collection[str] = (), *, named: bool = True) -> Found:
    """All there are among the tables of `file` but for those that are `wrong` in themselves.

    `named`: of wrong backends at least the names are right.
    """
    for check, *tables in CHECKS:
        without = set(tables) & set(wrong)
        if not without or (check is _faults and without == {"backends"} and named):
            yield from check(*(getattr(file, table) for table in tables))


def _told(key: str, check: Callable[..., None], *tables: object) -> Found:
    """What a check raises, under the key of its table."""
    try:
        check(*tables)
    except Mistakes as mistakes:
        for path, why in mistakes.found:
            yield (key, *path), why


def _somebody(backends: Backends, discovery: Discovery) -> Found:
    if not backends and not discovery:
        yield ("backend",), "no backends; give at least one [[backend]], or a [[discovery]]"


def _sources(discovery: Discovery) -> Found:
    yield from _told("discovery", check_sources, discovery)


def _priorities(backends: Backends, discovery: Discovery) -> Found:
    if backends and not discovery:
        yield from _told("backend", tier_lines.check_priorities, backends)


def _zones(tiers: tier_lines.Tiers, backends: Backends, discovery: Discovery) -> Found:
    if not discovery:
        yield from _told("tiers", tier_lines.check_zone, tiers, backends)


def _faults(faults: Sequence[fault_lines.Fault], backends: Backends) -> Found:
    yield from _told("fault", fault_lines.check, faults, backends)


def _late_faults(faults: Sequence[fault_lines.Fault], run: Run) -> Found:
    for number, fault in enumerate(faults):
        if run.duration is not None and fault.since >= run.duration:
            why = f"the run is over then, after {run.duration:g} s; begin sooner, or run for longer"
            yield ("fault", number, "from"), why


def _checks(health: HealthTable, backends: Backends, discovery: Discovery) -> Found:
    rows: list[tuple[Place, BackendKeys]] = [
        *((("backend", number), row) for number, row in enumerate(backends)),
        *((("discovery", number, "backend"), it.backend) for number, it in enumerate(discovery)),
    ]
    for place, row in rows:
        if row.health is not None:
            for key, why in row.checked_by(health).useless(row.health):
                yield (*place, "health", *key), why


def _ports(health: HealthTable, backends: Backends) -> Found:
    unix = [row.address for row in backends if row.address.startswith(UNIX)]
    if health.port and unix:
        why = f"{unix[0]} has no ports; give those that have one a health_port of their own"
        yield ("health", "port"), why


def _listeners(server: Server, tables: Sequence[ListenerTable]) -> Found:
    listen = server.addresses if "listen" in server.model_fields_set or not tables else ()
    if server.tls is not None and not listen:
        why = "nobody speaks it: there are [[listener]]s and no listen; give that, or move it there"
        yield ("server", "tls"), why
    for one in twice(listeners(listen, server.tls, tables)):
        where = one.place[:-1]
        key = "address" if where[0] == "listener" else "listen"
        yield (*where, key), f"{one.address} is given twice"


def _retries(retries: Retries) -> Found:
    off = retries.budget == retries.min_per_second == 0
    if off and retries.max and "max" in retries.model_fields_set:
        why = "nothing is ever tried again: budget is 0, and so is min_per_second"
        yield ("retries", "max"), f"{why}; give one of them, or max = 0"


def _hedges(hedging: Hedging, retries: Retries, timeouts: Timeouts) -> Found:
    after = hedging.after
    if after is None:
        return
    if retries.budget == retries.min_per_second == 0:
        why = "hedges draw from the budget of [retries], which is 0; give min_per_second"
        yield ("hedging", "after"), why
    for key in ("attempt", "response", "total"):
        limit = getattr(timeouts, key)
        if isinstance(after, float) and limit is not None and after >= limit:
            why = f"timeouts.{key} ends the attempt first, after {limit:g} s; hedge sooner"
            yield ("hedging", "after"), why
            return


def _attempts(timeouts: Timeouts) -> Found:
    attempt, total = timeouts.attempt, timeouts.total
    if attempt is not None and total is not None and attempt >= total:
        why = f"timeouts.total ends the request first, after {total:g} s; make it shorter than that"
        yield ("timeouts", "attempt"), why


def _lines(queue: Queue, backends: Backends, discovery: Discovery) -> Found:
    if queue.limit and not discovery and all(row.max_in_flight is None for row in backends):
        why = 'nobody ever waits: no backend has a max_in_flight, a number or "adaptive"'
        yield ("queue", "limit"), why


def _ejections(outliers: Outliers) -> Found:
    reasons = ("consecutive_failures", "failure_rate", "latency_factor")
    if not outliers.enabled:
        return
    if outliers.max_share == 0:
        why = "nobody may ever be ejected; to switch it off write enabled = false"
        yield ("outliers", "max_share"), why
    if not any(getattr(outliers, reason) for reason in reasons):
        why = f"nothing is left that ejects; give one of {', '.join(reasons)}, or enabled = false"
        given = next((it for it in reasons if it in outliers.model_fields_set), reasons[0])
        yield ("outliers", given), why
    if outliers.eject > outliers.max_eject:
        why = f"is longer than max_eject, {outliers.max_eject:g} s, the longest there is"
        yield ("outliers", "eject"), why


def _shared(shared: Sequence[stations.Shared], backends: Backends) -> Found:
    try:
        stations.check_shared(shared, [row.model for row in backends])
    except Mistakes as mistakes:
        yield from mistakes.found


CHECKS: tuple[tuple[Any, ...], ...] = (
    (_somebody, "backends", "discovery"),
    (_sources, "discovery"),
    (_priorities, "backends", "discovery"),
    (_ejections, "outliers"),
    (_zones, "tiers", "backends", "discovery"),
    (_faults, "faults", "backends"),
    (_shared, "shared", "backends"),
    (_late_faults, "faults", "run"),
    (_checks, "health", "backends", "discovery"),
    (_ports, "health", "backends"),
    (_listeners, "server", "listeners"),
    (_retries, "retries"),
    (_hedges, "hedging", "retries", "timeouts"),
    (_attempts, "timeouts"),
    (_lines, "queue", "backends", "discovery"),
)
"""Each check, and the tables that it is given."""
