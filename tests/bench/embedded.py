"""What `lb.aio` makes of aiohttp's own server and client: a proxy with the same balancer inside.

Run as `python -m tests.bench.embedded PORT BACKEND...`.
"""

from __future__ import annotations

import sys

from aiohttp import web
from uvloop import new_event_loop

from lb.aio import proxy_application


def main(port: int, backends: list[int]) -> None:
    """Serve until a signal."""
    web.run_app(
        proxy_application(backends=[f"127.0.0.1:{backend}" for backend in backends]),
        host="127.0.0.1",
        port=port,
        access_log=None,
        print=None,
        loop=new_event_loop(),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(backend) for backend in sys.argv[2:]])
