"""Running a proxy as a process: event loop, signals, exit."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

from lb import BUILD
from lb.config import Scenario
from lb.proxy.descriptors import raise_limit
from lb.proxy.garbage import in_small_portions
from lb.proxy.lifecycle import Proxy
from lb.proxy.logs.log import Log, Told, open_log
from lb.proxy.logs.recorder import Recorder
from lb.proxy.signals import ignore_aloud, ignore_silently

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


def serve(scenario: Scenario, record: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotListen, CannotRecord."""
    ignore_silently()
    raise_limit()
    log = open_log()
    told = Told(log)
    logging.getLogger().addHandler(told)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(scenario, log, record))
    finally:
        ignore_silently()  # a loop that is closed gives signals their first meaning back
        logging.getLogger().removeHandler(told)
        log.close()


async def _serve(scenario: Scenario, log: Log, record: Path | None) -> None:
    with in_small_portions():
        await _live(scenario, log, record)


async def _live(scenario: Scenario, log: Log, record: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    recorder = None if record is None else Recorder(record, log)
    proxy = Proxy(scenario, log, recorder=recorder)

    def signalled() -> None:
        if stop.is_set():
            proxy.hurry()  # asked twice
        stop.set()
        starting.cancel()  # nobody is waited for who has not answered yet

    starting = loop.create_task(proxy.start())
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, signalled)
    ignore_aloud(loop, log)
    for note in scenario.notes():
        log("warning", note)
    try:
        await starting
    except BaseException as error:
        if not (stop.is_set() and isinstance(error, asyncio.CancelledError)):
            await proxy.stop()
            raise
    else:
        log(
            "info",
            "listening",
            address=",".join(proxy.addresses),
            algorithm=proxy.balancer.algorithm,
            backends=len(proxy.balancer.pool.backends),
            build=BUILD.name,
        )
    await stop.wait()
    log("info", "draining", connections=len(proxy.clients))
    in_time = await proxy.stop()
    log("info" if in_time else "warning", "stopped", finished=in_time)
