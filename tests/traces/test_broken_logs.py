"""Access logs that are cut short, mixed, out of order, or without what is needed."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pytest

from lb.errors import ConfigError
from lb.recording.format import MAGIC
from lb.traces.clocks import set_back
from lb.traces.observing import observe
from tests.traces.logs import CADDY, COMBINED, HAPROXY, TIMED, refused, seen


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


def test_who_came_in_one_millisecond_came_in_the_order_of_the_lines(tmp_path: Path) -> None:
    """However the sums of their times are rounded: first come, first served."""
    spent = [place / 1000 for place in range(3, 203)]
    base = 1764387803.123
    found = seen(
        tmp_path,
        *(f'{{"ended": {base + it:.3f}, "total": "{it:.3f}s", "backend": "b"}}' for it in spent),
    )
    assert [round(it, 3) for it in found.ended] == [round(it, 3) for it in spent]
    assert set(found.arrived) == {0.0}


def test_a_clock_that_is_set_back_by_little_has_a_time_twice() -> None:
    """Where two workers write what they have buffered in turns, each tells of half the requests."""
    steady = [place / 20 for place in range(400)]
    step = [*steady[:200], *(ended - 2 for ended in steady[200:])]
    assert set_back(step) == [(200, pytest.approx(1.95))]
    turns = [*steady[:200:2], *steady[1:200:2], *steady[200::2], *steady[201::2]]
    assert sum(before - after > 5 for before, after in pairwise(turns)) == 2
    assert not set_back(turns)
    assert not set_back(steady)


@pytest.mark.parametrize("stray", [-0.2, 0.2])
def test_a_line_out_of_order_within_a_crowd_sets_no_clock_back(stray: float) -> None:
    ends = [place / 20 for place in range(400)] + [20 + place / 1000 for place in range(2000)]
    ends[1400] += stray
    assert not set_back(ends)
    crowd = [*ends[:1400], *(ended - 0.2 for ended in ends[1401:])]
    assert set_back(crowd) == [(1400, pytest.approx(0.198))]


def test_a_field_may_come_after_the_first_lines(tmp_path: Path) -> None:
    line = '{"ts": %d, "took_ms": 1, "backend": 1}'
    lines = [line % at for at in range(30)]
    late = line.replace("}", ', "code": 503}') % 30
    found = seen(tmp_path, *lines, late, status="code")
    assert found.status[-1] == 503
    assert "there is no field 'cod'" in refused(tmp_path, *lines, late, status="cod")


def test_what_follows_a_clock_that_is_set_back_by_little_goes_on_at_once(tmp_path: Path) -> None:
    base = 1764387803
    at = [base + place / 20 for place in range(200)]
    at[100:] = [ended - 2 for ended in at[100:]]
    found = seen(tmp_path, *(TIMED.replace("1764387803.500", f"{it:.3f}") for it in at))
    assert found.remarks[0].startswith("line 101: the clock goes back by ")


def test_files_in_the_wrong_order_are_sorted(tmp_path: Path) -> None:
    at = [TIMED.replace("1764387803", str(1764387803 + it)) for it in (100, 110, 0, 10)]
    found = seen(tmp_path, *at)
    assert [round(it, 6) for it in found.arrived] == [0, 10, 100, 110]
    assert found.remarks[0].startswith("line 3: from before all lines above it")


def test_a_recording_that_is_compressed_is_told(tmp_path: Path) -> None:
    file = tmp_path / "today.rec.gz"
    file.write_bytes(gzip.compress(MAGIC + b"more"))
    with pytest.raises(ConfigError, match=r"a recording that is compressed; unpack it: gunzip "):
        observe(str(file))


def test_a_backend_that_a_header_field_names(tmp_path: Path) -> None:
    given = CADDY.replace('"size"', '"resp_headers": {"X-Upstream": ["10.0.0.1:80"]}, "size"')
    found = seen(tmp_path, given, backend="resp_headers.X-Upstream")
    assert found.backends == ("10.0.0.1:80",)


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
        (
            ['{"ts": 1, "took_ms": 1e30, "backend": "a"}'],
            "client_ip",
            {},
            ":1: total 1e+30 is no time",
        ),
        (
            ['{"ts": 1, "took_ms": 1, "backend": 1, "status": Infinity}'],
            "client_ip",
            {},
            ":1: Infinity is no number",
        ),
        (
            ['{"ts": 1, "took_ms": 1, "backend": 1, "status": 1e30}'],
            "client_ip",
            {},
            ":1: 1e+30 is no",
        ),
        (
            ['{"ts": 1%s, "took_ms": 1, "backend": 1}' % ("0" * 400)],
            "client_ip",
            {},
            ":1: a number",
        ),
        ([HAPROXY.replace(":12:", ":99:")], "client_ip", {}, ":1: hour must be in 0..23"),
        (['{"a": 1}'], "client_ip", {}, ":1: ended, total, backend: in no field; say in which: "),
        (['{"ts": 1, "x": 1, "backend": 1}'], "client_ip", {}, ":1: total: in no field; say in"),
        (['{"ts": 1, "took": 1, "backend": 1}'], "client_ip", {}, ":1: field 'took' has no unit"),
        (['[{"ts": 1},', '{"ts": 2}]'], "client_ip", {}, ":1: a JSON array; give an object a line"),
        (
            ['{"d_ms": 1}'],
            "client_ip",
            {"total": "t:ms"},
            ":1: total: there is no field 't'; known",
        ),
        (
            [CADDY],
            "client_ip",
            {},
            ":1: Caddy's access log does not say who answered; in reve",
        ),
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
