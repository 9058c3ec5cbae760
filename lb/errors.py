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
        self.why = why
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


NEAR, NEAR_OF_TWO = 0.6, 0.5
"""How like (difflib's ratio) a word is that may be meant; of two letters one may be wrong."""
MOST_NEAR = 3


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error sentence: the nearest right word, or all of them.

    Of several that are equally near the first three.
    """
    choices = sorted(dict.fromkeys(known))
    cutoff = NEAR if len(word) > 2 else NEAR_OF_TWO
    close = difflib.get_close_matches(word, choices, n=len(choices) or 1, cutoff=cutoff)
    if not close:
        return f"known: {', '.join(choices)}"
    best = _likeness(close[0], word)
    *others, last = [repr(it) for it in sorted(close) if _likeness(it, word) == best][:MOST_NEAR]
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def _likeness(one: str, word: str) -> float:
    return difflib.SequenceMatcher(None, one, word).ratio()


def written(value: object) -> str:
    """A value in an error sentence: as files have it, and JSON, and short."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
    return repr(value)
