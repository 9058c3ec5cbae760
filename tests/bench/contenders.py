"""The proxies that are compared, each set up to do the same work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import ROOT

NGINX_LIMITS = "access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; "
"""nginx closes a connection after 1000 requests by default; the others never do."""

HAPROXY = """
global
    nbthread 1
    maxconn 2000
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


def contenders(others: list[Path]) -> tuple[list[Contender], list[str]]:
    """Those that can run here, and the names of those that are not installed."""
    found, missing = [_lb("lb", ROOT)], []
    found += [_lb(f"lb in {tree}", tree) for tree in others]
    for name, make in (("haproxy", _haproxy), ("nginx", _nginx), ("caddy", _caddy)):
        path = program(name)
        if path is None:
            missing.append(name)
        else:
            found.append(make(path))
    return found, missing


def program(name: str) -> str | None:
    """Where a program is; servers often hide from the PATH of ordinary users."""
    hidden = os.pathsep.join(("/usr/sbin", "/usr/local/sbin"))
    return shutil.which(name) or shutil.which(name, path=hidden)


def nginx_command(nginx: str, directory: Path, http: str) -> list[str]:
    """Write a configuration for one worker around `http`, and say how to run it."""
    temporary = "".join(
        f"{kind}_temp_path {directory / kind}; " for kind in ("client_body", "proxy", "fastcgi")
    )
    config = directory / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {directory / 'pid'};\n"
        "error_log stderr; events { worker_connections 1024; }\n"
        f"http {{ {temporary}\n{http} }}\n"
    )
    return [nginx, "-e", "stderr", "-p", str(directory), "-c", str(config)]


def _lb(name: str, tree: Path) -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        backends = ",".join(f"127.0.0.1:{origin}" for origin in origins)
        return [sys.executable, "-m", "lb", "serve", "-p", str(port), "-b", backends]

    version = _version([sys.executable, "-c", "import lb; print(lb.__version__)"], tree)
    setup = "defaults: round robin, all validation, health checks every 30 s, one worker"
    return Contender(name, version, setup, command, tree)


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
    return Contender("haproxy", _version([path, "-v"]), setup, command)


def _nginx(path: str) -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        servers = " ".join(f"server 127.0.0.1:{p};" for p in origins)
        http = NGINX_LIMITS + NGINX.format(port=port, servers=servers)
        return nginx_command(path, directory, http)

    setup = (
        "1 worker, round robin, keepalive upstream over proxy_http_version 1.1, no access log, the "
        "same fields set (but X-Backend-Server towards the backend); no health checks"
    )
    return Contender("nginx", _version([path, "-v"]), setup, command)


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
    return Contender("caddy", _version([path, "version"]), setup, command)


def _version(command: list[str], cwd: Path = ROOT) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    found = re.search(r"\d+(\.\d+)+\S*", done.stdout + done.stderr)
    return found[0] if found else "unknown"
