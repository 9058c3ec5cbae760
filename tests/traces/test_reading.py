"""Traces in every form that is known, and what is wrong with those that are not one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lb.errors import ConfigError
from lb.traces import Rows, read
from tests.doubles import Request
from tests.recording.recordings import Player


class Trace:
    """A file that is written and read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, content: str | bytes) -> Rows:
        self.path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read(str(self.path))

    def told(self, content: str | bytes) -> str:
        """What is wrong with it, without the file's directory."""
        with pytest.raises(ConfigError) as caught:
            self.of(content)
        [line] = caught.value.problems
        return line.removeprefix(f"{self.path.parent}/")


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    return Trace(tmp_path / "t")


def columns(rows: Rows) -> tuple[list[float], list[float] | None, list[str] | None]:
    keys = None if rows.keys is None else [rows.texts[key] for key in rows.keys]
    return list(rows.times), None if rows.sizes is None else list(rows.sizes), keys


# --- tables


@pytest.mark.parametrize("balancer", ["2", '"2"'])
def test_objects_number_balancers_as_columns_do(balancer: str, trace: Trace) -> None:
    rows = trace.of(f'{{"time": 1, "balancer": 1}}\n{{"time": 2, "balancer": {balancer}}}\n')
    columns = trace.of("time,balancer\n1,1\n2,2\n")
    assert rows.balancers == columns.balancers
    assert list(rows.balancers or ()) == [0, 1]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "time,size,key\n0,1,a\n0.5,2.5,b c\n0.5,0,a\n",
            ([0, 0.5, 0.5], [1, 2.5, 0], ["a", "b c", "a"]),
        ),
        ("time\n1\n2\n", ([1, 2], None, None)),
        ("key,time\n,3\nx,4e0\n", ([3, 4], None, ["", "x"])),
        ("time,key\n3,\n4,\n", ([3, 4], None, None)),
        ('"time","key"\n1,"a, b"\n\n', ([1], None, ["a, b"])),
        ("\ufefftime , size\r\n 1 , 2 \r\n", ([1], [2], None)),
        ("time,key\n1,été\n", ([1], None, ["été"])),
    ],
)
def test_csv(trace: Trace, content: str, expected: object) -> None:
    assert columns(trace.of(content)) == expected


def test_json_lines(trace: Trace) -> None:
    text = '{"time": 0.25, "size": 2, "key": "a", "path": "/"}\n\n'
    text += '{"key": 7, "time": 1, "size": "3"}\n{"time": 1, "size": 1, "key": null}\n'
    assert columns(trace.of(text)) == ([0.25, 1, 1], [2, 3, 1], ["a", "7", ""])


def test_times_of_day_count_from_the_first(trace: Trace) -> None:
    text = "time\n2026-11-28T12:00:00+01:00\n2026-11-28T11:00:00.250\n2026-11-28T11:00:02Z\n"
    assert list(trace.of(text).times) == [0, 0.25, 2]
    at = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
    assert list(trace.of(f"time\n{at}\n{at + 1.5}\n").times) == [0, 1.5]


def test_the_mean_of_the_sizes_is_the_work(trace: Trace) -> None:
    assert trace.of("time,size\n1,1\n2,4\n").work == 2.5
    assert trace.of("time\n1\n").work == 1


def test_a_file_that_changes_is_read_again(trace: Trace) -> None:
    assert len(trace.of("time\n1\n").times) == 1
    assert len(trace.of("time\n1\n2\n").times) == 2


# --- access logs

COMMON = '{host} - frank [10/Oct/2000:13:55:{second:02d} -0700] "GET / HTTP/1.0" 200 2326\n'
COMBINED = (
    "{host} - - [10/Oct/2000:23:59:{second:02d} +0000] "
    '"GET /[x] HTTP/1.1" 200 2326 "http://a/" "Mozilla/4.08 [en] (Win98; I)"\n'
)


@pytest.mark.parametrize("form", [COMMON, COMBINED])
def test_access_logs_in_the_order_of_arrival(trace: Trace, form: str) -> None:
    seconds = [("10.0.0.1", 36), ("::1", 39), ("10.0.0.1", 37), ("b", 36)]
    rows = trace.of("".join(form.format(host=host, second=second) for host, second in seconds))
    assert columns(rows) == ([0, 0, 1, 3], None, ["10.0.0.1", "b", "10.0.0.1", "::1"])
    assert rows.whole_seconds


@pytest.mark.parametrize(
    ("key", "texts"),
    [
        ("path", ["/a", "/a", "", "/b"]),
        ("uri", ["/a?x=1", "/a", "", "/b?"]),
        ("cookie:id", ["h", "h", "h", "h"]),
    ],
)
def test_keys_of_an_access_log_are_what_the_balancer_goes_by(
    trace: Trace, key: str, texts: list[str]
) -> None:
    asked = ("GET /a?x=1 HTTP/1.1", "POST /a HTTP/1.0", "\\x16\\x03", "GET /b?")
    trace.of("".join(f'h - - [10/Oct/2000:13:55:36 +0000] "{it}" 200 1\n' for it in asked))
    rows = read(str(trace.path), key)
    assert columns(rows)[2] == texts


@pytest.mark.parametrize(
    ("key", "texts"),
    [("client_ip", ["::1", "h", "h"]), ("path", ["/b", "/a", ""]), ("uri", ["/b", "/a?x=1", ""])],
)
def test_our_own_access_log_in_the_order_of_arrival(
    trace: Trace, key: str, texts: list[str]
) -> None:
    asked = [("00.500", "h", '"/a?x=1"'), ("00.250", "::1", '"/b"'), ("01.000", "h", "null")]
    lines = (
        f'{{"time":"2026-11-29T00:00:{at}Z","client":"{client}","target":{target},"total_ms":1.5}}\n'
        for at, client, target in asked
    )
    trace.of("".join(lines))
    rows = read(str(trace.path), key)
    assert columns(rows) == ([0, 0.25, 0.75], None, texts)
    assert not rows.whole_seconds


def test_time_zones_and_midnight(trace: Trace) -> None:
    lines = [
        '- - - [31/Dec/1999:23:59:59 +0000] "GET / HTTP/1.0" 200 1\n',
        '- - - [01/Jan/2000:00:00:00 +0000] "\xff" 400 -\n',
        '- - - [31/Dec/1999:19:00:01 -0500] "GET / HTTP/1.0" 200 1\n',
        '- - - [01/Jan/2000:05:30:02 +0530] "GET / HTTP/1.0" 200 1\n',
        '- - - [01/Jan/2000:00:00:03] "GET / HTTP/1.0" 200 1\n',
    ]
    assert list(trace.of("".join(lines).encode("latin-1")).times) == [0, 1, 2, 3, 4]


# --- recordings


def test_a_recording_is_every_call_and_its_key(trace: Trace) -> None:
    player = Player()
    for at, key in ((101.0, b"a"), (101.5, b"b"), (103.0, b"\xff")):
        player.balancer.admit(Request(key=key), at)
    player.balancer.close()
    assert columns(trace.of(player.bytes)) == ([0, 0.5, 2], None, ["a", "b", "\\xff"])


def test_a_recording_that_is_damaged(trace: Trace) -> None:
    player = Player()
    player.balancer.admit(Request(key=b"a"), 101.0)
    player.balancer.close()
    damaged = bytearray(player.bytes)
    damaged[-1] ^= 0xFF
    assert "t: byte " in trace.told(bytes(damaged))


# --- what is none

FORMS = "a header such as time,size,key, JSON lines, an access log, a recording of lb"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "t: holds no request"),
        ("\n \n", "t: holds no request"),
        ("time,size\n", "t: holds no request"),
        ("1.5\n2\n", f"t:1: what this is does not show: begin with {FORMS}"),
        (b"\x1f\x8b\x08", "t: is compressed; unpack it first"),
        (b"time,key\n1,\xff\n", "t: cannot be read: not UTF-8 text"),
        ("time,sise\n1,2\n", "t:1: unknown column 'sise'; did you mean 'size'?"),
        ("tme,size\n1,2\n", "t:1: unknown column 'tme'; did you mean 'time'?"),
        ("size,key\n1,2\n", "t:1: column 'time' is missing"),
        ("time,time\n1,2\n", "t:1: column 'time' is given twice"),
        ("time,size\n1,2\n2\n", "t:3: holds 1 values, and the header 2 names"),
        ('time\n"1\n', "t:2: not CSV: unexpected end of data"),
        ("time\n2\n1.5\n", "t:3: time 1.5 is before that above it, 2; sort the lines by time"),
        ("time\n0\n0\n", "t: all that it holds comes at 0 s, and a run takes time"),
        ("time\n2026-11-28\n", "t: all that it holds comes at 0 s, and a run takes time"),
        ("time\n-1\n", "t:2: time -1 is not a number of seconds from zero up"),
        ("time\nnan\n", "t:2: time nan is not a number of seconds from zero up"),
        (
            "time\n\nsoon\n",
            "t:3: time 'soon' is neither a number of seconds nor a date with a time",
        ),
        ("time,size\n1,-2\n", "t:2: size -2 is not a number from zero up"),
        ("time,size\n1,big\n", "t:2: size 'big' is not a number"),
        ("time,size\n1,\n", "t:2: size '' is not a number"),
        (
            'time,key\n1,"a\nb"\n',
            r"t:3: key 'a\nb' holds a character that no header field can carry",
        ),
        ("{\n", "t:1: not a JSON object"),
        ('{"time": 1}\n[2]\n', "t:2: not a JSON object"),
        ('{"time": 1}\n{"tme": 2}\n', "t:2: time is missing; did you mean 'tme'?"),
        (
            '{"time": true}\n',
            "t:1: time True is neither a number of seconds nor a date with a time",
        ),
        ('{"time": 1, "size": []}\n', "t:1: size [] is not a number"),
        ('{"time": 1, "size": true}\n', "t:1: size True is not a number"),
        ('{"time": 1, "key": {}}\n', "t:1: key is neither a text nor a number"),
        (
            '{"time": 1, "size": 1}\n{"time": 2}\n',
            "t:2: size is missing, and in the first line it is not",
        ),
        (
            '{"time": 1}\n{"time": 2, "key": "a"}\n',
            "t:2: key is given, and in the first line it is not",
        ),
        ("time,balancer\n1,0\n", "t:2: balancer '0' is no number from 1 to 10000"),
        ('{"time": 1, "balancer": 0}\n', "t:1: balancer '0' is no number from 1 to 10000"),
        (
            '{"time": 1, "balancer": 1}\n{"time": 2}\n',
            "t:2: balancer is missing, and in the first line it is not",
        ),
        (
            COMMON.format(host="a", second=1) + "nonsense\n",
            "t:2: not a line of the common or combined log format",
        ),
        (
            COMMON.format(host="a", second=1).replace("Oct", "Okt"),
            "t:1: time '10/Okt/2000:13:55:01 -0700': no month is called Okt",
        ),
        (
            COMMON.format(host="a", second=61),
            "t:1: time '10/Oct/2000:13:55:61 -0700': second must be in 0..59",
        ),
    ],
)
def test_what_is_wrong_with_a_trace(trace: Trace, content: str | bytes, why: str) -> None:
    assert trace.told(content) == why


def test_a_trace_that_cannot_be_read(trace: Trace) -> None:
    with pytest.raises(ConfigError, match=r"t: cannot be read: no such file or directory"):
        read(str(trace.path))


def test_logs_with_times_tell_arrivals_to_the_millisecond(tmp_path: Path) -> None:
    line = (
        "10.0.1.2:33317 [06/Feb/2026:12:14:{at}] web pool/a 10/20/30/40/109 200 2750 - - "
        '---- 1/1/1/1/0 0/0 "GET /{at} HTTP/1.1"\n'
    )
    file = tmp_path / "haproxy.log"
    file.write_text(line.format(at="14.655") + line.format(at="14.905"))
    rows = read(str(file), "path")
    assert [round(it, 6) for it in rows.times] == [0, 0.25]
    assert rows.texts == ("/14.655", "/14.905")
    assert not rows.whole_seconds
    timed = tmp_path / "nginx.log"
    timed.write_text(
        "".join(
            f'1.2.3.4 - - [29/Nov/2026:03:43:23 +0000] "GET /{at} HTTP/1.1" 200 1 "-" "-" '
            f'msec=1764387803.{at} rt=0.100 ua="a:1"\n'
            for at in (500, 250)
        )
    )
    rows = read(str(timed), "path")
    assert [round(it, 6) for it in rows.times] == [0, 0.25]
    assert rows.texts == ("/250", "/500"), "by arrival"
