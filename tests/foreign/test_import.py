"""Files of HAProxy and nginx as people write them, read into ours; what is left out is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.errors import ConfigError
from lb.foreign import Imported, load

HAPROXY = r"""
global
    maxconn 4000
    chroot /var/lib/haproxy
    log 127.0.0.1 local0
defaults
    mode http
    log global
    option httplog
    option redispatch
    timeout connect 5s
    timeout client 1m
    timeout server 30000
    timeout queue 15s
frontend web
    bind *:80 name clear
    bind quic4@:443 ssl crt a.pem
    bind :443 ssl crt a.pem alpn h2,http/1.1
    acl is_api path_beg /api/
    use_backend api if is_api
    default_backend app
backend app   # the main one
    balance hdr(X-User)
    hash-type consistent
    hash-balance-factor 150
    option httpchk GET /health HTTP/1.1\r\nHost:\ example.com
    http-check expect rstatus ^2
    default-server inter 3s fall 3 rise 2
    server "web 1" 10.0.0.1:8080 check weight 20 maxconn 100 minconn 5
    server web2 10.0.0.2 check weight 10 maxconn 100
    server web3 10.0.0.3:8080 check backup ssl verify none
    server old 10.0.0.4:8080 disabled
backend api
    server api1 10.0.1.1:8080
listen stats
    bind :8404
    stats enable
"""
NGINX = """
worker_processes auto;
include extra/*.conf;
events { worker_connections 768; }
http {
    upstream app {
        least_conn;
        server app1.example.com weight=5;
        server 10.0.0.2:8080 max_fails=3 fail_timeout=30s; # another
        server unix:/tmp/app3;
        server 10.0.0.4:8080 backup;
        server 10.0.0.5:8080 down;
        keepalive 32;
    }
    gzip on;
    access_log /var/log/nginx/access.log;
    server {
        listen 80 default_server;
        listen [::]:443 ssl http2;
        ssl_certificate /a.pem; ssl_certificate_key /a.key;
        server_name api.example.com;
        location /health { return 200 'OK; {fine}'; }
        location / {
            proxy_pass http://app;
            proxy_set_header Host $host;
            proxy_set_header X-Custom 1;
            proxy_read_timeout 1m30s;
            proxy_next_upstream error timeout http_503 non_idempotent;
            proxy_next_upstream_tries 3;
        }
    }
}
"""


def read(at: Path, text: str, pool: str | None = None) -> Imported:
    file = at / "other"
    file.write_text(text)
    return load(file, pool)


def told(found: Imported, at: Path) -> list[str]:
    return [str(row).removeprefix(f"{at}/other") for row in found.missing]


def test_haproxy(tmp_path: Path) -> None:
    found = read(tmp_path, HAPROXY)
    file = found.scenario
    assert (found.kind, found.pool) == ("haproxy", "app")
    assert file.algorithm.model_dump() == {"name": "consistent_hash", "balance_factor": 1.5}
    assert file.key == "header:X-User"
    assert [(it.address, it.name, it.weight, it.priority) for it in file.backends] == [
        ("10.0.0.1:8080", "web 1", 20, 0),
        ("10.0.0.2:80", "web2", 10, 0),
        ("10.0.0.3:8080", "web3", 1, 1),
    ]
    assert [it.address for it in file.listening()] == ["0.0.0.0:80", "0.0.0.0:443"]
    assert (file.health.path, file.health.host, file.health.expect) == (
        "/health",
        "example.com",
        "200-299",
    )
    assert (file.health.interval, file.health.fall, file.health.timeout) == (3, 3, 3)
    assert (file.timeouts.connect, file.timeouts.response, file.queue.timeout) == (5, 30, 15)
    assert file.access_log is not None
    assert file.access_log.syslog == ("127.0.0.1", 514)
    assert (file.retries.max, file.retries.on) == (3, ("connect",))
    assert not file.outliers.enabled
    assert file.panic.threshold == 0


def test_what_haproxy_says_and_lb_cannot_is_told_by_its_line(tmp_path: Path) -> None:
    assert told(read(tmp_path, HAPROXY), tmp_path) == [
        ":4 chroot /var/lib/haproxy: lb stays where it is started: lb init service",
        ":17 bind quic4@:443 ssl crt a.pem: quic4@:443 is no address that lb could listen on",
        ":18 bind :443 ssl crt a.pem alpn h2,http/1.1: HTTP/1.1 alone is spoken, not h2,http/1.1",
        ":19 acl is_api path_beg /api/: requests are not told apart: all go to one pool",
        ":20 use_backend api if is_api: requests are not told apart: all go to one pool",
        ":29 server web 1 10.0.0.1:8080 check weight 20 maxconn 100 ...: minconn has no equivalent",
        ":32 server old 10.0.0.4:8080 disabled: is disabled: left out",
        ":33 backend api: one pool is read; this one: --pool api",
        ":35 listen stats: is not read",
    ]


def test_a_slow_start_of_one_server_is_told(tmp_path: Path) -> None:
    upstream = "upstream app {{ server a:80 slow_start=30s;\n server b:80{}; }}\n"
    found = read(tmp_path, upstream.format(""))
    assert found.scenario.slow_start.duration == 30
    (row,) = told(found, tmp_path)
    assert row == ":1 server a:80 slow_start=30s: slow_start.duration is one for all here: 30s"
    assert not told(read(tmp_path, upstream.format(" slow_start=30s")), tmp_path)
    assert len(told(read(tmp_path, upstream.format(" slow_start=40s")), tmp_path)) == 2
    pool = (
        "backend app\n mode http\n option redispatch\n server a a:80 slowstart 30s\n server b b:80"
    )
    (row,) = told(read(tmp_path, pool), tmp_path)
    assert row == ":4 server a a:80 slowstart 30s: slow_start.duration is one for all here: 30s"
    assert not told(read(tmp_path, pool + " slowstart 30s"), tmp_path)


def test_another_pool_by_its_name(tmp_path: Path) -> None:
    found = read(tmp_path, HAPROXY, "api")
    assert [it.address for it in found.scenario.backends] == ["10.0.1.1:8080"]
    assert not found.scenario.health.enabled
    with pytest.raises(ConfigError, match=r"no pool is called 'ap'; did you mean 'api' or 'app'"):
        read(tmp_path, HAPROXY, "ap")


@pytest.mark.parametrize(
    ("balance", "algorithm", "key"),
    [
        ("", "round_robin", "client_ip"),
        ("balance static-rr", "round_robin", "client_ip"),
        ("balance leastconn", "least_connections", "client_ip"),
        ("balance random(1)", "random", "client_ip"),
        ("balance random", "p2c", "client_ip"),
        ("balance source", "consistent_hash", "client_ip"),
        ("balance uri", "consistent_hash", "path"),
        ("balance uri whole", "consistent_hash", "uri"),
        ("balance hash req.cook(sid)", "consistent_hash", "cookie:sid"),
        ("balance first", "round_robin", "client_ip"),
    ],
)
def test_algorithms_of_haproxy(balance: str, algorithm: str, key: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"backend a\n mode http\n {balance}\n server x 10.0.0.1:80\n")
    assert (found.scenario.algorithm.name, found.scenario.key) == (algorithm, key)
    odd = [row for row in found.missing if row.directive == balance]
    assert bool(odd) == (
        balance in ("balance source", "balance uri", "balance uri whole")
        or "hash" in balance
        or "first" in balance
    )


@pytest.mark.parametrize(("balance", "sequence"), [("roundrobin", "fwrr"), ("static-rr", "static")])
def test_turns_by_weight_come_in_the_order_of_haproxy(
    balance: str, sequence: str, tmp_path: Path
) -> None:
    servers = "server x 10.0.0.1:80 weight 2\n server y 10.0.0.2:80\n"
    algorithm = read(tmp_path, f"backend a\n mode http\n balance {balance}\n {servers}").scenario
    assert algorithm.algorithm.name == "weighted_round_robin"
    assert algorithm.algorithm.settings == {"sequence": sequence}


def test_a_template_is_looked_up(tmp_path: Path) -> None:
    text = "backend a\n mode http\n server-template web 5 web.internal:80 check\n"
    (source,) = read(tmp_path, text).scenario.discovery
    assert source.dns == "web.internal:80"


def test_nginx(tmp_path: Path) -> None:
    found = read(tmp_path, NGINX)
    file = found.scenario
    assert (found.kind, found.pool) == ("nginx", "app")
    assert file.algorithm.name == "least_connections"
    assert [(it.address, it.weight, it.priority) for it in file.backends] == [
        ("app1.example.com:80", 5, 0),
        ("10.0.0.2:8080", 1, 0),
        ("unix:/tmp/app3", 1, 0),
        ("10.0.0.4:8080", 1, 1),
    ]
    assert [it.address for it in file.listening()] == ["0.0.0.0:80", "[::]:443"]
    assert (file.timeouts.response, file.limits.body) == (90, 1 << 20)
    assert (file.retries.max, file.retries.on) == (2, ("connect", "reset", "timeout", 503))
    assert (file.outliers.consecutive_failures, file.outliers.eject) == (1, 10)
    assert not file.health.enabled
    assert told(found, tmp_path) == [
        (
            ":9 server 10.0.0.2:8080 max_fails=3 fail_timeout=30s: "
            "max_fails and fail_timeout are the same for all: the first server's"
        ),
        ":12 server 10.0.0.5:8080 down: is down: left out",
        ":15 gzip on: answers are passed on as they come",
        (
            ":16 access_log /var/log/nginx/access.log: "
            "lines of two kinds in one file; give [access_log] file another one"
        ),
        ":19 listen [::]:443 ssl http2: HTTP/1.1 alone is spoken, not http2",
        ":21 server_name api.example.com: requests are not told apart by their names",
        ":22 location /health: requests are not told apart by their paths: all are passed on",
        ":26 proxy_set_header X-Custom 1: fields of requests are passed on as they come",
        (
            ":28 proxy_next_upstream error timeout http_503 non_idempotent: "
            "non_idempotent has no equivalent"
        ),
    ]


def test_included_files_are_read_with_their_own_lines(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "pool.conf").write_text("\nupstream a {\n  server b:81;\n  ntlm;\n}\n")
    text = "http { include conf.d/*.conf; include none.conf;\n"
    found = read(tmp_path, text + "server { location / { proxy_pass http://a; } } }\n")
    assert [it.address for it in found.scenario.backends] == ["b:81"]
    assert [str(row) for row in found.missing] == [
        f"{tmp_path}/conf.d/pool.conf:4 ntlm: has no equivalent",
        f"{tmp_path}/other:1 include none.conf: there is no such file: what it holds is not read",
    ]


@pytest.mark.parametrize(
    ("method", "algorithm", "key"),
    [
        ("ip_hash;", "ip_hash", "client_ip"),
        ("random;", "random", "client_ip"),
        ("random two;", "p2c", "client_ip"),
        ("hash $cookie_sid consistent;", "consistent_hash", "cookie:sid"),
        ("hash $http_x_user consistent;", "consistent_hash", "header:x-user"),
        ("hash $request_uri;", "consistent_hash", "uri"),
    ],
)
def test_methods_of_nginx(method: str, algorithm: str, key: str, tmp_path: Path) -> None:
    file = read(tmp_path, f"upstream a {{ {method} server b:80; server c:80; }}\n").scenario
    assert (file.algorithm.name, file.key) == (algorithm, key)


def test_a_server_without_an_upstream(tmp_path: Path) -> None:
    text = "server {\n listen 80;\n location / { proxy_pass https://b.example/x; }\n}\n"
    found = read(tmp_path, text)
    (backend,) = found.scenario.backends
    assert (backend.address, backend.tls is not None) == ("b.example:443", True)
    assert "the path /x is not put before" in found.missing[-1].why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello\n", ":1: neither a haproxy.cfg nor an nginx.conf, as far as it shows"),
        ("", ":1: neither a haproxy.cfg nor an nginx.conf, as far as it shows"),
        ("frontend a\n mode http\n", ": no backend has a server; there is no pool to read"),
        ("backend a\n mode tcp\n server x b:80\n", ":2 mode tcp: lb balances HTTP alone; give"),
        ("backend a\n server x\n", ":2 server x: a server has a name and an address"),
        ("backend a\n server x b:80 weight z\n", ":2 server x b:80 weight z: 'z' is no whole"),
        ("backend a\n server x b:80 check inter z\n", "inter z: 'z' is no time, such as 5s or"),
        ("backend a\n server x ${B}:80\n", ":2 server x ${B}:80: '${B}:80' is of the environm"),
        ("backend a\n server x b:80\n retries\n", ":3 retries: its value is missing"),
        ("backend a\n server x b:80\n balance\n", ":3 balance: its value is missing"),
        ("listen a\n maxconn\n server x b:80\n", ":2 maxconn: its value is missing"),
        ("listen a\n bind\n server x b:80\n", ":2 bind: its value is missing"),
        ("backend a\n balance random(z)\n server x b:80\n", ":2 balance random(z): 'z' is no"),
        ("backend a\n server x b\n", ":2 server x b: 'b' has no port; write one"),
        ("backend a\n server x 'b:80\n", ":2: a quote is opened and not closed: '"),
        (
            "backend a\n option httpchk health\n server x b:80 check\n",
            ":2 health.path: 'health' is no path, such as",
        ),
        (
            "backend a\n server x b:80\n server y b:80\n",
            ":3 backend[1].address: backend b:80 is given twice",
        ),
        ("upstream a {\n server b:1\n}\n", ":3: server ends without a semicolon"),
        ("http {\n upstream a { server b:1; }\n", ":1 http: the block is never closed"),
        ("upstream a { server b:1; } }\n", ":1: a brace is closed that was not opened"),
        ("upstream a {\n server b:1 weight=x;\n}\n", ":2 server b:1 weight=x: 'x' is no whole"),
        ("upstream a {\n server b:1;\n queue z;\n}\n", ":3 queue z: 'z' is no whole number"),
        ("upstream a { server b:1; }\nworker_processes;\n", ":2 worker_processes: its value is"),
        ("upstream a {\n least_conn;\n}\n", ":1 upstream a: has no server"),
        ("http { server { listen 80; } }\n", ": no upstream, and no proxy_pass http://...; there"),
        ("server { proxy_pass http://$b; }\n", ": no upstream, and no proxy_pass http://...; th"),
        ("upstream a { server 'b; }\n", ":1: a quote is opened and not closed"),
        ("backend a from b\n server x b:80\n", ":1 backend a from b: no defaults before it are ca"),
        ("listen a\n bind :80-999\n server x b:1\n", ":2 bind :80-999: 920 ports are more than"),
        ("backend a\n server x b:80 # \0\n", ":2: holds '\\x00', which no text does"),
        ("a {\n" * 60 + "}" * 60, ":51 a: 50 blocks inside of each other are open already"),
        ("upstream a { server b:1; } " + "x" * 99, f":1: {'x' * 60} ends without a semicolon"),
    ],
)
def test_wrong_files_are_told_where_and_what(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text)
    (problem,) = error.value.problems
    assert why in problem
    assert problem.startswith(f"{tmp_path}/other:")
