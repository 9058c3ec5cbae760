"""An aiohttp sub-application: a route of an existing service becomes a balanced proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, hdrs, web
from multidict import CIMultiDict
from yarl import URL

from lb.aio.attempt import BACKEND
from lb.aio.call import Call
from lb.aio.driver import Driver, scenario_of, to_logging
from lb.aio.failures import Refused
from lb.aio.messages import for_client, own, read
from lb.aio.tunnel import join
from lb.balancing import Outcome
from lb.config import Scenario
from lb.proxy.endpoints import by_path
from lb.proxy.http.framing import NO_BODY
from lb.proxy.http.message import LOOP, REFUSALS, Answer, error
from lb.proxy.http.request import Request
from lb.proxy.http.rules import Rejected, tokens
from lb.proxy.logs.log import Log
from lb.strategies.sticky import token

_SAID_BY_ITSELF = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)
"""What aiohttp's client adds to requests that lack it."""
_BACKENDS = "http://backends"
"""Goes no further than to the balancer; Host is the client's."""


def proxy_application(
    scenario: Scenario | str | Path | None = None, *, prefix: str = "", **tables: Any
) -> web.Application:
    """A balanced proxy for `app.add_subapp("/api/", ...)`, or an application of its own.

    `scenario` or `tables` are a file's, as for `balance`; what the file says of listening, logs and
    the control plane is not used. Paths pass as they came, less `prefix`. Bodies stream both ways,
    fields are treated as `lb serve` treats them, its own answers are the same, and connections are
    upgraded. The file's `health_path` and `stats_path` are answered beneath it (/api/lb-stats), and
    "" switches them off. Trailers and interim answers do not pass: aiohttp's client is not told.
    Raises ConfigError, UsageError.

    >>> app = web.Application()
    >>> app.add_subapp("/api/", proxy_application(backends=["10.0.0.1:80", "10.0.0.2:80"]))
    <PrefixedSubAppResource /api -> <Application ...>>
    """
    return Proxying(scenario_of(scenario, tables), prefix).application


class Proxying:
    """Its `application` answers every path."""

    def __init__(
        self,
        scenario: Scenario,
        prefix: str = "",
        rng: Random | None = None,
        log: Log = to_logging,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`rng`, `log` and `now` (seconds) are what the balancer draws, says and goes by."""
        self._prefix = prefix.rstrip("/").encode()
        self._made = partial(Driver, scenario, rng, log, now)
        self._idle = scenario.timeouts.idle
        self._server = scenario.server
        self.driver: Driver
        """There while the application runs."""
        self._session: aiohttp.ClientSession
        self.application = application = web.Application()
        application.cleanup_ctx.append(self._run)
        application.on_response_prepare.append(_say_nothing_more)
        application.router.add_route("*", "/{path:.*}", self._handle)

    async def _run(self, application: web.Application) -> AsyncIterator[None]:
        driver = self.driver = self._made()
        driver.context.endpoints = by_path(
            self._server,
            lambda tell: tell(driver.snapshot()),
            lambda tell: tell(driver.report()),
        )
        limits = self.driver.context.limits
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=self._idle),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=limits.request_line,
            max_field_size=limits.header_bytes,
        ) as self._session:
            try:
                await self.driver.begin()
                yield
            finally:
                await self.driver.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        context = self.driver.context
        try:
            peer, asked, fields = read(request, context.intermediary, context.trusted)
        except Rejected as rejected:
            return own(error(rejected.status, "bad_request", str(rejected)))
        endpoint = context.endpoints.get(b"/" + request.match_info["path"].encode())
        if endpoint is not None and asked.method in (b"GET", b"HEAD"):
            told: list[Answer] = []
            endpoint(told.append)  # which knows at once
            return own(told[0])
        if asked.hop.answer is not None:
            self.driver.dispatcher.refused["loop"] += asked.hop.answer is LOOP
            return own(asked.hop.answer)
        key = b""
        if context.key_of is not None:
            key = context.key_of(peer, asked.target, asked.host, asked.lines)
        upload = _Upload(request, context.limits.body)
        try:
            answer = await self._session.request(
                asked.method.decode(),
                URL(_BACKENDS + self._path(asked), encoded=True),
                headers=fields,
                data=None if asked.framing is NO_BODY else upload.pieces(),
                allow_redirects=False,
                skip_auto_headers=_SAID_BY_ITSELF,
                middlewares=[partial(self._balance, key, upload)],
            )
        except Refused as refused:
            return own(refused.answer)
        except aiohttp.ClientError:
            if upload.rejected is not None:
                return own(error(upload.rejected.status, "bad_request", str(upload.rejected)))
            if upload.absent():
                return own(REFUSALS[Outcome.CANCELLED])  # which nobody reads
            raise
        async with answer:
            if answer.status == 101:
                return await self._switch(request, asked, answer)
            return await self._pass_on(request, answer, key)

    async def _balance(
        self, key: bytes, upload: _Upload, request: ClientRequest, handler: ClientHandlerType
    ) -> ClientResponse:
        return await Call(self.driver, request, handler, key, upload.absent).answer()

    def _path(self, asked: Request) -> str:
        target = asked.target.removeprefix(self._prefix)
        return (target if target.startswith(b"/") else b"/" + target).decode()

    # --- answers

    async def _pass_on(
        self, request: web.Request, answer: ClientResponse, key: bytes
    ) -> web.StreamResponse:
        fields = for_client(answer)
        self._say_who(fields, answer, key)
        reply = Passed(answer, fields)
        try:
            await reply.prepare(request)
            async for piece in answer.content.iter_any():
                await reply.write(piece)
            await reply.write_eof()
        except (aiohttp.ClientError, OSError, RuntimeError):
            # Either side is gone; a client that is still there must not take this for the whole.
            answer.close()
            _cut_off(request, reply)
        return reply

    def _say_who(self, fields: CIMultiDict[str], answer: ClientResponse, key: bytes) -> None:
        context = self.driver.context
        address = answer.request_info.headers[BACKEND]
        if context.backend_header:
            fields[BACKEND] = address
        home = token(address)
        if context.cookie is not None and key != home:
            cookie = f"{context.cookie.decode()}={home.decode()}"
            fields.add(hdrs.SET_COOKIE, f"{cookie}; Path=/; HttpOnly; SameSite=Lax")

    async def _switch(
        self, request: web.Request, asked: Request, answer: ClientResponse
    ) -> web.StreamResponse:
        upgrade = answer.headers.get(hdrs.UPGRADE, "")
        offered = tokens(asked.hop.upgrade)
        chosen = tokens(upgrade.encode())
        if not chosen or any(one not in offered for one in chosen):
            return own(REFUSALS[Outcome.SERVER_ERROR])
        fields = for_client(answer)
        self._say_who(fields, answer, b"")
        fields[hdrs.CONNECTION], fields[hdrs.UPGRADE] = "upgrade", upgrade
        reply = Passed(answer, fields)
        await reply.prepare(request)
        await join(request, reply, answer, self.driver.context.timeouts.tunnel)
        return reply


class Passed(web.StreamResponse):
    """A backend's answer: what it does not say is not said for it, see `_say_nothing_more`."""

    def __init__(self, answer: ClientResponse, fields: CIMultiDict[str]) -> None:
        super().__init__(status=answer.status, reason=answer.reason, headers=fields)
        self.said = frozenset(name.lower() for name in fields)


async def _say_nothing_more(request: web.Request, response: web.StreamResponse) -> None:
    if isinstance(response, Passed):
        for name in (hdrs.SERVER, hdrs.CONTENT_TYPE):
            if name.lower() not in response.said:
                response.headers.popall(name, None)


def _cut_off(request: web.Request, reply: web.StreamResponse) -> None:
    transport = request.transport
    if transport is None:
        return
    if reply.chunked or reply.content_length is not None:
        transport.close()  # what has come is written; that more is missing shows
    else:
        transport.abort()


class _Upload:
    """The body of a request as it comes, and whether its client is there."""

    def __init__(self, request: web.Request, limit: int | None) -> None:
        self._request = request
        self._limit = limit
        self._broken = False
        self.rejected: Rejected | None = None

    def absent(self) -> bool:
        """The client is gone, or what it sends is not passed on."""
        transport = self._request.transport
        return self._broken or transport is None or transport.is_closing()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises Rejected, or whatever says that the client is gone."""
        taken = 0
        try:
            async for piece in self._request.content.iter_any():
                taken += len(piece)
                if self._limit is not None and taken > self._limit:
                    self.rejected = Rejected(413, "the request body is too large")
                    raise self.rejected
                yield piece
        except Exception:
            self._broken = True
            raise
