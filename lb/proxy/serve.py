"""Running a proxy as a process: event loop, signals, exit."""

from __future__ import annotations

import asyncio
import signal
import sys

from lb.config import Scenario
from lb.proxy.driver import Driver
from lb.proxy.log import logfmt

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


def serve(scenario: Scenario) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotListen."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(scenario))


async def _serve(scenario: Scenario) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    driver = Driver(scenario, logfmt)

    def signalled() -> None:
        if stop.is_set():
            driver.hurry()  # asked twice
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, signalled)
    try:
        await driver.start()
    except BaseException:
        await driver.stop()
        raise
    logfmt(
        "info",
        "listening",
        address=",".join(driver.addresses),
        algorithm=driver.balancer.algorithm,
        backends=len(driver.balancer.pool.backends),
    )
    await stop.wait()
    logfmt("info", "draining", connections=len(driver.clients))
    in_time = await driver.stop()
    logfmt("info" if in_time else "warning", "stopped", finished=in_time)
