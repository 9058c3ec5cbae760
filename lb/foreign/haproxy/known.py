"""What becomes of HAProxy's directives: read elsewhere, done anyway, or why not."""

from __future__ import annotations

import re

from lb.foreign.imported import Directive

TIMEOUTS = {
    "connect": "timeouts.connect",
    "server": "timeouts.response",
    "client": "timeouts.client_idle",
    "http-keep-alive": "timeouts.client_idle",
    "http-request": "timeouts.header",
    "tunnel": "timeouts.tunnel",
    "queue": "queue.timeout",
    "check": "health.timeout",
}
BODY = re.compile(r"deny_status 413 if \{ req\.body_size gt (\d+) \}")
FULL = re.compile(r"\{ be_conn_free\(\S+\) le 0 \} \{ queue\(\S+\) ge (\d+) \}")
DONE: tuple[tuple[str, ...], ...] = (
    ("mode", "http"),
    ("option", "forwardfor"),
    ("option", "http-keep-alive"),
    ("option", "abortonclose"),
    ("option", "dontlognull"),
    ("option", "httplog"),
    ("option", "redispatch"),
    ("option", "allbackups"),
    ("option", "httpchk"),
    ("option", "tcp-check"),
    ("log", "global"),
    ("http-reuse",),
    ("default_backend",),
    ("server",),
    ("default-server",),
    ("server-template",),
    ("balance",),
    ("hash-type",),
    ("hash-balance-factor",),
    ("bind",),
    ("retries",),
    ("retry-on",),
    ("http-check",),
    ("cookie",),
    ("monitor-uri",),
    ("unique-id-format",),
    ("unique-id-header",),
    ("tcp-request", "connection", "expect-proxy"),
    ("tcp-request", "connection", "reject"),
    ("monitor", "fail"),
    ("http-request", "disable-l7-retry"),
    ("http-request", "del-header", "X-Forwarded-For"),
    ("http-request", "del-header", "X-Forwarded-Proto"),
    ("http-request", "del-header", "X-Forwarded-Host"),
    ("http-request", "del-header", "Forwarded"),
    ("http-request", "set-header", "X-Forwarded-For"),
    ("http-request", "set-header", "X-Forwarded-Proto"),
    ("http-request", "set-header", "X-Forwarded-Host"),
    ("http-response", "set-header", "X-Backend-Server"),
    ("http-response", "del-header", "X-Backend-Server"),
)
"""What is read elsewhere, and what lb does by itself."""
WHY = {
    "acl": "requests are not told apart: all go to one pool",
    "use_backend": "requests are not told apart: all go to one pool",
    "stats": "lb has pages of its own: [server] admin, stats_path",
    "http-request": "requests are passed on as they come",
    "http-response": "answers are passed on as they come",
    "capture": "the log has its own fields: [access_log]",
    "errorfile": "errors are JSON of lb's own",
    "compression": "answers are passed on as they come",
    "option httpclose": "connections are kept open",
    "option http-server-close": "connections to backends are kept open",
    "option forceclose": "connections are kept open",
    "stick-table": "nothing is counted by key",
    "stick": "clients stick where their backend says so",
    "user": "lb is whoever starts it: lb init service",
    "group": "lb is whoever starts it: lb init service",
    "chroot": "lb stays where it is started: lb init service",
    "daemon": "lb stays in the foreground: lb init service",
}


def is_done(row: Directive) -> bool:
    """Whether nothing is lost that is not read elsewhere."""
    text = " ".join(row.words)
    if row.name == "timeout":
        return len(row.words) > 2 and row.words[1] in TIMEOUTS
    if FULL.search(text) or BODY.search(text) or " %[unique-id]" in text:
        return True
    if row.name == "maxconn":
        return True
    given = tuple(it.lower() for it in row.words[:3])
    return any(given[: len(words)] == tuple(map(str.lower, words)) for words in DONE)
