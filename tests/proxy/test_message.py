"""What the proxy writes itself."""

import json

import pytest

from lb.balancing import Outcome, Why
from lb.proxy.http.message import REFUSALS, chunk, error_body, last_chunk, local_response


def test_a_chunk() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert last_chunk(b"") == b"0\r\n\r\n"
    assert last_chunk(b"\r\nX-A: 1") == b"0\r\nX-A: 1\r\n\r\n"


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
    assert set(REFUSALS) == {*Why, *broken, Outcome.CANCELLED}
    for status, message in REFUSALS.values():
        assert 500 <= status < 600
        assert message
