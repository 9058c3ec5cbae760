"""Lines of the access log: whatever clients say, each is one line, and JSON is JSON."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config.access_log import FIELDS
from lb.proxy.logs.lines import Facts, Heads, facts, facts_of_none, line_of

AT = 1764374400.25  # 2025-11-29


def ended(
    lines: bytes = b"",
    target: bytes = b"/",
    how: tuple[str, str, str] = ("ok", "nobody", ""),
    **more: Any,
) -> Facts:
    """A request that came half a second before its end, and was sent on 10 ms after that."""
    request = SimpleNamespace(method=b"GET", target=target, minor=1, host=b"x", lines=lines)
    lease = SimpleNamespace(started_at=5.01, backend=SimpleNamespace(name="a"))
    attempt = SimpleNamespace(lease=lease, sent_at=5.012, first_byte_at=5.4)
    given: dict[str, Any] = {
        "request": request,
        "client": SimpleNamespace(peer=b"127.0.0.1"),
        "arrived_at": 5.0,
        "waited": 0.01,
        "status": 200,
        "tries": 1,
        "hedged": False,
        "taken": 3,
        "passed": 7,
        "trace": None,
        **more,
    }
    here = given.pop("attempt", attempt)
    return facts(Heads(), SimpleNamespace(**given), here, 5.5, *how, at=AT)


def told(known: Facts) -> dict[str, Any]:
    line = line_of("json")(known)
    assert line.endswith("\n")
    assert line.isascii()
    assert line[:-1].isprintable()
    found: dict[str, Any] = json.loads(line)
    return found


def test_all_that_is_known_is_in_a_line_of_json() -> None:
    lines = b"\r\nAccept: */*\r\nUser-Agent: curl/8\r\nReferer:\thttp://x/ "
    found = told(ended(lines, b"/a?b"))
    assert list(found) == list(FIELDS)
    assert found == {
        "time": "2025-11-28T23:59:59.750Z",
        "client": "127.0.0.1",
        "method": "GET",
        "target": "/a?b",
        "protocol": "HTTP/1.1",
        "host": "x",
        "status": 200,
        "backend": "a",
        "wait_ms": 10.0,
        "connect_ms": 2.0,
        "first_byte_ms": 400.0,
        "total_ms": 500.0,
        "tries": 1,
        "hedged": False,
        "bytes_in": 3,
        "bytes_out": 7,
        "outcome": "ok",
        "termination": "--",
        "ended_by": "nobody",
        "phase": None,
        "request_id": None,
        "trace_id": None,
        "user_agent": "curl/8",
        "referer": "http://x/",
    }


def test_what_is_not_known_is_null() -> None:
    found = told(
        ended(attempt=None, status=0, tries=0, waited=0.0, how=("client_gone", "client", "waiting"))
    )
    assert {name for name, value in found.items() if value is None} == {
        *("status", "backend", "connect_ms", "first_byte_ms", "request_id", "trace_id"),
        *("user_agent", "referer"),
    }
    assert found["wait_ms"] == found["total_ms"] == 500
    assert (found["termination"], found["ended_by"], found["phase"]) == ("CQ", "client", "waiting")


@pytest.mark.parametrize(
    ("how", "letters"),
    [
        (("client_gone", "client", "body"), "CD"),
        (("timeout", "client", "body"), "cD"),
        (("connect", "backend", "connecting"), "SC"),
        (("timeout", "backend", "headers"), "sH"),
        (("reset", "backend", "body"), "SD"),
        (("queue_timeout", "proxy", "waiting"), "pQ"),
        (("no_backend", "proxy", "waiting"), "PQ"),
        (("cancelled", "proxy", "body"), "PD"),
    ],
)
def test_letters_are_those_of_haproxy(how: tuple[str, str, str], letters: str) -> None:
    assert told(ended(how=how))["termination"] == letters


def test_common_and_combined() -> None:
    known = ended(b'\r\nuser-agent: a "b" \\ \xff\r\nreferer: http://x', b"/a")
    common = '127.0.0.1 - - [28/Nov/2025:23:59:59 +0000] "GET /a HTTP/1.1" 200 7'
    assert line_of("common")(known) == common + "\n"
    assert line_of("combined")(known) == (common + r' "http://x" "a \x22b\x22 \x5c \x5cxff"' + "\n")


def test_a_template_says_what_it_says() -> None:
    line = line_of("{{{client}}}\t100 % {status} {referer} {total_ms}")
    assert line(ended()) == "{127.0.0.1}\t100 % 200 - 500.000\n"


def test_what_is_no_request_has_a_line_too() -> None:
    found = told(facts_of_none(b"::1", 400, b"", 0.25, AT))
    assert (found["client"], found["status"], found["method"]) == ("::1", 400, None)
    assert (found["outcome"], found["termination"]) == ("bad_request", "PR")
    assert found["total_ms"] == 250
    assert told(facts_of_none(b"::1", 408, b"", 0.25, AT))["termination"] == "cR"
    found = told(facts_of_none(b"::1", 413, b"PUT /big HTTP/1.1", 0.25, AT))
    assert (found["method"], found["target"], found["protocol"]) == ("PUT", "/big", "HTTP/1.1")
    assert told(facts_of_none(b"::1", 400, b'GET "\xff', 0.25, AT))["target"] == r'"\xff'


@given(agent=st.binary(max_size=40), target=st.binary(min_size=1, max_size=20))
def test_nothing_that_is_said_breaks_a_line(agent: bytes, target: bytes) -> None:
    agent = agent.replace(b"\r", b"").replace(b"\n", b"")  # else it is another field
    known = ended(b"\r\nUser-Agent: " + agent + b"\r\nX: y", target)
    assert told(known)["referer"] is None
    line = line_of('"{user_agent}" "{target}"')(known)
    assert line[:-1].isprintable()
    assert line.isascii()
    assert line.count('"') == 4


def test_heads_that_differ_are_not_kept_for_ever() -> None:
    heads = Heads()
    for number in range(2000):
        assert heads.of(b"\r\nUser-Agent: %d" % number) == (str(number), "")
    assert len(heads._known) < 1000
    heads.of(b"\r\nX: " + b"x" * 10_000)
    assert max(map(len, heads._known)) < 10_000
