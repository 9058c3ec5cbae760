"""Running `lb serve` as a process: event loop, signals, exit."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from lb.config import Scenario
from lb.proxy.descriptors import raise_limit
from lb.proxy.garbage import in_small_portions
from lb.proxy.lifecycle import Proxy
from lb.proxy.logs.log import LineLog, Told, open_log
from lb.proxy.logs.recorder import Recorder, writable
from lb.recording.wanted import Recording
from lb.workers import signals
from lb.workers.beside import Beside
from lb.workers.chronicle import Chronicle
from lb.workers.crew import Alone, Crew
from lb.workers.division import workers
from lb.workers.exposure import exposed
from lb.workers.handover import Predecessor
from lb.workers.main import Main
from lb.workers.rereading import Read
from lb.workers.shadow import Shadow
from lb.workers.successor import PREDECESSOR, command_line
from lb.workers.supervisor import Supervisor

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


def serve(
    scenario: Scenario,
    record: Recording | None = None,
    read: Read | None = None,
    replace: bool = False,
    shadows: Sequence[str] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, or until a successor does. Raises CannotListen, CannotRecord.

    `read` reads the file again; `replace` takes over from whoever serves at the same address;
    `shadows` are algorithms that are tried beside the one that picks.
    """
    signals.ignore_silently()
    raise_limit()
    log = open_log()
    told = Told(log)
    logging.getLogger().addHandler(told)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            predecessor = _predecessor(scenario, replace)
            runner.run(_serve(scenario, log, record, read, predecessor, shadows))
    finally:
        signals.ignore_silently()  # a loop that is closed gives them their first meaning back
        logging.getLogger().removeHandler(told)
        log.close()


def _predecessor(scenario: Scenario, replace: bool) -> Predecessor | None:
    if name := os.environ.pop(PREDECESSOR, None):
        return Predecessor.find([name])
    if replace:
        return Predecessor.find(listener.address for listener in scenario.listening())
    return None


async def _serve(
    scenario: Scenario,
    line_log: LineLog,
    record: Recording | None,
    read: Read | None,
    predecessor: Predecessor | None,
    shadows: Sequence[str],
) -> None:
    log = Chronicle(line_log)
    if record is not None and predecessor is not None:
        record = record.unused()
        log("info", "recording", file=str(record.file))
    several = workers(scenario) > 1
    if several and record is not None:
        for number in range(workers(scenario)):
            writable(record.of_worker(number + 1).file)
    shadow = Shadow(shadows, log) if shadows else None
    beside = Beside(record, shadow)

    def crew(scenario: Scenario) -> Crew:
        if several:
            return Supervisor(scenario, log, beside)
        proxy = Proxy(scenario, log, recorder=Recorder.of(record, log, beside.path))
        proxy.shadow = beside.told
        return Alone(proxy)

    try:
        if shadow is not None:
            shadow.start()
        with in_small_portions():
            await _live(Main(scenario, log, crew, read, predecessor), scenario, log)
    finally:
        if shadow is not None:
            await shadow.close()


async def _live(main: Main, scenario: Scenario, log: Chronicle) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[Any]] = set()
    asked = False

    def end(who: str) -> None:
        nonlocal asked
        if asked or main.leaving:
            main.hurry()  # asked twice
        asked = True
        main.stop(who)
        starting.cancel()  # nobody is waited for who has not answered yet

    def begin(job: Callable[[str], Coroutine[Any, Any, Any]], who: str) -> None:
        task = loop.create_task(job(who))
        tasks.add(task)
        task.add_done_callback(_forgotten)
        task.add_done_callback(tasks.discard)

    starting = loop.create_task(main.start())
    signals.listen(
        loop,
        {
            **dict.fromkeys(signals.ENDS, end),
            "SIGHUP": lambda who: begin(main.reload, who),
            "SIGUSR1": main.reopen,
            "SIGUSR2": lambda who: begin(lambda who: main.succeed(command_line(), who), who),
        },
    )
    for note in scenario.notes():
        log("warning", note)
    try:
        await starting
    except BaseException as error:
        if not (asked and isinstance(error, asyncio.CancelledError)):
            await main.finish()
            raise
    else:
        for note in exposed(scenario):
            log("warning", note)
    await main.ended()
    in_time = await main.finish()
    log("info" if in_time else "warning", "stopped", finished=in_time)


def _forgotten(task: asyncio.Task[Any]) -> None:
    """What came of a signal is told in the log already."""
    if not task.cancelled():
        task.exception()
