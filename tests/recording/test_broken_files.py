"""Recordings that break off, or were changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from zlib import crc32

import pytest

from lb.errors import BadRecording
from lb.recording.format import BLOCK, HEAD, JSON, MAGIC, VERSION, Kind
from lb.recording.reader import Log
from tests.recording.recordings import Player
from tests.recording.test_recording import again, busy, control


def header_end(recording: bytes) -> int:
    log = Log([recording])
    log.header()
    return log.end


def test_cut_short_anywhere_the_whole_events_are_replayed() -> None:
    whole = busy().close()
    full = again(whole)
    start, events = header_end(whole), 0
    for size in range(len(whole)):
        part = whole[:size]
        if size < start:
            with pytest.raises(BadRecording):
                again(part)
            continue
        replayed = again(part)
        assert replayed.identical
        assert not replayed.complete
        assert start <= replayed.end <= size
        assert list(full.recorded[: len(replayed.recorded)]) == list(replayed.recorded)
        assert replayed.events.total() >= events
        events = replayed.events.total()
    assert events == full.events.total()
    assert full.complete
    assert full.end == len(whole)


def test_any_byte_changed_is_noticed() -> None:
    whole = busy().close()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(BadRecording) as error:
            again(bytes(damaged))
        assert error.value.offset <= at or at < header_end(whole)
        assert str(error.value).startswith(f"byte {error.value.offset}: ")
        assert error.value.exit_status == 3


def sealed(*events: bytes) -> bytes:
    """A recording that holds these events, whatever they are."""
    log = b"".join(events)
    return Player().bytes + BLOCK.pack(len(log), len(log) ^ 0xFFFFFFFF, crc32(log)) + log


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (b"\x63", "unknown kind 99"),
        (bytes([Kind.DONE]), "cuts short"),
        (JSON.pack(Kind.ADD, 1.0, 1000), "cuts short"),
        (JSON.pack(Kind.ADD, 1.0, 2) + b"{,", "add: "),
        (JSON.pack(Kind.ADD, 1.0, 2) + b"[]", "not a JSON object"),
        (control(Kind.ADD, address="10.0.0.9:80", colour="red"), "colour"),
        (control(Kind.REMOVE, backend=7), "no backend 7"),
        (control(Kind.REMOVE), "no backend None"),
        (control(Kind.SET_STATE, backend=1, state="sideways"), "sideways"),
        (control(Kind.SWAP, algorithm="p2d", settings={}), "unknown algorithm 'p2d'"),
        (bytes([Kind.ABANDONED]) + b"\x05\0\0\0", "call 5 is not under way"),
        (bytes([Kind.END]) * 2, "goes on after its end"),
    ],
)
def test_events_that_make_no_sense(event: bytes, why: str) -> None:
    start = len(sealed())
    with pytest.raises(BadRecording, match=why) as error:
        again(sealed(event))
    assert start <= error.value.offset <= start + len(event)


def test_a_backend_that_is_removed_twice() -> None:
    twice = [control(Kind.REMOVE, backend=0)] * 2
    with pytest.raises(BadRecording, match="removed twice"):
        again(sealed(*twice))


def with_header(change: Callable[[dict[str, Any]], None], version: int = VERSION) -> bytes:
    whole = Player().bytes
    header = json.loads(whole[HEAD.size :])
    change(header)
    text = json.dumps(header).encode()
    return HEAD.pack(MAGIC, version, len(text), crc32(text)) + text


@pytest.mark.parametrize(
    ("recording", "why"),
    [
        (b"", "byte 0: this is not a recording"),
        (b"GIF89a..................", "byte 0: this is not a recording"),
        (MAGIC, "byte 8: the recording ends within its header"),
        (with_header(lambda _: None, version=9), "byte 8: format 9; this lb reads up to 3"),
        (
            with_header(lambda row: row["setup"].pop("backends")),
            "does not fit this version: 'backends'",
        ),
        (
            with_header(lambda row: row["setup"]["health"].update(moon=1)),
            "does not fit this version",
        ),
        (
            with_header(lambda row: row["setup"].update(algorithm="mine")),
            "unknown algorithm 'mine'",
        ),
    ],
)
def test_headers_that_make_no_sense(recording: bytes, why: str) -> None:
    with pytest.raises(BadRecording) as error:
        again(recording)
    assert why in str(error.value)
