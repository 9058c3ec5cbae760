"""The corpus: malformed messages and odd ones, whole and in pieces."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lb.config import Limits
from lb.proxy.http.request import RequestReader
from lb.proxy.http.response import Response, ResponseReader
from lb.proxy.http.rules import Malformed, Rejected
from tests.proxy.conftest import Run
from tests.proxy.doubles import Message, Origin, Wire, echo, get, ok, origin, proxy

CORPUS = Path(__file__).parent / "corpus"


def groups(name: str) -> list[dict[str, Any]]:
    return list(tomllib.loads((CORPUS / name).read_text(encoding="utf-8"))["group"])


def cases(group: dict[str, Any]) -> list[bytes]:
    return [group["text"].replace("{}", case, 1).encode("latin-1") for case in group["cases"]]


def allowed(group: dict[str, Any]) -> list[object]:
    status = group["status"]
    return status if isinstance(status, list) else [status]


REQUESTS, RESPONSES = groups("requests.toml"), groups("responses.toml")
BEFORE, BEHIND = get("/before"), get("/behind")


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["rule"] for row in rows]


async def said(client: Wire, text: bytes, pieces: int) -> None:
    """Send `text`, `pieces` bytes at a time (0: at once)."""
    for i in range(0, len(text), pieces or len(text)):
        client.send(text[i : i + (pieces or len(text))])
        await client.sent()
        await asyncio.sleep(0)


@pytest.mark.parametrize("pieces", [0, 1])
@pytest.mark.parametrize("group", REQUESTS, ids=ids(REQUESTS))
def test_requests(run: Run, group: dict[str, Any], pieces: int) -> None:
    """What came before is answered; what comes behind a refusal is not."""

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            for text in cases(group):
                a.requests.clear()
                async with lb.client() as client:
                    await said(client, BEFORE + text, pieces)
                    client.send(BEHIND)
                    assert (await client.response()).status == 200
                    answer = await client.response()
                    assert answer.status in allowed(group), text
                    if answer.status != 200:
                        assert answer["Connection"] == "close"
                        assert await client.closed()
                        assert [request.target for request in a.requests] == ["/before"], text
                    elif b"HTTP/1.0" not in text and b"close" not in text:
                        assert (await client.response()).status == 200
                        assert len(a.requests) == 3, text
                        assert a.requests[2].target == "/behind"

    run(test())


def verdict(text: bytes, cuts: list[int]) -> object:
    """What the reader makes of one request that comes in pieces."""
    reader = RequestReader(b"127.0.0.1", Limits())
    head, content = None, b""
    try:
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            reader.receive(text[start:end])
            if head is None and (request := reader.next()) is not None:
                head = request.head
            if head is not None and not reader.ended:
                content += reader.body()
    except Rejected as rejected:
        return rejected.status
    return head, content, reader.ended, reader.trailers(frozenset()), reader.rest


@pytest.mark.parametrize("group", REQUESTS, ids=ids(REQUESTS))
def test_requests_cut_at_every_byte(group: dict[str, Any]) -> None:
    for text in cases(group):
        whole = verdict(text, [])
        if isinstance(whole, int):
            assert whole in allowed(group)
        else:
            assert allowed(group) == [200], text
        for cut in range(1, len(text)):
            assert verdict(text, [cut]) == whole, (text, cut)


# --- requests one at a time


def singles(name: str) -> list[dict[str, Any]]:
    return list(tomllib.loads((CORPUS / name).read_text(encoding="utf-8"))["case"])


def filled(case: dict[str, Any], key: str, otherwise: str = "") -> bytes:
    text, times = case.get("repeat", ("{}", 1))
    return str(case.get(key, otherwise)).replace("{}", text * times).encode("latin-1")


REFUSED, FORWARDED = singles("refused.toml"), singles("forwarded.toml")


def whole_and_in_two(text: bytes) -> object:
    """The reader's verdict, which must not depend on where a short text is cut."""
    whole = verdict(text, [])
    for cut in range(1, len(text) if len(text) < 500 else 2):
        assert verdict(text, [cut]) == whole, (text, cut)
    return whole


@pytest.mark.parametrize("case", REFUSED, ids=[case["name"] for case in REFUSED])
def test_refused(case: dict[str, Any]) -> None:
    assert whole_and_in_two(filled(case, "bytes")) in allowed(case)


@pytest.mark.parametrize("case", FORWARDED, ids=[case["name"] for case in FORWARDED])
def test_forwarded(case: dict[str, Any]) -> None:
    got = whole_and_in_two(filled(case, "bytes"))
    if isinstance(got, int):
        assert got == case.get("refusal")
        return
    assert isinstance(got, tuple)
    head, content, ended, _, _ = got
    line, host, *_ = head.split(b"\r\n")
    assert line == filled(case, "line", "GET / HTTP/1.1")
    assert host == b"Host: " + filled(case, "host", "a")
    assert ended
    if "body" in case:
        assert content == filled(case, "body")


# --- responses


@pytest.mark.parametrize("pieces", [0, 1])
@pytest.mark.parametrize("group", RESPONSES, ids=ids(RESPONSES))
def test_responses(run: Run, group: dict[str, Any], pieces: int) -> None:
    """Each at its own backend connection, with a second request behind it."""
    method = group.get("method", "GET")

    async def test() -> None:
        text = b""

        async def saying(wire: Wire, it: Origin) -> None:
            while (request := await it.take(wire)) is not None:
                if request.target == "/second":
                    wire.send(ok(b"second"))
                    continue
                await said(wire, text, pieces)
                if group.get("closes"):
                    return

        async with origin(saying) as a, proxy(a, toml="[retries]\nmax = 0") as lb:
            for text in cases(group):
                a.connections = 0
                lb.backends[0].site.close()
                async with lb.client() as client:
                    client.send(get("/first", method=method))
                    if group["status"] == "cut" and (pieces or group.get("closes")):
                        assert await client.is_refused_or_reset(), text
                        continue
                    await check(client, group, text)
                    client.send(get("/second"))
                    assert (await client.response()).body == b"second", text
                    again = group.get("again", False)
                    assert a.connections == (1 if again else 2), text

    run(test())


async def check(client: Wire, group: dict[str, Any], text: bytes) -> None:
    method = group.get("method", "GET")
    answer: Message = await client.response(method)
    while answer.status < 200:
        answer = await client.response(method)
    # Found out before its head went to the client, a malformed body is no answer either.
    assert answer.status in (allowed(group) if group["status"] != "cut" else [502]), text
    if answer.status == 502:
        assert answer.json["error"] in ("server_error", "reset")
    else:
        assert answer.body == group["body"].encode("latin-1"), text


def meaning(text: bytes, method: bytes, cuts: list[int]) -> object:
    """What the reader makes of what a backend says in pieces, up to the end of the answer."""
    reader = ResponseReader(65536, 200)
    heads, content = [], b""
    current: Response | None = None
    try:
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            reader.receive(text[start:end])
            while current is None and (response := reader.next(method)) is not None:
                heads.append((response.text, response.lines, response.keep_alive))
                if response.status >= 200:
                    current = response
            if current is not None and not reader.ended:
                content += reader.body()
    except Malformed:
        return heads, "malformed"
    return heads, content, reader.ended, reader.rest


@pytest.mark.parametrize("group", RESPONSES, ids=ids(RESPONSES))
def test_responses_cut_at_every_byte(group: dict[str, Any]) -> None:
    method = group.get("method", "GET").encode()
    for text in cases(group):
        whole = meaning(text, method, [])
        for cut in range(1, len(text)):
            assert meaning(text, method, [cut]) == whole, (text, cut)


def test_there_is_much_of_it() -> None:
    assert sum(len(group["cases"]) for group in REQUESTS) > 250
    assert sum(len(group["cases"]) for group in RESPONSES) > 120
