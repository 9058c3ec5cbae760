"""The status page: files as they are, and the headers that keep it to itself.

`routes()` goes into the admin application. None of it needs a token: what there is to see comes
from `/v1/snapshot`, which does, and the page asks for the token when that says 401.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web

from lb.strategies import Spec, all_specs

UNDER = "/pages/"
"""Where its parts are."""
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""No script, style or request but from here, and no frame of another site around it."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes() -> Iterator[web.RouteDef]:
    """The page, its parts, and what its dialog of algorithms offers."""
    here = files(__name__)
    yield web.get("/", _file(here.joinpath("index.html").read_bytes(), "text/html"))
    for part in here.iterdir():
        kind = KINDS.get("." + part.name.rpartition(".")[2])
        if kind is not None:
            yield web.get(UNDER + part.name, _file(part.read_bytes(), kind))
    yield web.get(f"{UNDER}algorithms.json", _algorithms)


def _file(content: bytes, kind: str) -> Handler:
    charset = "utf-8"

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=kind, charset=charset, headers=HEADERS)

    return answer


async def _algorithms(_request: web.Request) -> web.Response:
    return web.Response(body=_known(), content_type="application/json", headers=HEADERS)


@cache
def _known() -> bytes:
    rows, _ = all_specs()
    return json.dumps([_told(row) for row in rows.values()]).encode()


def _told(row: Spec) -> dict[str, Any]:
    return {
        "name": row.name,
        "summary": row.summary,
        "cost": row.cost,
        "avoid_when": row.avoid_when,
        "needs": sorted(row.needs),
        "settings": [
            {"name": name, "default": default, "text": text} for name, default, text in row.manual()
        ],
    }
