"""Answers of the control plane: documents and refusals, both JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping

from aiohttp import web

from lb.errors import ConfigError, LbError, UnknownBackend, UsageError

LONGEST = 400
"""Letters of a hint: there may be a thousand names to list."""
HEADERS = {
    "Server": "lb",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
"""Of every answer that does not bring its own: what is told is for whoever asked, and no page."""


class Refused(Exception):
    """No, with the reason and what would be right."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
        problems: list[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = dict(headers or {})
        self.problems = problems

    def response(self) -> web.Response:
        """What the client hears."""
        told: dict[str, object] = {"error": self.code, "message": self.message, "hint": self.hint}
        if self.problems is not None:
            told["problems"] = self.problems
        return document(told, self.status, self.headers)


def document(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A value as JSON."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return web.Response(
        body=text.encode("utf-8", "backslashreplace") + b"\n",
        status=status,
        content_type="application/json",
        headers=headers,
    )


def refusal(error: LbError) -> Refused:
    """An error of ours as an answer."""
    message, _, hint = str(error).partition("; ")
    match error:
        case ConfigError(problems=problems):
            hint = "nothing has changed; mend the file and try again"
            return Refused(400, error.code, "\n".join(problems), hint, problems=problems)
        case UnknownBackend():
            return Refused(404, error.code, message, textwrap.shorten(hint, LONGEST))
        case UsageError():
            return Refused(400, error.code, str(error), "nothing has changed")
    return Refused(500, error.code, str(error), "see the log")
