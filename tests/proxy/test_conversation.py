"""A question and its answer on one connection, byte by byte, without a socket."""

from __future__ import annotations

import asyncio

import pytest

from lb.proxy.health.conversation import BODY, INTERIM, Answer, Broken, Conversation
from tests.proxy.conftest import Run


class Transport:
    """What a conversation writes, and whether it is over."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        assert not self.aborted
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted


def begun() -> tuple[Conversation, Transport]:
    """Made inside a running event loop."""
    it, transport = Conversation(asyncio.get_running_loop()), Transport()
    it.connection_made(transport)  # type: ignore[arg-type]
    return it, transport


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "length": (OK + b"Content-Length: 4\r\n\r\nfine", Answer(200, "", "", b"fine"), True),
    "no body": (
        b"HTTP/1.1 204 No Content\r\nX-LB-State: drain\r\n\r\n",
        Answer(204, "drain", "", b""),
        True,
    ),
    "chunked": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2;x=y\r\nne\r\n0\r\nA: b\r\n\r\n",
        Answer(200, "", "", b"fine"),
        True,
    ),
    "until it closes": (OK + b"\r\nfine", Answer(200, "", "", b"fine"), False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nfine", Answer(200, "", "", b"fine"), False),
    "HTTP/1.2": (
        b"HTTP/1.2 503 Busy\r\nContent-Length: 0\r\n\r\n",
        Answer(503, "", "", b""),
        True,
    ),
    "after interim answers": (
        b"HTTP/1.1 103 Early Hints\r\nX-LB-State: drain\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        + OK
        + b"x-lb-state:  UP \r\nX-LB-Load: in_flight=1, latency_ms=2\r\nContent-Length: 0\r\n\r\n",
        Answer(200, "up", "in_flight=1, latency_ms=2", b""),
        True,
    ),
}


@pytest.mark.parametrize(("wire", "answer", "framed"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_the_same_wherever_it_is_cut(
    run: Run, wire: bytes, answer: Answer, framed: bool
) -> None:
    async def test() -> None:
        for cut in (*range(1, len(wire)), 0):
            it, transport = begun()
            answered = it.ask(b"how?")
            assert transport.written == [b"how?"]
            it.data_received(wire[:cut] if cut else wire[:1])
            assert not answered.done()
            it.data_received(wire[cut:] if cut else wire[1:])
            if not framed:
                assert not answered.done()
                it.connection_lost(None)
            assert await answered == answer
            assert it.usable is framed
        it, _ = begun()
        answered = it.ask(b"how?")
        for number in range(len(wire)):
            it.data_received(wire[number : number + 1])
        if not framed:
            it.connection_lost(None)
        assert await answered == answer

    run(test())


@pytest.mark.parametrize("framed", [name for name, row in ANSWERS.items() if row[2]])
def test_a_connection_that_closes_in_the_middle_is_broken_at_every_byte(
    run: Run, framed: str
) -> None:
    wire = ANSWERS[framed][0]

    async def test() -> None:
        for cut in range(len(wire)):
            it, _ = begun()
            answered = it.ask(b"how?")
            if cut:
                it.data_received(wire[:cut])
            it.connection_lost(None)
            with pytest.raises(Broken, match="closed"):
                await answered
            assert not it.usable

    run(test())


BAD = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\n\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "two framings": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "no chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "interim answers for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * (INTERIM + 1),
    "too many fields": OK + b"A: b\r\n" * 201 + b"\r\n",
    "a head without end": OK + b"A: " + b"b" * 2**17,
}


@pytest.mark.parametrize("wire", BAD.values(), ids=BAD)
def test_what_is_no_answer_is_broken_at_once(run: Run, wire: bytes) -> None:
    async def test() -> None:
        it, transport = begun()
        answered = it.ask(b"how?")
        it.data_received(wire)
        assert transport.aborted
        with pytest.raises(Broken):
            await answered

    run(test())


@pytest.mark.parametrize("length", [b"Content-Length: 9999999999", b"Transfer-Encoding: chunked"])
def test_a_body_is_read_up_to_a_limit_and_the_connection_given_up(run: Run, length: bytes) -> None:
    async def test() -> None:
        it, transport = begun()
        answered = it.ask(b"how?")
        it.data_received(OK + length + b"\r\n\r\n")
        pieces = 0
        while not answered.done():
            piece = bytes(1000)
            it.data_received(piece if b"L" in length else b"3e8\r\n" + piece + b"\r\n")
            pieces += 1
            assert pieces <= BODY // 1000 + 1
        assert transport.aborted
        assert len((await answered).body) == BODY

    run(test())


def test_another_question_follows_on_a_kept_connection_only(run: Run) -> None:
    async def test() -> None:
        it, transport = begun()
        for number in (b"1", b"2"):
            answered = it.ask(number)
            assert not it.usable
            it.data_received(OK + b"Content-Length: 1\r\n\r\n" + number)
            assert (await answered).body == number
            assert it.usable
        answered = it.ask(b"3")
        it.data_received(OK + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        await answered
        assert transport.aborted
        assert not it.usable
        answered = it.ask(b"4")
        assert transport.written == [b"1", b"2", b"3"]
        with pytest.raises(Broken, match="closed without an answer"):
            await answered

    run(test())


def test_bytes_behind_an_answer_end_the_connection(run: Run) -> None:
    async def test() -> None:
        it, transport = begun()
        answered = it.ask(b"how?")
        it.data_received(OK + b"Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        assert (await answered).status == 200
        assert transport.aborted

    run(test())


def test_bytes_that_nobody_asked_for_end_the_connection(run: Run) -> None:
    async def test() -> None:
        it, transport = begun()
        it.data_received(b"220 mail.example.org ESMTP\r\n")
        assert transport.aborted

    run(test())


def test_an_error_of_the_connection_is_told(run: Run) -> None:
    async def test() -> None:
        it, _ = begun()
        answered = it.ask(b"how?")
        it.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        with pytest.raises(Broken, match="connection reset by peer"):
            await answered

    run(test())


def test_whoever_gave_up_is_told_nothing(run: Run) -> None:
    """A time limit cancels the waiting; the answer may be on its way."""

    async def test() -> None:
        it, transport = begun()
        answered = it.ask(b"how?")
        answered.cancel()
        it.data_received(OK + b"Content-Length: 0\r\n\r\n")
        it.close()
        it.connection_lost(None)
        assert transport.aborted
        assert answered.cancelled()

    run(test())
