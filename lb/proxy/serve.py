"""Running a proxy as a process: event loop, signals, exit."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from lb.config import Scenario
from lb.proxy.lifecycle import Proxy
from lb.proxy.logs.log import logfmt
from lb.proxy.logs.recorder import Recorder

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


def serve(scenario: Scenario, record: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotListen, CannotRecord."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(scenario, record))


async def _serve(scenario: Scenario, record: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    recorder = None if record is None else Recorder(record, logfmt)
    proxy = Proxy(scenario, logfmt, recorder=recorder)

    def signalled() -> None:
        if stop.is_set():
            proxy.hurry()  # asked twice
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, signalled)
    for note in scenario.notes():
        logfmt("warning", note)
    try:
        await proxy.start()
    except BaseException:
        await proxy.stop()
        raise
    logfmt(
        "info",
        "listening",
        address=",".join(proxy.addresses),
        algorithm=proxy.balancer.algorithm,
        backends=len(proxy.balancer.pool.backends),
    )
    await stop.wait()
    logfmt("info", "draining", connections=len(proxy.clients))
    in_time = await proxy.stop()
    logfmt("info" if in_time else "warning", "stopped", finished=in_time)
