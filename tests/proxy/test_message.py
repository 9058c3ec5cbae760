"""The rules of HTTP for an intermediary, as tables."""

import json

import pytest

from lb.balancing import Outcome, Why
from lb.proxy.message import (
    REFUSALS,
    REQUEST_FIELDS,
    FieldTable,
    chunk,
    error_body,
    forwarding,
    has_body,
    local_response,
    origin_form,
    tokens,
    without,
)


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b"", []),
        (b" , ,", []),
        (b"close", [b"close"]),
        (b"Close,X-A ,\tb", [b"close", b"x-a", b"b"]),
    ],
)
def test_tokens(value: bytes, members: list[bytes]) -> None:
    assert tokens(value) == members


def fields(*names: bytes) -> list[bytes]:
    return [part for name in names for part in (name, b": ", b"value", b"\r\n")]


def test_named_fields_go_in_any_spelling_but_never_the_length() -> None:
    given = fields(b"X-A", b"x-b", b"X-A", b"Content-Length")
    assert without(given, [b"x-a", b"content-length"]) == fields(b"x-b", b"Content-Length")


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        (b"GET", 200, True),
        (b"HEAD", 200, False),
        (b"GET", 101, False),
        (b"POST", 204, False),
        (b"GET", 304, False),
        (b"HEAD", 404, False),
    ],
)
def test_which_answers_have_a_body(method: bytes, status: int, body: bool) -> None:
    assert has_body(method, status) is body


def test_a_field_is_known_in_any_spelling() -> None:
    table = FieldTable(REQUEST_FIELDS)
    for name in (b"connection", b"Connection", b"CONNECTION", b"cOnnection"):
        assert table[name] == REQUEST_FIELDS[b"connection"]
    assert table[b"X-Whatever"] == 0


def test_spellings_are_remembered_up_to_a_bound() -> None:
    table = FieldTable(REQUEST_FIELDS)
    for number in range(5000):
        assert table[b"x-%d" % number] == 0
    assert table[b"x" * 1000] == 0
    assert len(table) == 1024
    assert table[b"Keep-Alive"] == REQUEST_FIELDS[b"keep-alive"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"http://a.test/x?y", (b"/x?y", b"a.test")),
        (b"HTTP://a.test:80", (b"/", b"a.test:80")),
        (b"https://me:pw@a.test/", (b"/", b"a.test")),
        (b"http://a.test?x=http://b.test/", (b"/?x=http://b.test/", b"a.test")),
        (b"http://[::1]:80/x@y", (b"/x@y", b"[::1]:80")),
        (b"*", (b"*", b"given.test")),
    ],
)
def test_absolute_targets(target: bytes, expected: tuple[bytes, bytes]) -> None:
    assert origin_form(target, b"given.test") == expected


def test_a_trusted_chain_grows_by_one() -> None:
    given = [
        *(b"X-Forwarded-For", b": ", b"1.1.1.1", b"\r\n"),
        *(b"Accept", b": ", b"*/*", b"\r\n"),
        *(b"x-forwarded-for", b": ", b"2.2.2.2", b"\r\n"),
        *(b"X-FORWARDED-HOST", b": ", b"a.test", b"\r\n"),
    ]
    kept, lines = forwarding(given, b"3.3.3.3", b"b.test")
    assert b"".join(kept) == b"Accept: */*\r\nX-FORWARDED-HOST: a.test\r\n"
    assert lines == b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Proto: http\r\n"


def test_a_chunk() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


@pytest.mark.parametrize(
    ("keep_alive", "minor", "connection"),
    [
        (True, 1, None),
        (False, 1, b"Connection: close"),
        (True, 0, b"Connection: keep-alive"),
        (False, 0, b"Connection: close"),
    ],
)
def test_our_own_answers(keep_alive: bool, minor: int, connection: bytes | None) -> None:
    body = error_body("code", 'said "no"')
    whole = local_response(503, body, keep_alive=keep_alive, minor=minor)
    head, _, rest = whole.partition(b"\r\n\r\n")
    assert json.loads(rest) == {"error": "code", "message": 'said "no"'}
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 503 Service Unavailable"
    assert b"Content-Length: %d" % len(rest) in head
    assert [line for line in head.split(b"\r\n") if line.startswith(b"Conn")] == (
        [connection] if connection else []
    )
    assert local_response(503, body, keep_alive=keep_alive, minor=minor, head_only=True) == (
        head + b"\r\n\r\n"
    )


def test_every_refusal_has_words_and_a_status() -> None:
    broken = {outcome for outcome in Outcome if outcome.teaches} - {Outcome.OK}
    assert set(REFUSALS) == {*Why, *broken}
    for status, message in REFUSALS.values():
        assert 500 <= status < 600
        assert message
