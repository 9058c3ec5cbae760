"""Answers of requests that change nothing."""

from __future__ import annotations

from aiohttp import web

from lb.admin import shown
from lb.admin.answers import HEADERS, document
from lb.admin.control import OPERATIONS
from lb.admin.exposition import CONTENT_TYPE, text
from lb.admin.metrics import FAMILIES
from lb.admin.reloads import Reloads
from lb.measures import endpoints

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
