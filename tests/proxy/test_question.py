"""What is asked of a backend, and what an answer is worth, as tables."""

from __future__ import annotations

import pytest

from lb.balancing import ProbeResult
from lb.config import HealthTable
from lb.proxy.health.conversation import Answer
from lb.proxy.health.question import Question

NOT_READY = r"status 200, without 'ready|done' in it"
JUDGED = {
    # status, X-LB-State and body, and what it comes to
    "well": (200, "", b"ready", (True, "status 200", False)),
    "another that is well": (401, "", b"all done", (True, "status 401", False)),
    "a status not expected": (204, "", b"ready", (False, "status 204, expected 200, 401", False)),
    "no match": (200, "", b"starting", (False, NOT_READY, False)),
    "no text": (200, "", b"\xff\xfe", (False, NOT_READY, False)),
    "a match among what is no text": (200, "", b"\xffready\xfe", (True, "status 200", False)),
    "drains": (200, "drain", b"ready", (True, "status 200, drains", True)),
    "drains, whatever it says": (200, "drain", b"", (True, "status 200, drains", True)),
    "drains, unavailable to others": (503, "drain", b"", (True, "status 503, drains", True)),
    "drains and is ill": (500, "drain", b"", (False, "status 500, expected 200, 401", False)),
    "says it is up": (200, "up", b"ready", (True, "status 200", False)),
    "says it is up and is not": (503, "up", b"", (False, "status 503, expected 200, 401", False)),
    "says something else": (200, "tired", b"ready", (True, "status 200", False)),
}


@pytest.mark.parametrize(("status", "state", "body", "then"), JUDGED.values(), ids=JUDGED)
def test_an_answer_is_judged(
    status: int, state: str, body: bytes, then: tuple[bool, str, bool]
) -> None:
    table = HealthTable(expect=[200, "401"], match="ready|done")
    result = Question.of(table, "h:1").judge(Answer(status, state, "", body), 0.25)
    assert result == ProbeResult(then[0], then[1], 0.25, drain=then[2])


@pytest.mark.parametrize(
    ("table", "address", "place", "line", "host"),
    [
        ({}, "10.0.0.1:3001", ("10.0.0.1", 3001), "/health", "10.0.0.1:3001"),
        ({}, "example.org:80", ("example.org", 80), "/health", "example.org"),
        ({}, "[::1]:3001", ("::1", 3001), "/health", "[::1]:3001"),
        ({}, "bücher.example:3001", ("bücher.example", 3001), "/health", "bücher.example:3001"),
        ({"port": 9000}, "10.0.0.1:3001", ("10.0.0.1", 9000), "/health", "10.0.0.1:3001"),
        ({"host": "a.test", "path": "/?q"}, "h:1", ("h", 1), "/?q", "a.test"),
    ],
)
def test_a_question_is_a_get(
    table: dict[str, object], address: str, place: tuple[str, int], line: str, host: str
) -> None:
    it = Question.of(HealthTable.model_validate(table), address)
    assert (it.host, it.port) == place
    written = host if host.isascii() else host.encode("idna").decode()
    head = (
        f"GET {line} HTTP/1.1\r\nHost: {written}\r\nUser-Agent: lb-health\r\nAccept: */*\r\n"
    ).encode()
    assert it.request == head + b"Connection: close\r\n\r\n"
    assert it.kept_request == head + b"\r\n"
    assert it.reads


def test_a_tcp_check_reads_nothing() -> None:
    assert not Question.of(HealthTable(kind="tcp"), "h:1").reads
