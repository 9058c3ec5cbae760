"""The layer of TLS by itself: two of them back to back, and what passes between them."""

from __future__ import annotations

import asyncio
import ssl
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.proxy.tls.layer import SLICE
from tests.proxy.layers import Notes, Pair, connected


def run(test: Any) -> None:
    asyncio.run(test())


def test_a_server_is_there_at_once_and_a_client_when_it_has_met_it() -> None:
    async def test() -> None:
        it = Pair()
        client, server = it.above
        assert (client.events, server.events) == ([], ["made"])
        server.transport.write(b"too early")
        it.pass_on()
        assert client.events == ["made"]
        assert client.transport is it.client
        assert client.heard == []
        assert it.client.get_extra_info("ssl_object").version() == "TLSv1.3"

    run(test)


@pytest.mark.parametrize("size", [1, 16384, 16385, SLICE, SLICE + 1, 1_000_000])
def test_what_is_written_arrives_whole_in_pieces_that_are_not_large(size: int) -> None:
    async def test() -> None:
        it = connected()
        client, server = it.above
        content = bytes(number % 251 for number in range(1000)) * 1000
        client.transport.write(content[:size])
        server.transport.writelines([content[:size], b"", b"and more"])
        sizes = it.pass_on()
        assert b"".join(server.heard) == content[:size]
        assert b"".join(client.heard) == content[:size] + b"and more"
        assert max(sizes) <= SLICE + 4 * 64

    run(test)


def test_one_large_piece_is_read_while_there_is_room() -> None:
    async def test() -> None:
        it = connected()
        client, server = it.above
        client.transport.write(b"x" * 500_000)
        piece = b"".join(it.pipes[0].written)
        it.pipes[0].written = []

        def stop_at_first(data: bytes) -> None:
            server.heard.append(data)
            server.transport.pause_reading()

        server.data_received = stop_at_first  # type: ignore[method-assign]
        it.server.data_received(piece)
        assert len(server.heard) == 1
        assert not it.pipes[1].reading
        server.transport.resume_reading()
        await asyncio.sleep(0)
        assert len(server.heard) == 2, "and stops again"
        del server.data_received
        server.transport.resume_reading()
        assert len(server.heard) == 2, "never from inside"
        await asyncio.sleep(0)
        assert b"".join(server.heard) == b"x" * 500_000
        assert it.pipes[1].reading

    run(test)


@given(
    lengths=st.lists(st.integers(1, 70_000), min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 60_000), min_size=1, max_size=8),
    pauses=st.lists(st.booleans(), min_size=1, max_size=8),
)
@settings(max_examples=25, deadline=None)
def test_content_is_the_same_however_it_comes_and_whoever_does_not_read(
    lengths: list[int], cuts: list[int], pauses: list[bool]
) -> None:
    async def test() -> None:
        it = connected()
        client, server = it.above
        content = b""
        for number, length in enumerate(lengths):
            content += bytes((number,)) * length
            client.transport.write(content[-length:])
        client.transport.write_eof()
        secret, it.pipes[0].written = b"".join(it.pipes[0].written), []
        turns = cycle(pauses)

        def hear(data: bytes) -> None:
            assert it.pipes[1].reading
            server.heard.append(data)
            if next(turns):
                server.transport.pause_reading()

        server.data_received = hear  # type: ignore[method-assign]
        sizes = cycle(cuts)
        while secret:
            size = next(sizes)
            piece, secret = secret[:size], secret[size:]
            it.server.data_received(piece)
            while not it.pipes[1].reading:
                heard = len(server.heard)
                await asyncio.sleep(0)
                assert len(server.heard) == heard, "nothing is heard while it does not read"
                server.transport.resume_reading()
                await asyncio.sleep(0)
        assert b"".join(server.heard) == content
        assert server.ended

    run(test)


@pytest.mark.parametrize("stays", [False, True])
def test_an_end_is_said_and_the_other_side_may_go_on(stays: bool) -> None:
    async def test() -> None:
        it = connected(stays=stays)
        client, server = it.above
        client.transport.write(b"last words")
        client.transport.write_eof()
        it.pass_on()
        assert it.pipes[0].ended
        assert server.heard == [b"last words"]
        assert server.ended
        assert it.pipes[1].closing is not stays
        if stays:
            server.transport.write(b"an answer")
            server.transport.close()
            it.pass_on()
            assert client.heard == [b"an answer"]
            assert client.ended
        assert it.pipes[1].closing
        server.transport.write(b"nobody hears it")
        assert it.pipes[1].written == []

    run(test)


def test_an_end_does_not_lose_what_has_come_and_is_not_read_yet() -> None:
    async def test() -> None:
        it = connected(stays=True)
        client, server = it.above
        server.transport.pause_reading()
        client.transport.write(b"still to be read")
        it.pass_on()
        assert server.heard == []
        server.transport.write_eof()
        server.transport.resume_reading()
        await asyncio.sleep(0)
        assert server.heard == [b"still to be read"]

    run(test)


def test_an_end_without_a_word_is_none_for_a_client() -> None:
    async def test() -> None:
        it = connected()
        client, server = it.above
        assert it.server.eof_received()
        assert server.ended, "a server takes it for one: what it hears says where it ends"
        assert it.client.eof_received()
        assert not client.ended
        assert it.pipes[0].aborted
        it.client.connection_lost(None)
        (why,) = client.lost
        assert isinstance(why, ConnectionResetError)

    run(test)


def test_what_has_taken_over_may_end_without_a_word() -> None:
    async def test() -> None:
        it = connected()
        heir = Notes(stays=True)
        it.client.set_protocol(heir)
        assert it.client.get_protocol() is heir
        assert it.client.eof_received()
        assert heir.ended
        assert not it.pipes[0].closing

    run(test)


def test_a_spoilt_record_ends_the_connection_with_an_error() -> None:
    async def test() -> None:
        it = connected()
        client, server = it.above
        client.transport.write(b"secret")
        (piece,) = it.pipes[0].written
        it.server.data_received(piece[:-1] + bytes((piece[-1] ^ 1,)))
        assert it.pipes[1].aborted
        it.server.connection_lost(None)
        assert server.heard == []
        assert isinstance(server.lost[0], ConnectionResetError)

    run(test)


def test_a_client_hears_why_there_was_no_handshake() -> None:
    async def test() -> None:
        it = Pair(ssl.create_default_context())
        it.pass_on()
        assert it.pipes[0].closing
        it.client.connection_lost(None)
        with pytest.raises(OSError, match="its certificate is not good: unable to get local"):
            await it.shaken
        assert it.above[0].events == []
        assert it.above[0].lost == []

        left = Pair()
        left.client.connection_lost(ConnectionResetError())
        with pytest.raises(OSError, match="closed in the middle of the handshake"):
            await left.shaken

    run(test)


def test_who_is_not_waited_for_any_more_is_left() -> None:
    async def test() -> None:
        it = Pair()
        it.shaken.cancel()
        it.pass_on()
        assert it.pipes[0].aborted
        it.client.connection_lost(None)
        assert it.above[0].events == []

    run(test)


def test_back_pressure_is_passed_up() -> None:
    async def test() -> None:
        it = Pair()
        it.server.pause_writing()
        it.server.resume_writing()
        it.pass_on()
        assert it.above[1].events == ["made"], "nobody writes before the handshake"
        it.server.pause_writing()
        it.server.resume_writing()
        assert it.above[1].events == ["made", "pause", "resume"]

    run(test)
