"""nginx's configuration of a pool, with what the open-source one has.

Paths are relative, so any directory is a home for it: `nginx -p DIR -c FILE -e stderr`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from lb.config import BackendTable, Listener, Scenario
from lb.config.values import AUTO
from lb.foreign import common, gaps, said
from lb.foreign.common import milliseconds as ms
from lb.foreign.exported import WIDTH, Exported, Lacks, preface
from lb.foreign.matching import KEYED, Chosen, chosen
from lb.foreign.nginx import keys, trust
from lb.foreign.nginx.secure import alike, secure
from lb.foreign.nginx.words import word
from lb.traces.nginx_log import RECOMMENDED

KIND = "nginx"
POOL = "pool"
MOST_WEIGHT = 65535
NO_BACKUPS = ("hash", "ip_hash", "random")
"""Methods that refuse `backup`."""
STATUSES = frozenset({403, 404, 429, 500, 502, 503, 504})
"""Those that `proxy_next_upstream` knows."""
IDLE_CONNECTIONS = 64
"""Kept to each upstream by each worker, at most; lb has no such limit."""
IDENTIFIER = '"~^[-._~+/=:@A-Za-z0-9]{1,128}$"'
"""An id that is passed on as a client gives it."""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def exported(file: Scenario) -> Exported:
    """The file as nginx's. Raises ConfigError where no backend is named."""
    common.somebody(file)
    lacks = Lacks(file)
    kept = alike(file, lacks)
    found = chosen(KIND, file.algorithm)
    common.algorithm(file, found, lacks)
    common.looked_up(file, lacks)
    if file.algorithm.name == "sticky":
        lacks.add(("algorithm", "name"), "clients do not stick: newcomers and all are placed alike")
    method, maps = _method(file, found, lacks)
    http = list(_http(file, kept, found, method, maps, lacks))
    gaps.tell(file, lacks, gaps.NGINX)
    said.rest(file, KIND, lacks)
    common.discovered(file, lacks)
    missing = lacks.all()
    title = "Written by lb export nginx; check it with: nginx -t -p DIR -c FILE -e stderr"
    lines = [f"# {line}".rstrip() for line in preface(title, missing)]
    lines += ["", *_main(file), "", "events {", f"    {_connections(file)}", "}"]
    lines += ["", "http {", *(f"    {line}".rstrip() for line in http), "}"]
    ours = found.ours if "hash $" not in method or found.match.keyed else "consistent_hash"
    return Exported(
        KIND,
        "\n".join(lines) + "\n",
        method or "round robin",
        ours,
        found.match.differs,
        missing,
    )


def _method(file: Scenario, found: Chosen, lacks: Lacks) -> tuple[str, Sequence[str]]:
    """The line of the upstream, and those of `http` that it needs."""
    method = found.method
    if method == "ip_hash" and file.key != "client_ip":
        lacks.add(
            ("algorithm",), f"ip_hash knows no other key than client_ip; {file.key} is hashed"
        )
        method = f"hash {KEYED} consistent"
    elif KEYED not in method:
        return method, ()
    elif found.settings.get("balance_factor"):
        why = "balance_factor is not there: a backend gets all requests of its keys"
        lacks.add(("algorithm",), why)
    variable, maps = keys.written(file, lacks)
    return method.replace(KEYED, variable), maps


def _main(file: Scenario) -> Iterator[str]:
    yield f"worker_processes {file.server.workers};"
    yield "pid nginx.pid;"
    yield "error_log stderr error;"
    if "drain" in file.timeouts.model_fields_set:
        yield f"worker_shutdown_timeout {ms(file.timeouts.drain)};"


def _connections(file: Scenario) -> str:
    return f"worker_connections {2 * file.limits.client_connections};"


def _http(
    file: Scenario,
    kept: list[int],
    found: Chosen,
    method: str,
    maps: Sequence[str],
    lacks: Lacks,
) -> Iterator[str]:
    yield from (f"{kind}_temp_path {kind}_temp;" for kind in TEMPORARY)
    yield from _log(file, lacks)
    yield ""
    yield from maps
    yield from trust.maps(file)
    if name := common.request_id(file, lacks):
        given = keys.field(name)
        yield f"map {given} $lb_id {{ default $request_id; {IDENTIFIER} {given}; }}"
    yield 'map $upstream_addr $lb_backend { "~(?<last>[^ ,]+:[^ ,]+)$" $last; }'
    yield from _upgrades(file)
    yield ""
    yield f"upstream {POOL} {{"
    yield from (f"    {line}" for line in _upstream(file, kept, found, method, lacks))
    yield "}"
    groups: dict[object, list[Listener]] = {}
    for one in file.listening():
        groups.setdefault((one.tls, one.proxy_protocol, one.proxy_from), []).append(one)
    for group in groups.values():
        yield ""
        yield "server {"
        yield from (f"    {line}" for line in _server(file, file.backends[kept[0]], group, lacks))
        yield "}"


def _log(file: Scenario, lacks: Lacks) -> Iterator[str]:
    log = file.access_log
    if log is None:
        yield "access_log off;"
        return
    name = "combined"
    if log.format not in ("common", "combined"):
        lacks.add(
            ("access_log", "format"), "lines are nginx's own, with all that calibrating needs"
        )
        name = "timed"
        *lines, last = textwrap.wrap(RECOMMENDED, WIDTH - 12, break_on_hyphens=False)
        yield f"log_format {name}"
        yield from (f"    '{line} '" for line in lines)
        yield f"    '{last}';"
    if log.sample < 1:
        lacks.add(("access_log", "sample"), "all requests are logged")
    where = {"stderr": "/dev/stderr", "stdout": "/dev/stdout"}.get(log.file, log.file)
    if log.syslog is not None:
        server = log.syslog if isinstance(log.syslog, str) else "{}:{}".format(*log.syslog)
        where = f"syslog:server={'unix:' * server.startswith('/')}{server}"
    yield f"access_log {word(where)} {name};"


def _upgrades(file: Scenario) -> Iterator[str]:
    names = file.server.upgrades
    yield "map $http_upgrade $lb_upgrade {"
    if names == ("*",):
        yield "    default $http_upgrade;"
    else:
        yield '    default "";'
        yield from (f"    {word(f'~*^{re.escape(name)}$')} $http_upgrade;" for name in names)
    yield "}"
    yield 'map $lb_upgrade $lb_connection { "" ""; default upgrade; }'


def _upstream(
    file: Scenario, kept: list[int], found: Chosen, method: str, lacks: Lacks
) -> Iterator[str]:
    if file.server.workers == AUTO or file.server.workers != 1:
        yield f"zone {POOL} 1m;"
    if method:
        yield f"{method};"
    backups = not method.startswith(NO_BACKUPS)
    weights = common.weights(file, found, MOST_WEIGHT, lacks)
    for number, (row, weight, rank) in enumerate(
        zip(file.backends, weights, common.priorities(file), strict=True)
    ):
        if number not in kept:
            continue
        yield _line(row, weight, rank, file, backups=backups)
        place = ("backend", number)
        if isinstance(row.max_in_flight, str):
            lacks.add((*place, "max_in_flight"), "no limit is found out: none is set")
        if rank and not backups:
            why = f"{method.split()[0]} takes no backups: it is out until you take `down` away"
            lacks.add((*place, "priority"), why)
        elif rank > 1:
            lacks.add((*place, "priority"), "all that do not come first are backups alike")
        if row.proxy_protocol:
            lacks.add((*place, "proxy_protocol"), "only its stream module writes PROXY headers")
    yield f"keepalive {IDLE_CONNECTIONS};"
    yield f"keepalive_timeout {ms(file.timeouts.idle)};"
    yield "keepalive_requests 1000000000;"


def _line(row: BackendTable, weight: int, rank: int, file: Scenario, *, backups: bool) -> str:
    words = ["server", common.ascii_address(row.address)]
    if weight != 1:
        words.append(f"weight={weight}")
    if isinstance(row.max_in_flight, int):
        words.append(f"max_conns={row.max_in_flight}")
    outliers = file.outliers
    if outliers.enabled and outliers.consecutive_failures:
        span = ms(outliers.eject).removesuffix("ms")
        seconds = max(1, round(int(span) / 1000))
        words.append(f"max_fails={outliers.consecutive_failures} fail_timeout={seconds}s")
    else:
        words.append("max_fails=0")
    if rank:
        words.append("backup" if backups else "down")
    return " ".join(words) + ";"


def _server(
    file: Scenario, like: BackendTable, group: list[Listener], lacks: Lacks
) -> Iterator[str]:
    first = group[0]
    for one in group:
        words = ["listen", one.address]
        if common.only_v6(one):
            words.append("ipv6only=on")
        if one.tls is not None:
            words.append("ssl")
        if one.proxy_protocol:
            words.append("proxy_protocol")
        if one.mode is not None:
            lacks.add((*one.place[:-1], "mode"), "a socket is open to everybody")
        yield " ".join(words) + ";"
    yield from _tls(first, lacks)
    if first.proxy_protocol:
        if first.proxy_from:
            why = "others may connect as well; what their PROXY headers say is not believed"
            lacks.add((*first.place[:-1], "proxy_from"), why)
        yield from (f"allow {network};" for network in first.proxy_from)
        networks = first.proxy_from or ("0.0.0.0/0", "::/0")
        yield from (f"set_real_ip_from {network};" for network in networks)
        yield "real_ip_header proxy_protocol;"
    times, limits = file.timeouts, file.limits
    yield f"client_header_timeout {ms(times.header)};"
    yield f"keepalive_timeout {ms(times.client_idle)};"
    yield "keepalive_requests 1000000000;"
    yield f"client_max_body_size {limits.body or 0};"
    if {"request_line", "header_bytes"} & limits.model_fields_set:
        pieces = max(1, limits.header_bytes // limits.request_line)
        yield f"large_client_header_buffers {pieces} {limits.request_line};"
    yield ""
    yield "location / {"
    yield from (f"    {line}" for line in _location(file, like, lacks))
    yield "}"


def _tls(one: Listener, lacks: Lacks) -> Iterator[str]:
    if one.tls is None:
        return
    for number, (inside, certificate, key) in enumerate(one.tls.pairs()):
        if number:
            why = "one certificate is shown to all; give the others a server block each"
            lacks.add((*one.place, *inside), why)
            continue
        yield f"ssl_certificate {word(common.path(certificate))};"
        yield f"ssl_certificate_key {word(common.path(key))};"
    yield f"ssl_protocols {'TLSv1.2 ' * (one.tls.min_version == '1.2')}TLSv1.3;"


def _location(file: Scenario, like: BackendTable, lacks: Lacks) -> Iterator[str]:
    times = file.timeouts
    yield f"proxy_pass http{'s' * (like.tls is not None)}://{POOL};"
    yield "proxy_http_version 1.1;"
    yield "proxy_request_buffering off;"
    yield "proxy_buffering off;"
    yield f"proxy_connect_timeout {ms(times.connect)};"
    yield f"proxy_send_timeout {ms(times.response)};"
    yield f"proxy_read_timeout {ms(times.response)};"
    yield from _retries(file, lacks)
    yield from secure(like)
    for field, value in (
        ("Host", "$http_host"),
        ("Connection", "$lb_connection"),
        ("Upgrade", "$lb_upgrade"),
    ):
        yield f"proxy_set_header {field} {value};"
    yield from trust.fields(file)
    if name := common.request_id(file, lacks):
        yield f"proxy_set_header {name} $lb_id;"
    yield "proxy_hide_header X-Backend-Server;"
    if file.server.backend_header:
        yield "add_header X-Backend-Server $lb_backend always;"


def _retries(file: Scenario, lacks: Lacks) -> Iterator[str]:
    table = file.retries
    if not table.max or table.budget == table.min_per_second == 0:
        yield "proxy_next_upstream off;"
        return
    words: list[str] = []
    for outcome in table.on:
        if outcome in ("connect", "reset"):
            words += ["error"]
        elif outcome == "timeout":
            words += ["timeout"]
        elif outcome == "server_error":
            words += [f"http_{status}" for status in sorted(STATUSES) if status >= 500]
        elif outcome in STATUSES:
            words.append(f"http_{outcome}")
        else:
            lacks.add(("retries", "on"), f"status {outcome} cannot be tried again")
    if "reset" in table.on:
        words.append("invalid_header")
    if ("connect" in table.on) != ("reset" in table.on):
        lacks.add(("retries", "on"), "connect and reset are one condition there, error")
    yield f"proxy_next_upstream {' '.join(dict.fromkeys(words)) or 'off'};"
    yield f"proxy_next_upstream_tries {table.max + 1};"
