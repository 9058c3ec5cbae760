"""Access logs of others as what was seen: times, tries, outcomes, and what is wrong with a file."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from lb.errors import ConfigError
from lb.traces.nginx_log import RECOMMENDED
from lb.traces.observed import OUTCOMES, Observed
from lb.traces.observing import observe

HAPROXY = (
    "10.0.1.2:33317 [06/Feb/2026:12:14:14.655] web~ pool/a 10/20/30/40/109 200 2750 sid=x - "
    '---- 1/1/1/1/0 0/0 {k1|other} {} "GET /index.html?q=1 HTTP/1.1"'
)
COMBINED = '1.2.3.4 - - [29/Nov/2026:03:43:23 +0000] "GET /a?b=1 HTTP/1.1" 200 612 "-" "curl/8 (x)"'
TIMED = (
    COMBINED + ' msec=1764387803.500 rt=0.300 ua="10.0.0.1:80, 10.0.0.2:80" us="502, 200" '
    'uct="-, 0.010" uht="-, 0.050" urt="0.100, 0.180" rl=99'
)
ONE = {"arrived": [0.0], "tries": 1}


def seen(at: Path, *lines: str, key: str = "client_ip", **fields: str) -> Observed:
    file = at / "access.log"
    file.write_text("".join(f"{line}\n" for line in lines))
    return observe(str(file), key, fields or None)


def refused(at: Path, *lines: str, key: str = "client_ip", **fields: str) -> str:
    with pytest.raises(ConfigError) as error:
        seen(at, *lines, key=key, **fields)
    (problem,) = error.value.problems
    return problem.removeprefix(f"{at}/access.log")


def tries(found: Observed) -> list[tuple[Any, ...]]:
    it = found.attempts
    return [
        (
            found.backends[it.backend[row]],
            *(
                None if isnan(column[row]) else round(column[row], 6)
                for column in (it.started, it.connected, it.first_byte, it.ended)
            ),
            OUTCOMES[it.outcome[row]],
        )
        for row in range(len(it))
    ]


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
    assert [OUTCOMES[it] for it in found.outcome] == [became]
    assert tries(found)[0][-1] == became


def test_what_never_came_to_a_server(tmp_path: Path) -> None:
    full = HAPROXY.replace("pool/a 10/20/30/40/109 200", "pool/<NOSRV> 10/20/-1/-1/30 503")
    own = HAPROXY.replace("pool/a", "web/<STATS>").replace("----", "LR--")
    found = seen(tmp_path, full.replace("----", "sQ--"), own, "haproxy[1]: Server pool/a is DOWN,")
    assert [OUTCOMES[it] for it in found.outcome] == ["refused"]
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
    assert [OUTCOMES[it] for it in found.outcome] == [
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
    '{"start_time": "2026-11-29T03:43:23.1Z", "duration": 250, "upstream_host": "a", '
    '"response_code": 200}'
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


def test_a_line_that_is_cut_short_is_left_out_and_told(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text(f"{TIMED}\n{TIMED[:40]}")
    found = observe(str(file))
    assert len(found) == 1
    assert found.remarks == ("line 2, the last one, is cut short: left out",)


def test_a_few_broken_lines_are_told_and_many_are_an_error(tmp_path: Path) -> None:
    found = seen(tmp_path, *[TIMED] * 3, "nonsense", "more of it")
    assert len(found) == 3
    assert found.remarks == ("line 4: not a line of nginx's access log; 1 more like it: left out",)
    assert refused(tmp_path, *[TIMED] * 3, *[HAPROXY] * 4) == (
        ":4: not a line of nginx's access log: it is HAProxy's httplog; one file holds one format; "
        "4 of 7 lines are not nginx's access log, and at most 1% may be"
    )


def test_a_clock_that_is_set_back_goes_on(tmp_path: Path) -> None:
    at = [TIMED.replace("1764387803", str(1764387803 + it)) for it in (0, 10, 20, 5, 10)]
    found = seen(tmp_path, *at)
    assert [round(it, 6) for it in found.arrived] == [0, 10, 20, 20, 25]
    assert found.remarks[0].startswith("line 4: the clock goes back by 15.000 s")


def test_files_in_the_wrong_order_are_sorted(tmp_path: Path) -> None:
    at = [TIMED.replace("1764387803", str(1764387803 + it)) for it in (100, 110, 0, 10)]
    found = seen(tmp_path, *at)
    assert [round(it, 6) for it in found.arrived] == [0, 10, 100, 110]
    assert found.remarks[0].startswith("line 3: from before all lines above it")


def test_gaps_are_told(tmp_path: Path) -> None:
    times = [*range(100), *range(400, 500)]
    found = seen(tmp_path, *(TIMED.replace("1764387803", str(1764387803 + it)) for it in times))
    assert found.remarks == (
        "nothing ends for 301.000 s between lines 100 and 101: nobody came, or lines are missing",
    )


def test_a_line_without_end_is_one_that_is_broken(tmp_path: Path) -> None:
    """Whatever it holds: no pattern takes longer than it is long."""
    for letter in ("x", "x ", "a:1 ", "a=", '"'):
        found = seen(tmp_path, HAPROXY, letter * 100_000, HAPROXY)
        assert len(found) == 2
        assert found.remarks == ("line 2: not a line of HAProxy's httplog: left out",)
        assert len(seen(tmp_path, TIMED, letter * 100_000, f"{TIMED} {letter * 30_000}")) == 2


def test_archives_are_unpacked_even_broken_ones(tmp_path: Path) -> None:
    file = tmp_path / "access.log.gz"
    whole = gzip.compress("".join(f"{TIMED}{it}\n" for it in range(500)).encode())
    file.write_bytes(whole)
    assert len(observe(str(file))) == 500
    file.write_bytes(whole[: len(whole) // 2])
    broken = observe(str(file))
    assert 0 < len(broken) < 500
    assert "cut short" in broken.remarks[-1]


@pytest.mark.parametrize(
    ("lines", "key", "fields", "why"),
    [
        ([COMBINED], "client_ip", {}, ":1: .* $request_time and $upstream_addr are missing; log"),
        ([COMBINED + " rt=0.1"], "client_ip", {}, ":1: .* $upstream_addr is missing; log"),
        (["hello"], "client_ip", {}, ":1: what this is does not show; known: HAProxy's"),
        ([], "client_ip", {}, ": holds no request"),
        (["{"], "client_ip", {}, ":1: not a JSON object"),
        (['{"ts": "noon", "d_ms": 1}'], "client_ip", {"total": "d_ms"}, ":1: 'noon' is no time"),
        (['{"ts": 1, "took_ms": -1, "backend": "a"}'], "client_ip", {}, ":1: total -1 is no time"),
        ([HAPROXY.replace(":12:", ":99:")], "client_ip", {}, ":1: hour must be in 0..23"),
        (['{"a": 1}'], "client_ip", {}, ":1: ended, total, backend: in no field; say in which: "),
        (['{"ts": 1, "x": 1, "backend": 1}'], "client_ip", {}, ":1: total: in no field; say in"),
        (['{"ts": 1, "took": 1, "backend": 1}'], "client_ip", {}, ":1: field 'took' has no unit"),
        (['{"ts": 1}'], "client_ip", {"totl": "x"}, ":1: unknown field 'totl'; did you mean 'tot"),
        (['{"ts": 1, "d": 1}'], "client_ip", {"total": "d"}, ":1: field 'd' has no unit; give --f"),
        (['{"ts": 1, "d": 1}'], "client_ip", {"total": "d:m s"}, ":1: 'd:m s': unknown unit 'm s'"),
        ([TIMED], "header:X-Key", {}, ":1: key header:X-Key: not in the log; log $http_x_key"),
        (
            [HAPROXY.replace("{k1|other} {} ", "")],
            "header:X-Key",
            {},
            ":1: key header:X-Key: no header is captured; log it: capture request header X-Key",
        ),
        (
            ["10.0.0.1:1 [06/Feb/2026:12:14:14.655] web pool/a 0/0/5 100 -- 1/1/1/1/0 0/0"],
            "client_ip",
            {},
            ":1: a line of `option tcplog`: TR, Tr and Ta are missing; its own `option httplog`",
        ),
        ([TIMED], "client_ip", {"log_format": "no"}, ": log_format: 'no' has no variable, such"),
        ([TIMED], "client_ip", {"log_format": "$msec"}, ":1: that log_format: $request_time and "),
    ],
)
def test_files_from_which_nothing_can_be_told(
    lines: list[str], key: str, fields: dict[str, str], why: str, tmp_path: Path
) -> None:
    problem = refused(tmp_path, *lines, key=key, **fields)
    start, _, rest = why.partition(".*")
    assert problem.startswith(start.strip())
    assert rest in problem
