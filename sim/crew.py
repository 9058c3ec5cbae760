"""Who works: this process and others beside it, or somebody else's executor; results in order.

Knows nothing of simulations. Whatever the number of workers, results are the same and come in the
same order, and so does the first error.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, Literal, TypeVar

from lb.errors import LbError, UsageError
from lb.system import cores

Workers = int | Literal["auto"] | Executor
"""How many processes, this one included; "auto": as many as cores, where that pays."""

PAYS = 1.5
"""Seconds of work from which "auto" calls others. One is there after 0.3 s of imports on a core of
its own, and after 1 s on a busy one; this process works meanwhile."""
AHEAD = 2
"""Items that each of the others is given at a time, as long as there are many: the thread that
hands them out waits for this process's own work, 5 ms again and again."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerDied(LbError):
    """A process beside this one ended before its work did."""

    code = "worker_died"

    def __init__(self) -> None:
        super().__init__(
            "a worker process died. Memory may have run out: with one worker everything is done "
            'in this process. A script that asks for more needs `if __name__ == "__main__":`'
        )


class Crew(AbstractContextManager["Crew"]):
    """Works through items; others are called when needed and stay until the end of `with`.

    A number of workers calls them at once, "auto" when what is left takes longer than `PAYS`. An
    executor is given everything, and stays open. Raises UsageError for less than one worker, and
    for what is none of these.
    """

    def __init__(self, workers: Workers = 1) -> None:
        meant = isinstance(workers, int | Executor) or workers == "auto"
        if not meant:
            raise UsageError(f'{workers!r} is neither a number of workers, nor "auto"')
        if isinstance(workers, int) and workers < 1:
            raise UsageError(f"{workers} workers cannot do anything; give at least 1")
        self._auto = workers == "auto"
        self._foreign = workers if isinstance(workers, Executor) else None
        self._most = workers if isinstance(workers, int) else cores()
        if not _begins_anew():
            self._most = 1
        self._others: _Processes | None = None

    def __exit__(self, *_: object) -> None:
        if self._others is not None:
            self._others.leave()
            self._others = None

    def each(
        self,
        work: Callable[[Item], Result],
        items: Sequence[Item],
        expected: float = 0.0,
        on_done: Callable[[], None] | None = None,
    ) -> Iterator[Result]:
        """`work(item)` of each, in order; `on_done` is called whenever one is done.

        See `as_done`, which need not be in order. Raises what `work` raises for the first item that
        it does so for.
        """
        held: dict[int, Future[Result]] = {}
        wanted = 0
        with closing(self.as_done(work, items, expected)) as settled:
            for place, future in settled:
                held[place] = future
                if on_done is not None:
                    on_done()
                while wanted in held:
                    yield result(held.pop(wanted))
                    wanted += 1

    def as_done(
        self, work: Callable[[Item], Result], items: Sequence[Item], expected: float = 0.0
    ) -> Generator[tuple[int, Future[Result]]]:
        """The place of each item and what became of it, as soon as that is known.

        `expected`: the least seconds that one can take. `work`, items and results travel by pickle
        where others help. After a failure nothing new is begun. Raises WorkerDied.
        """
        heap = _Heap(work, items)
        own, spent = 0, 0.0
        try:
            if self._foreign is not None:
                heap.share(_Others(self._foreign, len(items)))
            while heap.left or heap.open:
                mine = heap.next()
                self._call(heap, max(expected, spent / own if own else 0.0))
                if mine is not None:
                    own, spent = own + 1, spent + heap.do(*mine)
                yield from heap.settled(waiting=mine is None)
        except BrokenExecutor:
            raise WorkerDied from None
        finally:
            heap.drop()

    def _call(self, heap: _Heap[Any, Any], seconds: float) -> None:
        """Let others take part from here on, if that is wanted."""
        left = len(heap.left)
        if self._foreign is not None or self._most < 2 or not left:
            return
        if self._others is None:
            if self._auto and (left + 1) * seconds < PAYS:
                return
            self._others = _Processes(min(self._most - 1, left), heap)
        self._others.help(heap)


class _Heap(Generic[Item, Result]):
    """Items of which everybody takes the next one, and what became of each."""

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self.left = deque(enumerate(items))
        self.open: dict[int, Future[Result]] = {}
        """Those that have been taken, and not been told of."""
        self._work = work
        self._settled: SimpleQueue[int] = SimpleQueue()
        self._lock = threading.RLock()  # a callback may run at once, in the thread that adds it
        self._away = 0

    def next(self) -> tuple[int, Item] | None:
        """Take one; it is for whoever took it to do."""
        with self._lock:
            return self.left.popleft() if self.left else None

    def do(self, place: int, item: Item) -> float:
        """Do one here; gives its seconds."""
        future: Future[Result] = Future()
        started = time.perf_counter()
        try:
            future.set_result(self._work(item))
        except Exception as error:
            self.left.clear()
            future.set_exception(error)
        self.open[place] = future
        self._settled.put(place)
        return time.perf_counter() - started

    def share(self, others: _Others) -> None:
        """Give them something to do, and more whenever one of them is done."""
        with self._lock:
            room = others.ready * (AHEAD if len(self.left) > 2 * AHEAD * others.ready else 1)
            while self._away < room and (taken := self.next()) is not None:
                place, item = taken
                self._away += 1
                with _uninterrupted():
                    self.open[place] = future = others.executor.submit(self._work, item)
                future.add_done_callback(self._back(place, others))

    def _back(self, place: int, others: _Others) -> Callable[[Future[Result]], None]:
        def back(future: Future[Result]) -> None:
            if future.cancelled() or future.exception() is not None:
                # No lock here: an executor that breaks holds its own one, which `submit` takes.
                self.left.clear()
            else:
                with self._lock:
                    self._away -= 1
                self.share(others)
            self._settled.put(place)

        return back

    def settled(self, *, waiting: bool) -> Iterator[tuple[int, Future[Result]]]:
        """Those that have been done since this was asked; `waiting`: for one at least."""
        while True:
            try:
                place = self._settled.get(block=waiting)
            except Empty:
                return
            waiting = False
            yield place, self.open.pop(place)

    def drop(self) -> None:
        """Nobody begins anything more."""
        with self._lock:
            self.left.clear()
        for future in list(self.open.values()):
            future.cancel()


def result(future: Future[Result]) -> Result:
    """What came of it. Raises that, too, and WorkerDied."""
    try:
        return future.result()
    except BrokenExecutor:
        raise WorkerDied from None


class _Others:
    """Who does things elsewhere."""

    def __init__(self, executor: Executor, ready: int = 0) -> None:
        self.executor = executor
        self.ready = ready
        """How many of them wait for something to do."""


class _Processes(_Others):
    """Processes beside this one. They end with it, however it ends, and not by Ctrl-C.

    Nothing waits for one that is not there yet: it takes part when it has begun.
    """

    def __init__(self, number: int, heap: _Heap[Any, Any]) -> None:
        self._context = _Context()
        theirs, held = self._context.Pipe(duplex=False)
        self._ends = theirs, held
        self._heap = heap
        self._broken = False
        super().__init__(
            ProcessPoolExecutor(number, self._context, initializer=attend, initargs=(theirs,))
        )
        for _ in range(number):
            with _uninterrupted():
                self.executor.submit(int).add_done_callback(self._begun)

    def _begun(self, future: Future[int]) -> None:
        if future.cancelled():
            return
        if future.exception() is not None:
            self._broken = True
            return
        self.ready += 1
        self._heap.share(self)

    def help(self, heap: _Heap[Any, Any]) -> None:
        """Take part in this from here on. Raises WorkerDied."""
        if self._broken:
            raise WorkerDied
        self._heap = heap
        heap.share(self)

    def leave(self) -> None:
        """There is nothing more to do for them, or nobody wants it."""
        self._heap.drop()
        for process in self._context.begun:
            process.terminate()
        # One may have ended amid an answer, and whoever reads it waits until no end is left to
        # write to, this process's own one among them.
        for queue in self._context.answers:
            queue._writer.close()  # noqa: SLF001  (close() would take the reading end away, too)
        self.executor.shutdown(cancel_futures=True)
        for end in self._ends:
            end.close()


class _Context(SpawnContext):
    """Makes processes, and remembers them; a fork would take along locks that threads hold."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[SpawnProcess] = []
        self.answers: list[Any] = []

    def SimpleQueue(self) -> Any:  # noqa: N802
        queue = super().SimpleQueue()
        self.answers.append(queue)
        return queue

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnProcess(*args, **kwargs)
        self.begun.append(process)
        return process


def _begins_anew() -> bool:
    """Whether another process can run what this one runs: a script on standard input is read."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None:
        return True  # nothing is run, or a module by its name
    return Path(file).exists()


def attend(held: Connection) -> None:
    """Begin a worker, which is to end as soon as the other end of `held` is closed."""
    threading.Thread(target=_leave_with, args=(held,), daemon=True).start()


def _leave_with(held: Connection) -> None:
    wait([held])
    os._exit(1)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that begins in here never hears of Ctrl-C: it inherits what this thread blocks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
