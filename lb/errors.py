"""The one error tree. Every error carries a stable code and an exit status.

Foreign exceptions are translated into these where they enter; what reaches a user is one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

INTERRUPTED = 130
"""Exit status after Ctrl-C."""
TERMINATED = 143
"""The same after SIGTERM."""


class LbError(Exception):
    """Something the user should read; never a traceback."""

    code = "error"
    exit_status = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """It comes back from another process whole, whatever its constructor takes."""
        return self.__class__.__new__, (self.__class__, *self.args), self.__dict__


class UsageError(LbError):
    """A command line that cannot be meant."""

    code = "usage"
    exit_status = 2


class UnknownBackend(LbError):
    """A name that no backend has."""

    code = "unknown_backend"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no backend is named {name!r}; {nearest(name, known)}")


class ConfigError(LbError):
    """A file that cannot be used. `problems` holds one line per mistake, all of them."""

    code = "config"
    exit_status = 3

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class BadRecording(LbError):
    """A recording that cannot be replayed, and the byte where that shows."""

    code = "bad_recording"
    exit_status = 3

    def __init__(self, offset: int, why: str) -> None:
        self.offset = offset
        super().__init__(f"byte {offset}: {why}")


class CannotListen(LbError):
    """The address is taken, or is not ours."""

    code = "cannot_listen"


class CannotRecord(LbError):
    """The file of a recording cannot be written."""

    code = "cannot_record"


class CannotWrite(LbError):
    """A file, a directory or standard output that takes nothing."""

    code = "cannot_write"

    def __init__(self, where: object, why: str | None) -> None:
        super().__init__(f"cannot write to {where}: {why or 'no reason given'}")


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error sentence: the nearest right word, or all of them."""
    choices = list(known)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(sorted(choices))}"
