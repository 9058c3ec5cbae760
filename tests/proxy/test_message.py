"""What the proxy writes itself."""

import json

import pytest

from lb.balancing import Outcome, Why
from lb.proxy.http.message import REFUSALS, chunk, date_at, error, last_chunk


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
    answer = error(503, "code", 'said "no"')
    whole = answer.written(keep_alive=keep_alive, minor=minor)
    head, _, rest = whole.partition(b"\r\n\r\n")
    assert json.loads(rest) == {"error": "code", "message": 'said "no"'}
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 503 Service Unavailable"
    assert b"Content-Length: %d" % len(rest) in head
    assert [line for line in head.split(b"\r\n") if line.startswith(b"Conn")] == (
        [connection] if connection else []
    )
    assert head.count(b"\r\nDate: ") == 1
    bare = answer.written(keep_alive=keep_alive, minor=minor, head_only=True)
    assert bare.partition(b"\r\n\r\n")[2] == b""
    assert len(bare) == len(head) + 4


def test_a_date_is_written_as_rfc_9110_asks() -> None:
    assert date_at(784111777) == b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT"


def test_a_date_is_computed_once_a_second() -> None:
    assert date_at(784111777) is date_at(784111777)


def test_every_refusal_has_words_and_a_status() -> None:
    broken = {outcome for outcome in Outcome if outcome.teaches} - {Outcome.OK}
    assert set(REFUSALS) == {*Why, *broken, Outcome.CANCELLED}
    for why, answer in REFUSALS.items():
        assert 500 <= answer.status < 600
        said = json.loads(answer.body)
        assert said["error"] == why.value
        assert said["message"]


def test_who_is_refused_for_trouble_that_passes_hears_when_to_come_again() -> None:
    told = {why for why, answer in REFUSALS.items() if b"\r\nRetry-After: 1" in answer.fields}
    assert told == {why for why, answer in REFUSALS.items() if answer.status == 503}
    assert told == {*Why, Outcome.CANCELLED}
