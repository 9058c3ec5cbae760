"""Access logs of others as what was seen: times, tries, outcomes, keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lb.recording.format import ENDS
from lb.traces.nginx_log import RECOMMENDED
from tests.traces.logs import COMBINED, HAPROXY, TIMED, seen, tries


def test_haproxy_counts_from_the_first_byte_of_a_request(tmp_path: Path) -> None:
    found = seen(tmp_path, f"Feb  6 12:14:14 host haproxy[1]: {HAPROXY}", HAPROXY)
    assert tries(found)[0] == ("a", 0.02, 0.05, 0.09, 0.099, "ok")
    assert [round(it, 6) for it in found.ended] == [0.099, 0.099]
    assert (found.resolution, set(found.lacking)) == (1e-3, {"bytes_in"})
    assert list(found.status) == [200, 200]
    assert list(found.bytes_out) == [2750, 2750]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("client_ip", "10.0.1.2"),
        ("path", "/index.html"),
        ("uri", "/index.html?q=1"),
        ("cookie:sid", "x"),
        ("header:X-Key", "k1"),
    ],
)
def test_keys_of_haproxy(key: str, text: str, tmp_path: Path) -> None:
    assert seen(tmp_path, HAPROXY, key=key).texts == (text,)


@pytest.mark.parametrize(
    ("state", "status", "became"),
    [
        ("----", 200, "ok"),
        ("----", 503, "server_error"),
        ("SC--", 503, "connect"),
        ("sC--", 503, "connect"),
        ("SH--", 502, "reset"),
        ("sH--", 504, "timeout"),
        ("SD--", 200, "reset"),
        ("CD--", 200, "client_gone"),
        ("cD--", 200, "client_gone"),
    ],
)
def test_terminations_of_haproxy(state: str, status: int, became: str, tmp_path: Path) -> None:
    line = HAPROXY.replace("----", state).replace(" 200 ", f" {status} ")
    found = seen(tmp_path, line)
    assert [ENDS[it] for it in found.outcome] == [became]
    assert tries(found)[0][-1] == became


def test_what_never_came_to_a_server(tmp_path: Path) -> None:
    full = HAPROXY.replace("pool/a 10/20/30/40/109 200", "pool/<NOSRV> 10/20/-1/-1/30 503")
    own = HAPROXY.replace("pool/a", "web/<STATS>").replace("----", "LR--")
    found = seen(tmp_path, full.replace("----", "sQ--"), own, "haproxy[1]: Server pool/a is DOWN,")
    assert [ENDS[it] for it in found.outcome] == ["refused"]
    assert len(found.attempts) == 0
    assert found.remarks == (
        "left out: 1 requests that HAProxy answered itself",
        "left out: 1 notices",
    )


def test_haproxy_in_the_common_log_format(tmp_path: Path) -> None:
    line = (
        '127.0.0.1 - - [06/Feb/2026:12:14:14 +0000] "GET /a HTTP/1.1" 200 2750 "" "" 33317 655 '
        '"web" "pool" "a" 10 20 30 40 109 "----" 1 1 1 1 0 0 0 "" ""'
    )
    assert tries(seen(tmp_path, line)) == [("a", 0.02, 0.05, 0.09, 0.099, "ok")]


def test_a_retry_that_is_only_counted_is_told(tmp_path: Path) -> None:
    found = seen(tmp_path, HAPROXY.replace("1/1/1/1/0", "1/1/1/1/+1"))
    (remark,) = found.remarks
    assert remark.startswith("1 of 1 requests were tried more than once")


def test_nginx_with_all_there_is(tmp_path: Path) -> None:
    found = seen(tmp_path, TIMED, key="path")
    assert tries(found) == [
        ("10.0.0.1:80", 0.0, None, None, 0.1, "connect"),
        ("10.0.0.2:80", 0.1, 0.11, 0.15, 0.28, "ok"),
    ]
    assert [round(it, 6) for it in found.ended] == [0.3]
    assert (found.resolution, found.lacking, found.texts) == (1e-3, frozenset(), ("/a",))
    assert (list(found.bytes_in), list(found.bytes_out)) == ([99], [612])


def test_the_recommended_format_is_read_as_it_is_by_itself(tmp_path: Path) -> None:
    assert tries(seen(tmp_path, TIMED, log_format=RECOMMENDED)) == tries(seen(tmp_path, TIMED))


@pytest.mark.parametrize(
    "rest",
    [
        ' rt=0.300 uct="0.010" uht="0.050" urt="0.299" ua="10.0.0.1:80"',
        " rt=0.300 uct=0.010 uht=0.050 urt=0.299 ua=10.0.0.1:80",
        " request_time: 0.300 upstream_addr: 10.0.0.1:80 uct: 0.010 uht: 0.050 urt: 0.299",
    ],
)
def test_nginx_with_labels(rest: str, tmp_path: Path) -> None:
    found = seen(tmp_path, COMBINED + rest)
    assert tries(found) == [("10.0.0.1:80", 0.0, 0.01, 0.05, 0.299, "ok")]
    assert found.resolution == 1


def test_lines_of_one_second_are_spread_over_it_in_their_order(tmp_path: Path) -> None:
    line = COMBINED + ' rt=0.010 ua="a:1"'
    found = seen(tmp_path, line, line, line.replace(":23 ", ":24 "), line.replace(":23 ", ":24 "))
    assert [round(it, 6) for it in found.arrived] == [0.0, 0.5, 1.0, 1.5]
    assert "whole seconds" in found.remarks[0]


def test_nginx_of_kubernetes(tmp_path: Path) -> None:
    tried = "10.1.2.3:8080, 10.1.2.4:8080 0, 612 0.004, 0.012 502, 200"
    rest = f" 345 0.020 [default-web-80] [] {tried} abc"
    found = seen(tmp_path, COMBINED + rest)
    assert [row[0] for row in tries(found)] == ["10.1.2.3:8080", "10.1.2.4:8080"]
    assert found.attempts.ended[1] == pytest.approx(0.016, abs=1e-6)
    assert found.lacking == {"attempts.connected", "attempts.first_byte"}


def test_what_nginx_answered_itself_and_who_left(tmp_path: Path) -> None:
    own = COMBINED + ' rt=0.000 ua="-" us="-" urt="-"'
    gone = COMBINED.replace(" 200 ", " 499 ") + ' rt=0.100 ua="a:1" us="-" uct="0.0" urt="0.1"'
    nobody = COMBINED.replace(" 200 ", " 503 ") + ' rt=0.000 ua="-" us="-" urt="-"'
    left = COMBINED.replace(" 200 ", " 502 ") + ' rt=0.001 ua="{}" us="{}" uct="{}" urt="{}"'
    alone = left.format("pool", "502", "-", "0.000")
    after = left.format("b:1, pool", "502, 502", "-, -", "0.001, 0.000")
    found = seen(tmp_path, own, gone, nobody, alone, after)
    assert [ENDS[it] for it in found.outcome] == [
        *("client_gone", "refused", "refused"),
        "connect",
    ]
    assert [(row[0], row[-1]) for row in tries(found)] == [
        ("a:1", "client_gone"),
        ("b:1", "connect"),
    ]
    assert "left out: 1 requests answered without a backend" in found.remarks


def test_a_log_format_in_the_words_of_nginx(tmp_path: Path) -> None:
    found = seen(
        tmp_path,
        '[29/Nov/2026:03:43:23 +0000] 1.2.3.4: "GET /x HTTP/1.1" a:1 0.123 s k',
        key="header:X-Key",
        log_format='[$time_local] $remote_addr: "$request" $upstream_addr '
        "$upstream_response_time s $http_x_key",
    )
    assert tries(found) == [("a:1", 0.0, None, None, 0.123, "ok")]
    assert found.texts == ("k",)


TRAEFIK = (
    '{"StartUTC": "2026-11-29T03:43:23.1Z", "Duration": 250000000, "OriginDuration": 240000000, '
    '"ServiceAddr": "a", "DownstreamStatus": 200, "OriginStatus": 200}'
)
ENVOY = (
    '{"start_time": "2026-11-29T03:43:23.100Z", "duration": 250, "upstream_host": "a", '
    '"response_code": 200, "response_duration": 40, "upstream_request_attempt_count": 1, '
    '"downstream_remote_address": "1.2.3.4"}'
)
JSON_LINES: list[tuple[str, Mapping[str, str]]] = [
    ('{"ts": 1764387803.25, "took_ms": 250, "backend": "a", "status": 200}', {}),
    ('{"time": "2026-11-29T03:43:23Z", "duration": "250ms", "upstream": "a"}', {}),
    ('{"msec": "1764387803.250", "request_time": "0.250", "upstream_addr": "a"}', {}),
    ('{"@timestamp": 1764387803250, "latency_us": 250000, "server": "a"}', {}),
    ('{"t": 1764387803.25, "d": 0.25, "b": "a"}', {"ended": "t", "total": "d:s", "backend": "b"}),
    ('{"x": {"t": 1.25, "d": 250}, "b": "a"}', {"ended": "x.t", "total": "x.d:ms", "backend": "b"}),
    ('{"start": 1.0, "end": 1.25, "backend": "a"}', {}),
    (TRAEFIK, {}),
    (ENVOY, {}),
]


@pytest.mark.parametrize(("line", "fields"), JSON_LINES)
def test_json_lines(line: str, fields: Mapping[str, str], tmp_path: Path) -> None:
    found = seen(tmp_path, line, **fields)
    assert [row[0] for row in tries(found)] == ["a"]
    assert found.ended[0] - found.arrived[0] == pytest.approx(0.25)


def test_envoy_as_its_export_logs(tmp_path: Path) -> None:
    found = seen(tmp_path, ENVOY)
    assert tries(found) == [("a", 0.0, None, 0.04, 0.25, "ok")]
    assert (found.texts, found.lacking) == (
        ("1.2.3.4",),
        frozenset({"attempts.connected", "bytes_in", "bytes_out"}),
    )


def test_lb_in_json(tmp_path: Path) -> None:
    line = (
        '{"time":"2026-11-29T03:43:23.123Z","client":"1.1.1.1","target":"/x?y","status":200,'
        '"backend":"a","tries":1,"outcome":"ok","ended_by":"nobody","wait_ms":5,"connect_ms":1,'
        '"first_byte_ms":20,"total_ms":25,"bytes_in":3,"bytes_out":5}'
    )
    found = seen(tmp_path, line, line.replace('"ok"', '"timeout"'), key="uri")
    assert tries(found) == [
        ("a", 0.005, 0.006, 0.02, 0.025, "ok"),
        ("a", 0.005, 0.006, 0.02, 0.025, "timeout"),
    ]
    assert (found.resolution, found.texts, found.lacking) == (1e-3, ("/x?y",), frozenset())
