"""Bodies of requests that change something: strict JSON, one object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NoReturn

from aiohttp import web

from lb.admin.answers import Refused
from lb.errors import nearest

MOST = 64 * 1024
"""Bytes."""
DIGITS = 300
"""Of a whole number."""
PATIENCE = 10.0
"""Seconds that a body may take."""


async def read(
    request: web.Request, example: str, known: Sequence[str] | None = None
) -> dict[str, Any]:
    """The object that is sent. Raises Refused; with `known`, also for other keys than these.

    Hints show the `example`.

    The media type is not looked at: `curl -d` says that it is a form, and foreign pages are told by
    their origin.
    """
    found = _parsed(await _whole(request), example)
    if not isinstance(found, dict):
        why = f"the body is {_kind(found)}, not an object"
        raise Refused(400, "bad_request", why, f"send one, such as {example}")
    if known is not None:
        for key in found:
            if key not in known:
                raise Refused(400, "bad_request", f"unknown key {key!r}", nearest(key, known))
    return found


async def _whole(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(PATIENCE):
            return await request.read()
    except TimeoutError:
        raise Refused(408, "timeout", f"no whole body came in {PATIENCE:g} s") from None
    except web.HTTPRequestEntityTooLarge:
        hint = "nothing that is asked for is that long"
        raise Refused(413, "too_large", f"the body is longer than {MOST} bytes", hint) from None


def _parsed(data: bytes, example: str) -> object:
    if not data.strip():
        raise Refused(400, "bad_json", "the body is empty", f"send an object, such as {example}")
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_no_number,
            parse_int=_number,
            object_pairs_hook=_distinct,
        )
    except json.JSONDecodeError as error:
        why = f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError as error:
        why = f"not UTF-8 text: byte {error.start}"
    except RecursionError:
        why = "not JSON that can be read: nested too deeply"
    except ValueError as error:
        why = f"not JSON that can be read: {error}"
    hint = f"send an object, such as {example}, with names and texts in double quotes"
    raise Refused(400, "bad_json", why, hint)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _number(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice!r} is given twice")
    return found


def _kind(value: object) -> str:
    match value:
        case list():
            return "a list"
        case str():
            return "a text"
        case None:
            return "null"
    return "true or false" if isinstance(value, bool) else "a number"
