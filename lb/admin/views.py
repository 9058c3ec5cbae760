"""Answers of requests that change nothing."""

from __future__ import annotations

import asyncio

from aiohttp import web

from lb.admin import shown
from lb.admin.answers import HEADERS, Refused, document
from lb.admin.control import OPERATIONS
from lb.admin.exposition import CONTENT_TYPE, text
from lb.admin.metrics import FAMILIES
from lb.admin.reloads import Reloads
from lb.measures import endpoints
from lb.measures.report import KEPT

LAST = 20
"""Picks that are told unless more are asked for."""
RELOADS: web.AppKey[Reloads] = web.AppKey("reloads", Reloads)
DESCRIPTION: web.AppKey[dict[str, object]] = web.AppKey("description", dict)


async def metrics(request: web.Request) -> web.Response:
    """For Prometheus."""
    app = request.app
    families = (*FAMILIES, *app[RELOADS].families())
    told = await text(await app[OPERATIONS].report(), families)
    return web.Response(body=told, headers={**HEADERS, "Content-Type": CONTENT_TYPE})


async def health(request: web.Request) -> web.Response:
    """As on the proxy's port."""
    status, told = endpoints.health((await request.app[OPERATIONS].report()).snapshot)
    return document(told, status)


async def stats(request: web.Request) -> web.Response:
    """As on the proxy's port."""
    status, told = endpoints.stats(await request.app[OPERATIONS].report())
    return document(told, status)


async def snapshot(request: web.Request) -> web.Response:
    """Everything."""
    return document(shown.snapshot(await request.app[OPERATIONS].report()))


async def picks(request: web.Request) -> web.Response:
    """Why the last picks fell as they did."""
    operations, wanted = request.app[OPERATIONS], request.query.get("last", str(LAST))
    if others := sorted(request.query.keys() - {"last"}):
        raise Refused(400, "bad_request", f"unknown parameter {others[0]!r}", "it takes last=20")
    if not (wanted.isascii() and wanted.isdigit() and 0 < int(wanted) <= KEPT):
        hint = f"last is a whole number from 1 to {KEPT}"
        raise Refused(400, "bad_request", f"last={wanted} cannot be", hint)
    found = await operations.picks()
    now = asyncio.get_running_loop().time()
    secret = operations.scenario.key.startswith(("cookie:", "header:"))
    return document(shown.picks(found[-int(wanted) :], now, secret=secret))


async def forecast(request: web.Request) -> web.Response:
    """What it should look like."""
    return document(await request.app[OPERATIONS].forecast())


async def config(request: web.Request) -> web.Response:
    """The file in force."""
    operations = request.app[OPERATIONS]
    return document(shown.config(operations.scenario, await operations.report()))


async def openapi(request: web.Request) -> web.Response:
    """What there is to ask."""
    return document(request.app[DESCRIPTION])
