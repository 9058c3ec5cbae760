"""HAProxy's configuration of a pool (2.6 and later): one frontend, one backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lb.config import Listener, Scenario
from lb.config.values import AUTO
from lb.foreign import common, gaps, said
from lb.foreign.common import milliseconds as ms
from lb.foreign.exported import Exported, Lacks, preface
from lb.foreign.haproxy import checks, secure
from lb.foreign.haproxy.words import word
from lb.foreign.matching import Chosen, chosen

KIND = "haproxy"
POOL, CLIENTS = "pool", "clients"
MOST_WEIGHT = 256
SAFE = "GET HEAD OPTIONS TRACE PUT DELETE"
"""Methods that lb tries again (RFC 9110, 9.2.2)."""
RETRIED = {
    "connect": ("conn-failure",),
    "reset": ("empty-response", "junk-response"),
    "timeout": ("response-timeout",),
    "server_error": ("500", "501", "502", "503", "504"),
}
COUNTED: Mapping[int, frozenset[str]] = {
    4: frozenset({"connect", "reset", "timeout"}),
    7: frozenset({"connect", "reset", "timeout", "server_error"}),
}
"""What `observe` takes for a failure, in our words."""
STATUSES = frozenset({401, 403, 404, 408, 425, 500, 501, 502, 503, 504})
"""Those that `retry-on` knows."""


def exported(file: Scenario) -> Exported:
    """The file as HAProxy's. Raises ConfigError where no backend is named."""
    common.somebody(file)
    lacks = Lacks(file)
    found = chosen(KIND, file.algorithm)
    common.algorithm(file, found, lacks)
    sections = [
        ["global", *_global(file, lacks)],
        ["defaults", *_defaults(file, lacks)],
        *_frontends(file, lacks),
        [f"backend {POOL}", *_backend(file, found, lacks)],
    ]
    gaps.tell(file, lacks, gaps.HAPROXY)
    said.rest(file, KIND, lacks)
    common.discovered(file, lacks)
    missing = lacks.all()
    head = preface("Written by lb export haproxy; check it with: haproxy -c -f FILE", missing)
    lines = [f"# {line}".rstrip() for line in head]
    for name, *rows in sections:
        lines += ["", name, *(f"    {row}" for row in rows)]
    method = f"balance {_balance(file, found, lacks)}"
    return Exported(KIND, "\n".join(lines) + "\n", method, found.ours, found.match.differs, missing)


def _global(file: Scenario, lacks: Lacks) -> Iterator[str]:
    if file.server.workers != AUTO:
        yield f"nbthread {file.server.workers}"
    if "drain" in file.timeouts.model_fields_set:
        yield f"hard-stop-after {ms(file.timeouts.drain)}"
    yield from checks.spread(file, lacks)
    if "header_bytes" in file.limits.model_fields_set:
        yield f"tune.bufsize {file.limits.header_bytes + 1024}"
    log = file.access_log
    if log is not None:
        lacks.add(("access_log", "format"), "lines are those of `option httplog`")
        if log.sample < 1:
            lacks.add(("access_log", "sample"), "all requests are logged")
        if log.syslog is not None:
            where = log.syslog if isinstance(log.syslog, str) else "{}:{}".format(*log.syslog)
            yield f"log {word(where)} format rfc5424 local0"
        else:
            stream = log.file if log.file in ("stderr", "stdout") else "stdout"
            if stream != log.file:
                lacks.add(("access_log", "file"), "it writes to no files; here to stdout")
            yield f"log {stream} format raw local0"


def _defaults(file: Scenario, lacks: Lacks) -> Iterator[str]:
    times = file.timeouts
    yield "mode http"
    yield f"timeout connect {ms(times.connect)}"
    yield f"timeout client {ms(times.client_idle)}"
    yield f"timeout http-request {ms(times.header)}"
    yield f"timeout http-keep-alive {ms(times.client_idle)}"
    yield f"timeout server {ms(times.response)}"
    yield f"timeout queue {ms(file.queue.timeout)}"
    yield f"timeout tunnel {ms(times.tunnel)}"
    if file.health.enabled:
        yield f"timeout check {ms(file.health.timeout)}"
    yield "http-reuse always"
    if not file.server.half_close:
        yield "option abortonclose"
    if file.access_log is not None:
        yield "log global"
        yield "option httplog"
    yield from _retries(file, lacks)


def _retries(file: Scenario, lacks: Lacks) -> Iterator[str]:
    table = file.retries
    if not table.max or table.budget == table.min_per_second == 0:
        yield "retries 0"
        return
    yield f"retries {table.max}"
    words: list[str] = []
    for outcome in table.on:
        if isinstance(outcome, str):
            words += RETRIED[outcome]
        elif outcome in STATUSES:
            words.append(str(outcome))
        else:
            lacks.add(("retries", "on"), f"status {outcome} cannot be tried again")
    yield f"retry-on {' '.join(dict.fromkeys(words)) or 'none'}"
    yield "option redispatch 1"
    if "backoff" in table.model_fields_set:
        lacks.add(("retries", "backoff"), "the same server is tried again after a second")


def _frontends(file: Scenario, lacks: Lacks) -> Iterator[list[str]]:
    common_ones = [one for one in file.listening() if not one.proxy_from]
    groups = [common_ones] if common_ones else []
    groups += [[one] for one in file.listening() if one.proxy_from]
    for number, group in enumerate(groups):
        yield [
            f"frontend {CLIENTS}{number + 1 if number else ''}",
            *(_bind(one, lacks) for one in group),
            *(_proxied(group[0]) if group[0].proxy_from else ()),
            f"maxconn {file.limits.client_connections}",
            *_requests(file, lacks),
            f"default_backend {POOL}",
        ]


def _bind(one: Listener, lacks: Lacks) -> str:
    path = common.unix_path(one.address)
    words = ["bind", f"unix@{path}" if path else one.address]
    if one.mode is not None:
        words += ["mode", f"{one.mode:o}"]
    if common.only_v6(one):
        words.append("v6only")
    if one.proxy_protocol and not one.proxy_from:
        words.append("accept-proxy")
    words += secure.clients(one, lacks)
    return " ".join(words)


def _proxied(one: Listener) -> Iterator[str]:
    yield f"tcp-request connection reject unless {{ src {' '.join(one.proxy_from)} }}"
    yield "tcp-request connection expect-proxy layer4"


def _requests(file: Scenario, lacks: Lacks) -> Iterator[str]:
    if file.server.health_path:
        yield f"monitor-uri {word(file.server.health_path)}"
        yield f"monitor fail if {{ nbsrv({POOL}) lt 1 }}"
    if file.limits.body is not None:
        yield f"http-request deny deny_status 413 if {{ req.body_size gt {file.limits.body} }}"
    trusted = " ".join(file.server.trusted_proxies)
    strange = f" unless {{ src {trusted} }}" if trusted else ""
    for field in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"):
        yield f"http-request del-header {field}{strange}"
    yield "option forwardfor"
    for field, value in (("Proto", "%[ssl_fc,iif(https,http)]"), ("Host", "%[req.hdr(host)]")):
        missing = f"if !{{ req.hdr(X-Forwarded-{field}) -m found }}"
        yield f"http-request set-header X-Forwarded-{field} {value} {missing}"
    if field := common.request_id(file, lacks):
        yield "unique-id-format %[uuid()]"
        yield f"http-request set-header {field} %[unique-id] if !{{ req.hdr({field}) -m found }}"


def _balance(file: Scenario, found: Chosen, lacks: Lacks) -> str:
    if not found.match.keyed:
        return found.method
    kind, _, name = file.key.partition(":")
    if name and not common.plain(name):
        lacks.add(("key",), f"no {kind} of such a name can be read; clients' addresses are hashed")
        return "source"
    if name:
        lacks.add(("key",), "whoever lacks it is placed in turn, not by its address")
    elif kind == "client_ip" and file.server.trusted_proxies:
        lacks.add(("key",), "clients behind one of trusted_proxies all have its address")
    word = {"client_ip": "source", "path": "uri", "uri": "uri whole"}.get(kind)
    return word or (f"hdr({name})" if kind == "header" else f"hash req.cook({name})")


def _backend(file: Scenario, found: Chosen, lacks: Lacks) -> Iterator[str]:
    yield f"balance {_balance(file, found, lacks)}"
    if found.match.keyed:
        yield "hash-type consistent"
        factor = found.settings.get("balance_factor")
        if factor:
            yield f"hash-balance-factor {max(101, round(100 * float(str(factor))))}"
    yield from _sticky(file, lacks)
    if any(common.priorities(file)):
        yield "option allbackups"
    if max(common.priorities(file)) > 1:
        number = next(at for at, rank in enumerate(common.priorities(file)) if rank > 1)
        lacks.add(("backend", number, "priority"), "all that do not come first are backups alike")
    if file.retries.max:
        yield f"http-request disable-l7-retry unless {{ method {SAFE} }}"
    yield from _line(file, found, lacks)
    yield from checks.lines(file, lacks)
    if not file.server.backend_header:
        yield "http-response del-header X-Backend-Server"
    else:
        for number, row in enumerate(file.backends, 1):
            who = row.address.replace("%", "%%")
            yield f"http-response set-header X-Backend-Server {who} if {{ srv_id {number} }}"
    yield from _servers(file, found, lacks)


def _sticky(file: Scenario, lacks: Lacks) -> Iterator[str]:
    if file.algorithm.name != "sticky":
        return
    if "drain" in file.algorithm.settings:
        lacks.add(("algorithm", "drain"), "clients stay with a server that drains until it is gone")
    kind, _, name = file.key.partition(":")
    if name and not common.plain(name):
        lacks.add(("key",), f"no {kind} of such a name can be read; clients' addresses are")
        kind = "client_ip"
    if kind == "cookie":
        yield f"cookie {name} insert indirect nocache"
        return
    fetch = {"client_ip": "src", "path": "path", "uri": "url"}.get(kind, f"req.hdr({name})")
    table = file.algorithm.settings.get("table", 100_000)
    type_of = "ipv6" if kind == "client_ip" else "string len 128"
    yield f"stick-table type {type_of} size {table} expire 24h"
    yield f"stick on {fetch}"
    if kind == "header":
        yield f"stick on src if !{{ {fetch} -m found }}"


def _line(file: Scenario, found: Chosen, lacks: Lacks) -> Iterator[str]:
    limits = [row.max_in_flight for row in file.backends]
    for number, limit in enumerate(limits):
        if isinstance(limit, str):
            lacks.add(("backend", number, "max_in_flight"), "no limit is found out: none is set")
    if any(isinstance(limit, int) for limit in limits):
        if not all(isinstance(limit, int) for limit in limits):
            if file.queue.limit:
                why = "servers without max_in_flight are never full: nobody is refused"
                lacks.add(("queue", "limit"), why)
            return
        full = f"{{ be_conn_free({POOL}) le 0 }}"
        waiting = f"{{ queue({POOL}) ge {file.queue.limit} }}"
        yield f"http-request deny deny_status 503 if {full} {waiting}"
        if found.match.keyed:
            why = "a request whose own server is full waits for it, and goes to no other"
            lacks.add(("queue", "limit"), why)


def _servers(file: Scenario, found: Chosen, lacks: Lacks) -> Iterator[str]:
    weights = common.weights(file, found, MOST_WEIGHT, lacks)
    labels = common.names(file, lambda it: it.isascii() and (it.isalnum() or it in "-_.:"))
    common_words = [f"pool-purge-delay {ms(file.timeouts.idle)}"]
    if common.looked_up(file, lacks):
        common_words.append("init-addr last,libc,none")
    outliers = file.outliers
    if outliers.enabled and outliers.consecutive_failures and file.health.enabled:
        layer = 7 if "server_error" in outliers.counts else 4
        if "counts" in outliers.model_fields_set and set(outliers.counts) != COUNTED[layer]:
            lacks.add(("outliers", "counts"), f"`observe layer{layer}` says what counts")
        limit = outliers.consecutive_failures
        common_words.append(f"observe layer{layer} error-limit {limit} on-error mark-down")
    elif outliers.enabled and outliers.consecutive_failures:
        why = "only checks bring a server back, and there are none: nobody is taken out"
        lacks.add(("outliers", "consecutive_failures"), why)
    if file.slow_start.duration:
        common_words.append(f"slowstart {ms(file.slow_start.duration)}")
    yield f"default-server {' '.join(common_words)}"
    for number, (row, name, weight, rank) in enumerate(
        zip(file.backends, labels, weights, common.priorities(file), strict=True)
    ):
        path = common.unix_path(row.address)
        address = f"unix@{path}" if path else common.ascii_address(row.address)
        words = ["server", name, address, f"weight {weight}"]
        if isinstance(row.max_in_flight, int):
            words.append(f"maxconn {row.max_in_flight}")
        words += checks.words(row, file)
        words += secure.server(row, lacks, number)
        if row.proxy_protocol:
            words.append("send-proxy" if row.proxy_protocol == "v1" else "send-proxy-v2")
        if rank:
            words.append("backup")
        if any(line.startswith("cookie") for line in _sticky(file, lacks)):
            words.append(f"cookie {name}")
        yield " ".join(words)
