"""What is no HTTP that aiohttp can read gets an answer like all others: JSON, and nobody's name."""

from __future__ import annotations

import re

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong

from lb.admin.answers import HEADERS, Refused
from lb.admin.routes import ROUTES

_LINE = re.compile(r"b'([!-&(-~]+) (/[!-&(-~]*) HTTP/1\.[01]'")
"""A request line as aiohttp's message shows it; what else it may show is no request at all."""


class Handler(web.RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # has the log say it, if it is a defect
        answer = _refused(status, exc).response()
        answer.headers.update(HEADERS)
        answer.force_close()
        return answer


def _refused(status: int, error: BaseException | None) -> Refused:
    if not isinstance(error, HttpProcessingError):
        return Refused(status, "internal", "this should not happen", "see the log")
    if isinstance(error, LineTooLong):
        hint = "nothing that is asked for is that long"
        return Refused(400, "bad_http", "the request line or a header is too long", hint)
    line = _LINE.search(error.message) if isinstance(error, BadHttpMethod) else None
    if line is None:
        why = error.message.partition("\n")[0].rstrip(":") or "it cannot be read"
        return Refused(400, "bad_http", f"no HTTP request: {why}", "speak HTTP/1.1, without TLS")
    method, path = line.groups()
    allowed = ", ".join(_allowed(path.partition("?")[0]))
    why = f"{method} is not allowed here"
    return Refused(405, "method_not_allowed", why, f"allowed: {allowed}", {"Allow": allowed})


def _allowed(path: str) -> list[str]:
    """The methods of a path; of one that is not there any that are known."""
    found = {route.method for route in ROUTES if _fits(route.path, path)} or {
        route.method for route in ROUTES
    }
    return sorted(found | {"HEAD"} if "GET" in found else found)


def _fits(path: str, asked: str) -> bool:
    before, name, _ = path.partition("{name}")
    return asked.startswith(before) and len(asked) > len(before) if name else asked == path
