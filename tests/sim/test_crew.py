"""Who works through items: here, in processes beside, or in somebody else's executor."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lb.errors import BadRecording, ConfigError, LbError, UsageError
from sim import crew as module
from sim.crew import Crew, WorkerDied, attend

ITEMS = list(range(40))


def squared(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def refuses_odd(number: int) -> int:
    if number % 2:
        raise ConfigError([f"{number}: odd", "and more"])
    return number


Item = tuple[str, int]
"""A named pipe through which somebody else says that it is there, and a number."""


def elsewhere(item: Item) -> bool:
    """Whether this is another process, which tells so; the first item waits for that here."""
    pipe = os.open(item[0], os.O_RDWR)  # with both ends open nobody waits for the other to open it
    try:
        if multiprocessing.parent_process() is not None:
            os.write(pipe, b".")
            return True
        if item[1] == 0:
            os.read(pipe, 1)
        return False
    finally:
        os.close(pipe)


def shared(item: Item) -> tuple[int, int]:
    elsewhere(item)
    return squared(item[1])


def dies_elsewhere(item: Item) -> int:
    if elsewhere(item):
        os._exit(3)
    return item[1]


def masked(item: Item) -> tuple[bool, bool]:
    return elsewhere(item), signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.fixture
def items(tmp_path: Path) -> Iterator[list[Item]]:
    """Of which others do some for sure."""
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR)  # what is written before anybody reads is kept
    yield [(path, number) for number in ITEMS]
    os.close(held)


def test_alone_everything_is_done_here_when_it_is_asked_for() -> None:
    asked: list[int] = []
    with Crew() as crew:
        results = crew.each(lambda item: asked.append(item) or item, ITEMS)
        assert [next(results), next(results)] == [0, 1]
        assert asked == [0, 1]


def test_several_workers_give_the_same_in_the_same_order(items: list[Item]) -> None:
    told: list[None] = []
    with Crew(3) as crew:
        results = list(crew.each(shared, items, on_done=lambda: told.append(None)))
        again = list(crew.each(squared, ITEMS[:7]))
    assert [square for square, _ in results] == [item * item for item in ITEMS]
    assert [square for square, _ in again] == [item * item for item in ITEMS[:7]]
    assert len(told) == len(ITEMS)
    assert len({pid for _, pid in results}) > 1
    assert results[0][1] == os.getpid()
    assert not multiprocessing.active_children()


def test_nobody_is_called_for_a_single_item() -> None:
    with Crew(4) as crew:
        assert list(crew.each(squared, [3])) == [(9, os.getpid())]


@pytest.mark.parametrize(("expected", "others"), [(0.0, False), (1.0, True)])
def test_auto_calls_others_when_what_is_left_takes_long(
    monkeypatch: pytest.MonkeyPatch, expected: float, others: bool
) -> None:
    called: list[int] = []

    class Processes(module._Processes):
        def __init__(self, number: int, heap: Any) -> None:
            called.append(number)
            super().__init__(number, heap)

    monkeypatch.setattr(module, "_Processes", Processes)
    monkeypatch.setattr(module, "cores", lambda: 2)
    with Crew("auto") as crew:
        assert [square for square, _ in crew.each(squared, ITEMS, expected)] == [
            item * item for item in ITEMS
        ]
    assert called == ([1] if others else [])


def test_an_executor_is_given_everything_and_stays_open() -> None:
    told: list[None] = []
    with ThreadPoolExecutor(2) as executor:
        with Crew(executor) as crew:
            results = list(crew.each(squared, ITEMS, on_done=lambda: told.append(None)))
        assert executor.submit(squared, 2).result()[0] == 4
    assert [square for square, _ in results] == [item * item for item in ITEMS]
    assert len(told) == len(ITEMS)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_in_order_comes_at_its_place(workers: int) -> None:
    seen = []
    with pytest.raises(ConfigError) as caught, Crew(workers) as crew:
        seen += crew.each(refuses_odd, [0, 2, 3, 4, 5])
    assert seen == [0, 2]
    assert caught.value.problems == ["3: odd", "and more"]


@pytest.mark.parametrize(
    "error",
    [ConfigError(["a", "b"]), BadRecording(7, "why"), UsageError("no"), WorkerDied()],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_whole(error: LbError) -> None:
    there = copy.copy(error)
    assert type(there) is type(error)
    assert (str(there), vars(there)) == (str(error), vars(error))


def test_a_worker_that_dies_is_told_in_words(items: list[Item]) -> None:
    with pytest.raises(WorkerDied, match="a worker process died"), Crew(2) as crew:
        list(crew.each(dies_elsewhere, items))


def test_an_executor_that_breaks_is_told_the_same_way(items: list[Item]) -> None:
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, context) as executor,
        pytest.raises(WorkerDied),
        Crew(executor) as crew,
    ):
        list(crew.each(dies_elsewhere, items))


def test_workers_never_hear_of_an_interrupt(items: list[Item]) -> None:
    with Crew(2) as crew:
        results = set(crew.each(masked, items))
    assert results == {(True, True), (False, False)}


def test_interrupted_it_leaves_no_process_behind(items: list[Item]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Crew(3) as crew:
        list(crew.each(shared, items, on_done=interrupt))
    assert not multiprocessing.active_children()


def test_nobody_waits_for_a_process_that_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Processes, "_begun", lambda _self, _future: None)
    with Crew(3) as crew:
        assert {pid for _, pid in crew.each(squared, ITEMS)} == {os.getpid()}
    assert not multiprocessing.active_children()


def test_a_worker_ends_when_the_other_end_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(module.os, "_exit", lambda _status: ended.set())
    theirs, held = multiprocessing.Pipe(duplex=False)
    attend(theirs)
    assert not ended.is_set()
    held.close()
    assert ended.wait(20)
    theirs.close()


def test_a_script_without_a_guard_is_told_what_it_lacks(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from time import sleep\n"
        "from sim.crew import Crew\n"
        "with Crew(2) as crew: list(crew.each(sleep, [0.02] * 2000))\n"
    )
    ran: Any = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1
    assert "__main__" in ran.stderr.splitlines()[-1]


def test_none_is_no_number_of_workers() -> None:
    with pytest.raises(UsageError, match="0 workers"):
        Crew(0)


@pytest.mark.parametrize("kind", ["on standard input", "in a file"])
def test_a_script_that_cannot_be_run_again_works_alone(tmp_path: Path, kind: str) -> None:
    script = """
from sim.crew import Crew
if __name__ == "__main__":
    with Crew(3) as crew:
        print(crew._most, list(crew.each(abs, range(-4, 0))))
"""
    (tmp_path / "script.py").write_text(script)
    on_stdin = kind == "on standard input"
    ran = subprocess.run(
        [sys.executable, "-" if on_stdin else tmp_path / "script.py"],
        input=script if on_stdin else "",
        capture_output=True,
        text=True,
        timeout=40,
        check=True,
    )
    assert ran.stdout == f"{1 if on_stdin else 3} [4, 3, 2, 1]\n"
    assert ran.stderr == ""


LARGE = """
from sim.crew import Crew

def large(number):
    return bytes(5_000_000)

if __name__ == "__main__":
    for _ in range(4):
        with Crew(2) as crew:
            for number, answer in enumerate(crew.each(large, range(2000))):
                if number > 100:
                    break
    print("left")
"""


def test_one_that_ends_amid_its_answer_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(LARGE)
    command = [sys.executable, tmp_path / "script.py"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (ran.stdout, ran.stderr) == ("left\n", "")
