"""The log that a recorded balancer fills: its header, its blocks, and what was decided."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from itertools import islice
from math import log
from typing import Final, cast
from zlib import crc32

from lb import __version__
from lb.balancing import Balancer, Lease, Outcome, Refuse, Setup, Start
from lb.balancing.call import C
from lb.balancing.lease import OK, rival_of
from lb.native.marks import mypyc_attr
from lb.recording.format import (
    BLOCK,
    COUNT,
    DECIDED,
    DECISION,
    HEAD,
    JSON,
    MAGIC,
    NOBODY,
    VERSION,
    WAKE,
    Kind,
)
from lb.strategies import Random

APART: Final = -1
"""The number of a call that is not in a sample."""
_END = bytes([Kind.END])


def sealed(events: bytes) -> bytes:
    """A block."""
    return BLOCK.pack(len(events), len(events) ^ 0xFFFFFFFF, crc32(events)) + events


@mypyc_attr(allow_interpreted_subclasses=True)
class RecordedLease(Lease[C]):
    """An attempt, as the log names it; its end is logged."""

    __slots__ = ("attempt", "number")
    number: int
    attempt: int

    def done(self, now: float, outcome: Outcome = OK, first_byte: float | None = None) -> None:
        balancer = cast("Logged[C]", self._balancer)
        before = len(balancer.out)
        super().done(now, outcome, first_byte)
        if balancer.recording:
            balancer.lease_ended(self, now, outcome, first_byte, before)


class Logged(Balancer[C]):
    """A balancer with a log, which goes to `sink` in blocks.

    A block goes out when it is large, on `flush` and on `close`; until then it is in memory.
    """

    def __init__(
        self,
        setup: Setup,
        rng: Random,
        now: float,
        seed: int,
        sink: Callable[[bytes], None],
        at: float = 0.0,
        share: float = 1.0,
        draws: Random | None = None,
    ) -> None:
        """`rng` must be a fresh `random.Random(seed)`: that is what a replay will use.

        `at` is what `now` is in seconds since 1970; `share` that of the calls which are logged, as
        `draws` draws them: not `rng`, or a sample would change what is picked.
        """
        self.recording = False
        self.telling = False
        """Whether it hears how requests have ended."""
        self._seed, self._since, self._at, self._share = seed, now, at, share
        self._draws = draws
        self._gap = self._next_gap()
        self._sink = sink
        self._log: list[bytes] = []  # what events are made of
        self._failing: Lease[C] | None = None  # its end is part of an event of its own
        self._homeless: dict[C, int] = {}  # numbers of calls under way that hold no lease
        self._parted: dict[C, int] = {}  # of those that have ended so, until that is told
        super().__init__(setup, rng, now)
        self.lease_type = RecordedLease
        self._names = [backend.name for backend in self.pool.backends]  # by order
        sink(self.header())
        self.recording = True

    @abstractmethod
    def lease_ended(
        self,
        lease: RecordedLease[C],
        now: float,
        outcome: Outcome,
        first_byte: float | None,
        before: int,
    ) -> None:
        """A lease has ended, while `before` actions stood in `out`."""

    # --- parts and blocks

    def header(self, part: int = 1) -> bytes:
        """What a part begins with that goes on with the block that is handed out next."""
        header: dict[str, object] = {
            "lb": __version__,
            "seed": self._seed,
            "now": self._since,
            "at": self._at,
            "part": part,
            "share": self._share,
            "setup": self.setup.as_dict(),
        }
        if part > 1:
            under_way = sum(backend.active for backend in self.pool.backends)
            header |= {"calls": self.admitted, "names": self._names, "under_way": under_way}
        text = json.dumps(header).encode()
        return HEAD.pack(MAGIC, VERSION, len(text), crc32(text)) + text

    def flush(self) -> None:
        """Hand what has been logged since the last block to the sink."""
        if self._log:
            log, self._log = self._log, []
            self._sink(sealed(b"".join(log)))

    def close(self) -> None:
        """Say that the recording ends here, and log nothing more."""
        if self.recording:
            self.recording = False
            self._log.append(_END)
            self.flush()
            self._homeless.clear()
            self._parted.clear()

    # --- samples

    def _next_gap(self) -> int:
        """How many calls are passed over until one is logged: each is drawn by itself."""
        if self._draws is None:
            return 0
        return int(log(1.0 - self._draws.random()) // log(1.0 - self._share))

    # --- events

    def _note_json(self, kind: Kind, now: float, before: int, **body: object) -> None:
        if self.recording:
            text = json.dumps(body).encode()
            self._note(JSON.pack(kind, now, len(text)) + text, before)

    def _note(self, record: bytes, before: int) -> None:
        """Log an event, and what it brought about: the actions in `out` beyond `before`."""
        decided = self._decisions(before) if len(self.out) > before else b""
        if decided:
            self._log += (bytes([record[0] | DECIDED]), record[1:], decided)
        else:
            self._log.append(record)

    def _note_decisions(self, now: float, before: int) -> None:
        """Log what came of something that is not in a sample."""
        decided = self._decisions(before) if len(self.out) > before else b""
        if decided:
            self._log.append(WAKE.pack(Kind.WAKE | DECIDED, now) + decided)

    def _decisions(self, before: int) -> bytes:
        """Starts and refusals in `out` beyond `before`, in their order."""
        rows = []
        for action in islice(self.out, before, None):
            match action:
                case Start(lease):
                    assert isinstance(lease, RecordedLease)
                    beside = rival_of(lease)
                    if beside is None:
                        lease.number = self._homeless.pop(lease.call)
                        lease.attempt = len(lease.call.tried)
                    else:
                        assert isinstance(beside, RecordedLease)
                        lease.number = beside.number
                        lease.attempt = len(lease.call.tried) + 1
                    if lease.number != APART:
                        row = DECISION.pack(lease.number, lease.attempt, lease.backend.order)
                        rows.append(row)
                case Refuse(call, _):
                    number = self._left(call)
                    if number != APART:
                        rows.append(DECISION.pack(number, len(call.tried), NOBODY))
        return COUNT.pack(len(rows)) + b"".join(rows) if rows else b""

    def _left(self, call: C) -> int:
        """The number of a call that will have no lease (any more)."""
        number = self._homeless.pop(call)
        if self.telling:
            self._parted[call] = number
        return number

    def _meet(self) -> None:
        """Know the backends that are here for the first time by their order."""
        for backend in self.pool.backends:
            if backend.order >= len(self._names):
                self._names.append(backend.name)
