"""The corpus: malformed messages and odd ones, whole and in pieces."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lb.config import Limits
from lb.proxy.http.hop import Intermediary
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
    step = pieces or len(text) or 1
    for i in range(0, len(text), step):
        client.send(text[i : i + step])
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


US = Intermediary(Limits())


def verdict(
    text: bytes, cuts: list[int], us: Intermediary = US, *, trusted: bool = False
) -> object:
    """What the reader makes of one request that comes in pieces."""
    reader = RequestReader(b"127.0.0.1", us, trusted=trusted)
    head, content, named = None, b"", frozenset[bytes]()
    try:
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            reader.receive(text[start:end])
            if head is None and (request := reader.next()) is not None:
                head, named = request.head, request.hop.named
            if head is not None and not reader.ended:
                content += reader.body()
    except Rejected as rejected:
        return rejected.status
    return head, content, reader.ended, reader.trailers(named), reader.rest


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


REFUSED, FORWARDED, ANSWERS = map(singles, ("refused.toml", "forwarded.toml", "answers.toml"))


def named(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def whole_and_in_two(text: bytes, us: Intermediary = US, *, trusted: bool = False) -> object:
    """The reader's verdict, which must not depend on where a short text is cut."""
    whole = verdict(text, [], us, trusted=trusted)
    for cut in range(1, len(text) if len(text) < 500 else 2):
        assert verdict(text, [cut], us, trusted=trusted) == whole, (text, cut)
    return whole


@pytest.mark.parametrize("case", REFUSED, ids=named(REFUSED))
def test_refused(case: dict[str, Any]) -> None:
    assert whole_and_in_two(filled(case, "bytes")) in allowed(case)


@pytest.mark.parametrize("case", FORWARDED, ids=named(FORWARDED))
def test_forwarded(case: dict[str, Any]) -> None:
    us = Intermediary(Limits(), case["upgrades"]) if "upgrades" in case else US
    trusted = case.get("trusted", False)
    got = whole_and_in_two(filled(case, "bytes"), us, trusted=trusted)
    if isinstance(got, int):
        assert got == case.get("refusal")
        return
    assert isinstance(got, tuple)
    head, content, ended, trailers, rest = got
    line, host, *fields = head.split(b"\r\n")[:-1]
    assert line == filled(case, "line", "GET / HTTP/1.1")
    assert host == b"Host: " + filled(case, "host", "a")
    minor = b"0" if b" HTTP/1.0\r\n" in filled(case, "bytes") else b"1"
    ours = [b"X-Forwarded-By: lb", b"Via: 1.%b %b" % (minor, us.pseudonym)]
    if not trusted:
        who = [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http"]
        named_host = host.partition(b" ")[2]
        ours = who + [b"X-Forwarded-Host: " + named_host] * (named_host != b"") + ours
    assert fields[len(fields) - len(ours) :] == ours
    expected = case.get("fields", []) * case.get("times", 1)
    assert fields[: len(fields) - len(ours)] == [field.encode("latin-1") for field in expected]
    assert ended
    assert content == filled(case, "body")
    assert trailers == b"".join(
        b"\r\n" + line.encode("latin-1") for line in case.get("trailers", [])
    )
    assert rest == b""


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


@pytest.mark.parametrize("pieces", [0, 1])
@pytest.mark.parametrize("case", ANSWERS, ids=named(ANSWERS))
def test_answers(run: Run, case: dict[str, Any], pieces: int) -> None:
    text, method = filled(case, "bytes"), case.get("method", "GET")
    if len(text) > 1000:
        pieces *= 4096

    async def saying(wire: Wire, it: Origin) -> None:
        while (request := await it.take(wire)) is not None:
            if request.target == "/second":
                wire.send(ok(b"second"))
                continue
            await said(wire, text, pieces)
            if case.get("closes"):
                return

    async def test() -> None:
        async with (
            origin(saying) as a,
            proxy(a, toml="[retries]\nmax = 0") as lb,
            lb.client() as client,
        ):
            client.send(get("/first", method=method))
            if case.get("status") == "cut":
                assert await client.is_refused_or_reset()
                return
            answer = await client.response(method)
            while answer.status < 200:
                answer = await client.response(method)
            if answer.status == 502:
                assert 502 in allowed({"status": case.get("status", 200)})
            else:
                assert answer.start == filled(case, "line", "HTTP/1.1 200 OK")
                assert answer.body == filled(case, "body")
                lines = [f"{name}: {value}" for name, value in answer.fields]
                ours = [
                    f"Via: 1.{int(b'HTTP/1.0' not in text)} lb",
                    f"X-Backend-Server: {a.address}",
                ]
                assert lines[-2:] == ours
                undated = [line for line in lines[:-2] if b"Date:" in text or line[:5] != "Date:"]
                assert undated == case.get("fields", [])
            client.send(get("/second"))
            assert (await client.response()).body == b"second"
            assert a.connections == (1 if case.get("again") else 2)

    run(test())


def test_there_is_much_of_it() -> None:
    assert sum(len(group["cases"]) for group in REQUESTS) > 250
    assert sum(len(group["cases"]) for group in RESPONSES) > 120
