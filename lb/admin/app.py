"""The control plane as an aiohttp application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from lb.admin import bodies, pages
from lb.admin.access import Access
from lb.admin.answers import HEADERS, Refused, refusal
from lb.admin.control import OPERATIONS, TURN
from lb.admin.openapi import description
from lb.admin.operations import Operations
from lb.admin.reloads import Reloads
from lb.admin.routes import ROUTES, STREAM
from lb.admin.streams import READERS, Readers
from lb.admin.views import DESCRIPTION, RELOADS
from lb.errors import LbError, nearest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ACCESS = web.AppKey("access", Access)
PAGE = "/"
_LOG = logging.getLogger(__name__)


def application(operations: Operations, access: Access | None = None) -> web.Application:
    """All of it, over what `operations` knows and does. Without `access` everybody may ask."""
    app = web.Application(middlewares=[_told, _guarded], client_max_size=bodies.MOST)
    app[OPERATIONS] = operations
    app[ACCESS] = access or Access()
    app[TURN] = asyncio.Lock()
    app[READERS] = Readers()
    app[RELOADS] = Reloads(operations.events)
    app[DESCRIPTION] = description(ROUTES)
    for route in ROUTES:
        path = route.path.replace("{name}", "{name:.+}")
        app.router.add_route(route.method, path, route.handler)
        if route.method == "GET" and route.media != STREAM:
            app.router.add_head(path, route.handler)
    app.add_routes(pages.routes())
    app.on_response_prepare.append(_sign)
    app.on_shutdown.append(_end_streams)
    return app


@web.middleware
async def _told(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is JSON of one form."""
    try:
        return await handler(request)
    except Refused as no:
        return no.response()
    except LbError as error:
        return refusal(error).response()
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        why = f"{request.method} is not allowed here"
        return Refused(
            405, "method_not_allowed", why, f"allowed: {allowed}", {"Allow": allowed}
        ).response()
    except web.HTTPNotFound:
        why = f"there is no {request.path}"
        return Refused(404, "not_found", why, _elsewhere(request.path)).response()
    except Exception:
        _LOG.exception("%s %s", request.method, request.path)
        return Refused(500, "internal", "this should not happen", "see the log").response()


def _elsewhere(path: str) -> str:
    """What there is: below that path, else near it."""
    bare = path.rstrip("/")
    paths = [PAGE, *(route.path for route in ROUTES)]
    below = [it for it in paths if bare and it.startswith(f"{bare}/")]
    return f"known: {', '.join(dict.fromkeys(below))}" if below else nearest(bare or path, paths)


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    access = request.app[ACCESS]
    access.check_origin(request)
    if request.path.startswith(pages.UNDER):
        return await handler(request)  # files that anybody may have
    try:
        access.check_token(request)
    except Refused as no:
        if request.path != PAGE or request.method not in ("GET", "HEAD"):
            raise
        page = await handler(request)  # it asks for the token
        page.set_status(no.status)
        page.headers.update(no.headers)
        return page
    return await handler(request)


async def _sign(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


async def _end_streams(app: web.Application) -> None:
    app[READERS].close()
    app[RELOADS].close()
