"""A backend that says what has reached it: `python -m tests.soak.origin PORT`."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys

from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """A digest of what came, and as much as was asked for, which begins with another digest."""
    came = hashlib.sha256(await request.read()).hexdigest()
    if wait := request.query.get("wait"):
        await asyncio.sleep(float(wait))
    body = random.randbytes(int(request.query.get("size", 100)))
    fields = {"X-Came": came, "X-Body": hashlib.sha256(body).hexdigest()}
    return web.Response(body=body, headers=fields)


def main() -> None:
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(
        app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, backlog=1024
    )


if __name__ == "__main__":
    main()
