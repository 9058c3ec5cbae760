"""What is right in a file and unwise all the same: warnings, no mistakes.

A check reads the whole file and yields what it would rather not see, each with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

from lb import strategies
from lb.balancing import RetryPolicy
from lb.config.apart import suffering
from lb.config.decisions import policy_of
from lb.config.found import backends_in
from lb.config.health import HealthTable
from lb.config.places import Place
from lb.config.serving import near
from lb.errors import ConfigError
from lb.system import open_to_others, reason

EVERYBODY = "everybody: clients say themselves who they are"

Found = Iterator[tuple[Place, str]]


class Unwise(NamedTuple):
    """One thing that is unwise."""

    place: str
    """`lb.toml:12 server.stats_path`."""
    why: str


def warnings(file: Any) -> Found:
    """All there are in a scenario."""
    for check in CHECKS:
        yield from check(file)


def _backends(file: Any) -> list[tuple[Place, str, Any]]:
    """Where the keys of backends stand, whose they are, and what they say."""
    return [
        *((("backend", number), row.label, row) for number, row in enumerate(file.backends)),
        *(
            (("discovery", number, "backend"), table.source, table.backend)
            for number, table in enumerate(file.discovery)
        ),
    ]


def _statistics(file: Any) -> Found:
    open_to_all = [it.address for it in file.listening() if not near(it.address)]
    if file.server.stats_path and open_to_all:
        why = (
            f"{file.server.stats_path} tells everybody who reaches {open_to_all[0]} which backends "
            'there are and how they do; write stats_path = "", and admin for yourself'
        )
        yield ("server", "stats_path"), why


def _unasked(file: Any) -> Found:
    without = [
        name for _, name, keys in _backends(file) if not keys.checked_by(file.health).enabled
    ]
    if without and not file.health.enabled:
        blind = "" if file.outliers.enabled else ", and [outliers] takes nobody out either"
        why = (
            f"nobody asks how {_some(without)} are: one that is down is found out by the "
            f"requests that it loses, and brought back only to lose more{blind}"
        )
        yield ("health", "enabled"), why
        return
    for place, name, _ in _backends(file):
        if name in without:
            why = f"nobody asks how {name} is: requests find out, and are lost by it"
            yield (*place, "health", "enabled"), why


def _some(labels: list[str]) -> str:
    return ", ".join(labels) if len(labels) < 4 else f"{len(labels)} backends"


def _lost_backend(file: Any) -> Found:
    """Until it is out, all that one backend would have got has to be tried again."""
    first = [row for row in file.backends if not row.priority]
    policy = policy_of(file.retries, RetryPolicy)
    if len(first) < 2 or not policy.max or file.discovery:
        return
    number = min(file.subset.size or len(first), len(first))
    largest, share = first[0], 1 / number
    if _weighs(file) and number == len(first):
        largest = max(first, key=lambda row: float(row.weight))
        share = largest.weight / sum(row.weight for row in first)
    allowed = policy.share(number)
    rate = _rate(file)
    enough = allowed if rate is None else allowed + policy.min_per_second / rate
    if enough + 1e-9 >= share:
        return
    few = "" if rate is None else f", and min_per_second, {policy.min_per_second:g}, is too little"
    is_ = "is" if file.retries.budget is not None else "none given is"
    why = (
        f"{is_} {allowed:.3g} of the requests and cannot cover the loss of {largest.label}, which "
        f"gets {share:.3g} of them{few}; give budget = {_rounded_up(share):g} or more"
    )
    yield ("retries", "budget"), why


def _rounded_up(share: float) -> float:
    return min(1.0, -(-share * 100 // 1) / 100)


def _weighs(file: Any) -> bool:
    row = strategies.spec(file.algorithm.name)
    if row.nests:
        inner = getattr(row.configure(file.algorithm.settings), "inner", row.name)
        row = strategies.spec(str(inner).partition(":")[0])
    return row.weighs


def _rate(file: Any) -> float | None:
    """Requests a second, where the file says so and how long it takes."""
    modelled = file.backends and all(row.model is not None for row in file.backends)
    return file.rate or None if modelled and file.traffic is not None else None


def _time_limits(file: Any) -> Found:
    limits = file.timeouts
    given = limits.model_fields_set
    if limits.total is not None and limits.drain < limits.total:
        why = (
            f"{limits.drain:g} s: a restart cuts off requests that timeouts.total allows "
            f"{limits.total:g} s; give as much"
        )
        yield ("timeouts", "drain"), why
    elif limits.total is None and "drain" in given and limits.drain < limits.response:
        why = (
            f"{limits.drain:g} s: a restart cuts off answers that timeouts.response allows "
            f"{limits.response:g} s to come; give as much, or a total"
        )
        yield ("timeouts", "drain"), why
    for key in ("attempt", "total"):
        limit = getattr(limits, key)
        if limit is not None and "connect" in given and limits.connect >= limit:
            why = (
                f"{limits.connect:g} s, never runs out: timeouts.{key} ends it first, after "
                f"{limit:g} s"
            )
            yield ("timeouts", "connect"), why
            break
    if limits.total is not None and file.queue.limit and file.queue.timeout >= limits.total:
        why = (
            f"{file.queue.timeout:g} s in line, and timeouts.total ends the request after "
            f"{limits.total:g} s: nothing is left for its answer"
        )
        yield ("queue", "timeout"), why


def _slow_checks(file: Any) -> Found:
    tables: list[tuple[Place, HealthTable, set[str]]] = [
        (("health",), file.health, file.health.model_fields_set)
    ]
    tables += [
        ((*place, "health"), keys.checked_by(file.health), keys.health.model_fields_set)
        for place, _, keys in _backends(file)
        if keys.health is not None
    ]
    for place, table, given in tables:
        if table.enabled and "timeout" in given and table.timeout > table.interval:
            why = (
                f"{table.timeout:g} s is longer than interval, {table.interval:g} s: a backend "
                "that does not answer is asked less often than one that does"
            )
            yield (*place, "timeout"), why


def _trusting(file: Any) -> Found:
    for place, name, keys in _backends(file):
        if keys.tls is not None and not keys.tls.verify:
            why = f"anybody on the way to {name} can read and change everything; give ca"
            yield (*place, "tls", "verify"), why
    for number, network in enumerate(file.server.trusted_proxies):
        if not ip_network(network).prefixlen:
            yield ("server", "trusted_proxies", number), f"{network} is {EVERYBODY}"
    for one in file.listening():
        place = one.place[:-1]
        if one.proxy_protocol and not one.proxy_from and not near(one.address):
            why = f"whoever reaches {one.address} says who it is; give proxy_from, networks"
            yield (*place, "proxy_protocol"), why
        for number, network in enumerate(one.proxy_from):
            if not ip_network(network).prefixlen:
                yield (*place, "proxy_from", number), f"{network} is {EVERYBODY}"


def _control(file: Any) -> Found:
    admin = file.server.admin
    if admin is not None and not near(admin):
        why = (
            f"whoever reaches {admin} may try tokens, and reads along, since it speaks no TLS; "
            'listen on 127.0.0.1 or "unix:/run/lb.sock", and reach it through SSH or a proxy'
        )
        yield ("server", "admin"), why


def open_secrets(file: Any) -> Found:
    """Files that only their owner and group should read, and everybody may."""
    secrets: list[tuple[Place, str | None]] = [
        (("server", "admin_token_file"), file.server.admin_token_file)
    ]
    for one in file.listening():
        if one.tls is not None:
            secrets += [((*one.place, *inside, "key"), key) for inside, _, key in one.tls.pairs()]
    for place, _, keys in _backends(file):
        if keys.tls is not None:
            secrets.append(((*place, "tls", "key"), keys.tls.key))
    for place, path in dict(secrets).items():
        if path is not None and open_to_others(path):
            yield place, f"others than its owner and group may read {path}; chmod o-rwx {path}"


def _watched(file: Any) -> Found:
    """Files that would be kept out of as they are now."""
    for number, table in enumerate(file.discovery):
        if table.file is None:
            continue
        path = Path(table.file)
        why = "is not there yet" if not path.is_file() else ""
        try:
            if not why:
                backends_in(path.read_text(encoding="utf-8-sig"), table.file)
        except UnicodeDecodeError:
            why = "is not UTF-8 text"
        except OSError as error:
            why = f"cannot be read: {reason(error)}"
        except ConfigError as error:
            why = error.problems[0]
        if why:
            yield ("discovery", number, "file"), f"no backends come from {table.file}: {why}"


CHECKS: tuple[Callable[[Any], Found], ...] = (
    _control,
    open_secrets,
    _statistics,
    _unasked,
    _lost_backend,
    _time_limits,
    _slow_checks,
    _trusting,
    _watched,
    suffering,
)
