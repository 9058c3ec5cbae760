"""The log of every input of a balancer, exact enough to make the same picks again: its layout.

Beside the inputs stands what became of requests, which decides nothing, and which a replay passes
over: when an attempt had a connection of its own, and how a request ended.

Little-endian throughout:

    file      HEAD, the header as JSON, blocks
    block     BLOCK (length, its complement, CRC-32 of what follows), whole events
    event     kind, body; with DECIDED set in the kind: COUNT, decisions
    decision  DECISION (call, attempt, order of the backend; NOBODY for a refusal)

The header of format 2 holds lb's version, the seed, the time, and the setup of the balancer; that
of format 1 has the parts of the setup at its top, and knows no checks at once after a failure.
Format 3 tells what became of requests; its header says which part of a recording this is (all have
the same seed and time), when it began by the calendar, and what share of the calls is in it.
Calls are named by their number, in order of admission from 0, attempts by how many the call had
before. Bodies of frequent kinds are structs; all others are JSON, where a float is exact too. The
last event of a recording that was closed is END, that of a part before the last CONTINUED: behind
it comes the header of the next, in a file of its own or in the same one.

A sample holds what calls are told of that were drawn, each behind a SAMPLED, and what changes the
balancer; what else decides is not there, and decisions upon it stand on a WAKE.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from lb.strategies import Outcome

MAGIC = b"\x89lb-log\n"
VERSION = 3
HEAD = Struct("<8sHII")
"""Magic, version, length and CRC-32 of the header."""
BLOCK = Struct("<III")
COUNT = Struct("<I")
DECISION = Struct("<IHI")
NOBODY = 0xFFFFFFFF
"""In the place of a backend's order."""


class Kind(IntEnum):
    """Never renumbered. New ones get new numbers; a reader refuses those it does not know."""

    END = 0
    ADMIT = 1
    DONE = 2
    FAILED = 3
    ABANDONED = 4
    WAKE = 5
    ANSWERED = 6
    DECLINED = 7
    CONNECTED = 8
    SERVED = 9
    ENDED = 10
    SAMPLED = 11
    CONTINUED = 12
    OBSERVED = 16
    ADD = 17
    REMOVE = 18
    SET_STATE = 19
    SET_WEIGHT = 20
    SWAP = 21
    REPORTED = 22
    APPLY = 23
    LAGGED = 24
    STEPPED = 25
    LOADED = 26
    GOOD = 27


TOLD = frozenset({Kind.CONNECTED, Kind.SERVED, Kind.ENDED, Kind.SAMPLED})
"""What decides nothing."""

DECIDED = 0x80
"""Set in the kind of an event that brought a start (other than its own) or a refusal."""

ADMIT = Struct("<BdBII")
"""Kind, now, flags, order picked, length of the key; then the key, then a deadline as "<d"."""
IDEMPOTENT, DEADLINE, SAFE = 1, 2, 4
TIME = Struct("<d")
DONE = Struct("<BdIHBd")
"""Kind, now, call, attempt, outcome, time of the first byte (NaN: none)."""
FAILED = Struct("<BdIHBB")
"""Kind, now, call, attempt, outcome, sent."""
ANSWERED = Struct("<BdIH")
"""Kind, now, call, attempt."""
DECLINED = Struct("<BdIHH")
"""Kind, now, call, attempt, status."""
ABANDONED = Struct("<BI")
"""Kind, call."""
CONNECTED = Struct("<BdIH")
"""Kind, now, call, attempt: it has a new connection. Those without had theirs when they began."""
SERVED = Struct("<BIHI")
"""Kind, call, status, bytes of the answer: of a request without a body that was admitted as it
came, and ended with its attempt, just before."""
ENDED = Struct("<BddIBHQQ")
"""Kind, now, time it came, call, end (of `ENDS`), status, bytes of its body and of the answer's."""
GOOD = Struct("<BdIHI")
"""Kind, now, call, status, bytes of the answer: DONE and SERVED in short, of the first attempt of a
call that has ended well with the first byte."""
LOADED = Struct("<BdI5d")
"""Kind, now, order of the backend, figures of its report (NaN: not told); REPORTED in short."""
SAMPLED = Struct("<BII")
"""Kind, number of the call admitted next, in flight at its backend before it (NOBODY: unknown)."""
WAKE = Struct("<Bd")
JSON = Struct("<BdI")
"""Kind, now, length of the JSON that follows."""

FIGURES = ("in_flight", "latency", "utilisation", "rate", "errors")
"""Of a load report."""
OUTCOMES = (
    Outcome.OK,
    Outcome.CONNECT,
    Outcome.RESET,
    Outcome.TIMEOUT,
    Outcome.SERVER_ERROR,
    Outcome.CLIENT_GONE,
    Outcome.CANCELLED,
)
"""By their number in a recording: never reordered."""

ENDS = (*(outcome.value for outcome in OUTCOMES), "refused")
"""The same for requests; the last one for those that no backend has failed."""
