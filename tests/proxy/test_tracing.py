"""Ids of requests and of traces: passed on where they are well-formed, made where they are not."""

from __future__ import annotations

import re
from contextlib import closing
from random import Random

import pytest

from lb.config import Limits, Tracing
from lb.proxy.http.hop import Intermediary
from lb.proxy.http.request import Request, RequestReader
from lb.proxy.http.tracing import Marks, Trace
from tests.proxy.conftest import Run
from tests.proxy.doubles import answering, echo, get, ok, origin, post, proxy, refusing, scenario

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{PARENT}-01"
IDS = Tracing(request_id="X-Request-ID")
TRACES = Tracing(traceparent=True, sample=0.0)
SPANS = Tracing(otlp="http://collector", sample=1.0)


def request(*fields: str) -> Request:
    reader = RequestReader(b"127.0.0.1", Intermediary(Limits()))
    reader.receive(get("/", *fields))
    found = reader.next()
    assert found is not None
    return found


def sent(it: Request, name: str) -> list[str]:
    """Values of a field, as the backend reads them."""
    assert it.head.endswith(b"\r\n")
    lines = it.head.decode("latin-1").split("\r\n")
    pairs = [line.split(":", 1) for line in lines[1:-1]]
    return [value.strip() for key, value in pairs if key.lower() == name.lower()]


def marked(table: Tracing, *fields: str) -> tuple[Request, Trace]:
    it = request(*fields)
    return it, Marks(table, Random(1)).mark(it)


@pytest.mark.parametrize("given", ["abc", "a" * 128, "1/2=3:4@x+y~z_-."])
def test_an_id_that_is_well_formed_is_passed_on(given: str) -> None:
    it, trace = marked(IDS, f"x-request-id: {given}")
    assert sent(it, "X-Request-ID") == [given] == [trace.request_id]


@pytest.mark.parametrize(
    "given", [[], [""], ["a" * 129], ["a b"], ['"'], ["a,b"], ["\xff"], ["one", "two"]]
)
def test_another_is_made_where_it_is_not(given: list[str]) -> None:
    it, trace = marked(IDS, "X-Other: 1", *(f"X-Request-Id: {one}" for one in given), "X-Last: 2")
    assert re.fullmatch("[0-9a-f]{32}", trace.request_id)
    assert sent(it, "X-Request-ID") == [trace.request_id]
    assert sent(it, "X-Other") == ["1"]
    assert sent(it, "X-Last") == ["2"]


@pytest.mark.parametrize(
    "given", [GIVEN, GIVEN.replace("00", "01", 1), GIVEN.replace("00", "cc", 1) + "-more"]
)
def test_a_traceparent_is_passed_on_as_it_is(given: str) -> None:
    it, trace = marked(TRACES, f"Traceparent: {given}", "tracestate: a=b")
    assert sent(it, "traceparent") == [given]
    assert sent(it, "tracestate") == ["a=b"]
    assert (trace.trace_id, trace.parent, trace.sampled) == (TRACE, PARENT, True)


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["nonsense"],
        [GIVEN.upper()],
        [GIVEN + "-more"],
        [GIVEN.replace("00", "ff", 1)],
        [GIVEN.replace(TRACE, "0" * 32)],
        [GIVEN.replace(PARENT, "0" * 16)],
        [GIVEN[:-1]],
        [GIVEN, GIVEN],
    ],
)
def test_a_traceparent_that_is_none_is_replaced(given: list[str]) -> None:
    fields = (*(f"traceparent: {one}" for one in given), "tracestate: a=b", "X-Last: 1")
    it, trace = marked(TRACES, *fields)
    (made,) = sent(it, "traceparent")
    assert re.fullmatch(f"00-{trace.trace_id}-[0-9a-f]{{16}}-00", made)
    assert trace.trace_id != TRACE
    assert sent(it, "tracestate") == []  # it was of another trace
    assert sent(it, "X-Last") == ["1"]


def test_who_is_sampled_is_drawn_where_nobody_has_said_so() -> None:
    marks = Marks(Tracing(traceparent=True, sample=0.25), Random(2))
    drawn = sum(marks.mark(request()).sampled for _ in range(2000))
    assert 420 < drawn < 580  # four standard deviations
    assert not marks.mark(request(f"traceparent: {GIVEN[:-2]}00")).sampled


def test_where_there_are_spans_each_attempt_says_its_own() -> None:
    it, trace = marked(SPANS, f"traceparent: {GIVEN}", "tracestate: a=b")
    assert sent(it, "traceparent") == []  # see `Attempt.mark`
    assert sent(it, "tracestate") == ["a=b"]
    assert trace.span not in ("", PARENT)
    mark = Marks(SPANS).mark_of(trace, "12" * 8)
    assert mark == f"traceparent: 00-{TRACE}-{'12' * 8}-01\r\n".encode()


def test_nothing_is_said_unless_it_is_asked_for(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            answer = await lb.get("/", f"traceparent: {GIVEN}", "X-Request-ID: a b")
            assert f"traceparent: {GIVEN}\r\n".encode() in answer.body
            assert b"X-Request-ID: a b\r\n" in answer.body

    run(test())


@pytest.mark.parametrize("asked", [get("/"), post(b"body")], ids=["GET", "POST"])
def test_backends_hear_them(run: Run, asked: bytes) -> None:
    toml = '[tracing]\nrequest_id = "X-Request-ID"\ntraceparent = true\n'

    async def test() -> None:
        with closing(refusing()) as a:
            async with origin(answering(ok())) as b, proxy(a, b, toml=toml) as lb:
                async with lb.client() as client:
                    for _ in range(3):
                        client.send(asked)
                        assert (await client.response()).status == 200
                ids = {it["X-Request-ID"] for it in b.requests}
                parents = {it["traceparent"] for it in b.requests}
                assert len(ids) == len(parents) == 3
                assert None not in ids | parents

    run(test())


def test_what_is_told_apart_changes_with_the_file(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            assert b"X-Call" not in (await lb.get()).body
            lb.driver.adopt(scenario(a, toml='[tracing]\nrequest_id = "X-Call"\n'))
            assert b"X-Call: " in (await lb.get()).body
            lb.driver.adopt(scenario(a))
            assert b"X-Call" not in (await lb.get()).body

    run(test())
