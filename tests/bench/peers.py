"""The peers: proxies written in C and Go, each set up to do the same work with one thread."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.processes import ROOT

HAPROXY = """
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
listen bench
    bind 127.0.0.1:{port}
    balance roundrobin
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-By haproxy
    http-request set-header Via "1.1 haproxy"
    http-send-name-header X-Backend-Server
    http-response set-header Via "1.1 haproxy"
    http-response set-header X-Backend-Server %s
    option httpchk GET /health
    default-server check inter 30s
{servers}
"""

NGINX = """
daemon off;
worker_processes 1;
pid {home}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    access_log off;
    keepalive_requests 1000000000;  # 1000 by default; the others never close a connection
    keepalive_timeout 1h;
    upstream backends {{ {servers} keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://backends;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-By nginx;
            proxy_set_header Via "1.1 nginx";
            add_header Via "1.1 nginx";
            add_header X-Backend-Server $upstream_addr;
        }}
    }}
}}
"""
CADDY = """
{{
    admin off
    auto_https off
    log {{
        output discard
    }}
    servers {{
        protocols h1
    }}
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    header Via "1.1 caddy"
    reverse_proxy {servers} {{
        lb_policy round_robin
        health_uri /health
        health_interval 30s
        header_up X-Forwarded-By caddy
        header_up Via "1.1 caddy"
        header_up X-Backend-Server {{upstream_hostport}}
        header_down X-Backend-Server {{upstream_hostport}}
        transport http {{
            keepalive_idle_conns_per_host 256
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Contender:
    """One proxy."""

    name: str
    version: str
    setup: str
    """How it is configured, for people."""
    command: Callable[[int, list[int], Path], list[str]]
    """From its port, the backends' ports and a directory of its own."""
    cwd: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


def peers() -> tuple[list[Contender], list[str]]:
    """Those that are installed, and the names of those that are not."""
    found, missing = [], []
    for name, make in MAKERS.items():
        path = _program(name)
        if path is None:
            missing.append(name)
        else:
            found.append(make(path))
    return found, missing


def _program(name: str) -> str | None:
    """Where a program is; servers often hide from the PATH of ordinary users."""
    hidden = os.pathsep.join(("/usr/sbin", "/usr/local/sbin"))
    return shutil.which(name) or shutil.which(name, path=hidden)


def _haproxy(path: str) -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        servers = "".join(f"    server 127.0.0.1:{p} 127.0.0.1:{p}\n" for p in origins)
        config = directory / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=port, servers=servers))
        return [path, "-db", "-f", str(config)]

    setup = (
        "nbthread 1, mode http, round robin, http-keep-alive, http-reuse always, health checks "
        "every 30 s, option forwardfor, the same fields set on requests and responses"
    )
    return Contender("haproxy", _version(path, "-v"), setup, command)


def _nginx(path: str) -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        servers = " ".join(f"server 127.0.0.1:{p};" for p in origins)
        config = directory / "nginx.conf"
        config.write_text(NGINX.format(port=port, servers=servers, home=directory))
        return [path, "-e", "stderr", "-p", str(directory), "-c", str(config)]

    setup = (
        "1 worker, round robin, keepalive upstream over proxy_http_version 1.1, no access log, the "
        "same fields set (but X-Backend-Server towards the backend); no health checks"
    )
    return Contender("nginx", _version(path, "-v"), setup, command)


def _caddy(path: str) -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        config = directory / "Caddyfile"
        config.write_text(
            CADDY.format(port=port, servers=" ".join(f"127.0.0.1:{p}" for p in origins))
        )
        home = f"HOME={directory}"
        run = [path, "run", "--adapter", "caddyfile", "--config", str(config)]
        return ["/usr/bin/env", "GOMAXPROCS=1", home, *run]

    setup = (
        "GOMAXPROCS=1, round robin, keep-alive, no log, health checks every 30 s, the same fields "
        "set on requests and responses"
    )
    return Contender("caddy", _version(path, "version"), setup, command)


def _version(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+\S*", done.stdout + done.stderr)
    return found[0] if found else "unknown"


MAKERS: dict[str, Callable[[str], Contender]] = {
    "haproxy": _haproxy,
    "nginx": _nginx,
    "caddy": _caddy,
}
