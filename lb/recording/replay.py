"""A recording played again, under its own algorithm or another.

Under its own, the balancer makes the same picks, bit for bit. Under another, the traffic is taken
as it was: an attempt ends when and how the recorded call's did, whoever carries it, and a call that
is over in the recording is over in the replay. So:

- a call refused there and picked here is started and cancelled at once;
- a call that still waits here when it ended there leaves the line;
- a call refused here stays refused, whatever became of it there;
- a retry or hedge made here alone ends with its call; one made there alone has no counterpart.

Latencies are the recorded ones even where another backend was picked, so the further a
latency-aware algorithm departs from the recording, the less it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Any, TypeVar

from lb.balancing import (
    Backend,
    Balancer,
    Cancel,
    Lease,
    LoadReport,
    Pick,
    ProbeResult,
    Refuse,
    Settings,
    Setup,
    Start,
    State,
)
from lb.balancing.lease import rival_of
from lb.errors import BadRecording, UsageError
from lb.recording.comparison import Replayed, ReplayedCall
from lb.recording.format import HEAD, TOLD, Kind
from lb.recording.header import Header
from lb.recording.reader import NONE, Decision, Entry, Log
from lb.strategies import Outcome, Random, parse, spec

T = TypeVar("T")
Explained = Callable[[Decision, Pick], object]
WHY = "picks are made again only from the first request on, and with all of them"


def replay(
    recording: bytes | Iterable[bytes],
    algorithm: str | None = None,
    *,
    random: Callable[[int], Random],
    explained: Explained | None = None,
) -> Replayed:
    """Play a recording, whole or in pieces, to a fresh balancer; `random` is `random.Random`.

    `explained` is told of every start in the replay, and why it was that backend.

    Without `algorithm`, or with the recorded one's name, everything is as it was recorded. Any
    other stays throughout: recorded exchanges of the algorithm are passed over.
    Raises BadRecording, and UsageError for an algorithm that is unknown.
    """
    log = Log([recording] if isinstance(recording, bytes) else recording)
    header = log.header()
    if header.share < 1.0:
        raise BadRecording(HEAD.size, f"a sample, of {header.share:.3g} of the requests; {WHY}")
    if header.part > 1:
        raise BadRecording(HEAD.size, f"part {header.part}, and those before it are gone; {WHY}")
    twin = _Twin(header, algorithm, random)
    if explained is not None:
        twin.explain(explained)
    for event in log.events():
        if event.kind not in TOLD:
            twin.play(event)
    twin.result.complete = log.complete
    twin.result.end = log.end
    return twin.result


class _Twin:
    """A balancer that is told what the recorded one was told."""

    def __init__(
        self, header: Header, algorithm: str | None, random: Callable[[int], Random]
    ) -> None:
        setup = header.setup
        self._faithful = algorithm is None or algorithm == setup.algorithm
        if algorithm is None or self._faithful:
            self._supported(HEAD.size, setup.algorithm, setup.settings)
        else:
            name, settings = parse(algorithm)
            setup = replace(setup, algorithm=name, settings=settings)
        self._balancer: Balancer[ReplayedCall] = Balancer(setup, random(header.seed), header.now)
        self._backends = list(self._balancer.pool.backends)  # by order, those removed too
        self._calls: dict[int, ReplayedCall] = {}  # under way in the recording
        self._next = 0  # number of the next call
        self._now = header.now
        self._offset = 0
        self._recorded: Sequence[Decision] = ()
        self._made: list[Decision] = []
        self._picks: list[Pick] = []  # of the event that is played, while they are explained
        self._explained: Explained | None = None
        self.result = Replayed(
            header,
            algorithm or setup.algorithm,
            self._faithful,
            self._balancer,
            [backend.name for backend in self._backends],
        )
        self._inputs: dict[Kind, Callable[[Any], None]] = {
            Kind.ADMIT: self._admit,
            Kind.DONE: self._done,
            Kind.FAILED: self._failed,
            Kind.ANSWERED: self._answered,
            Kind.DECLINED: self._declined,
            Kind.ABANDONED: self._abandoned,
            Kind.WAKE: self._wake,
            Kind.OBSERVED: self._observed,
            Kind.REPORTED: self._reported,
            Kind.ADD: self._add,
            Kind.REMOVE: self._remove,
            Kind.SET_STATE: self._set_state,
            Kind.SET_WEIGHT: self._set_weight,
            Kind.SWAP: self._swap,
            Kind.APPLY: self._apply,
            Kind.STEPPED: self._stepped,
            Kind.LAGGED: lambda body: self._read(
                lambda seconds: self._balancer.lagged(seconds, self._now), body
            ),
        }

    def explain(self, explained: Explained) -> None:
        self._explained = explained
        self._balancer.pool.explain(self._picks.append)

    def play(self, event: Entry) -> None:
        """Tell the balancer, and compare its decisions with the recorded ones."""
        self._offset = event.offset
        self._made.clear()
        self._picks.clear()
        recorded = event.decisions
        if not isnan(event.now):
            self._now = event.now
        if not self._faithful and self._balancer.wakes_at <= self._now:
            self._balancer.wake(self._now)  # what waits here alone was on nobody's timer there
        if event.kind is Kind.ADMIT and event.body[-1] != NONE:
            recorded = (Decision(self._next, 0, event.body[-1]), *recorded)
        self._recorded = recorded
        self._inputs[event.kind](event.body)
        self._drain()
        for number, attempt, order in recorded:
            call = self._call(number)
            if order == NONE:
                self._over(call, attempt, Outcome.CANCELLED)
            else:
                call.under_way.add(attempt)
        if self._explained is not None:
            starts = [made for made in self._made if made.order != NONE]
            for made, pick in zip(starts, (it for it in self._picks if it.picked), strict=False):
                self._explained(made, pick)
        self.result.compare(recorded, self._made, event.offset, self._now)
        self.result.events[event.kind.name.lower()] += 1

    def _drain(self) -> None:
        out = self._balancer.out
        while out:
            match out.popleft():
                case Start(lease):
                    call = lease.call
                    attempt = len(call.tried) + (rival_of(lease) is not None)
                    call.leases[attempt] = lease
                    self._made.append(Decision(call.number, attempt, lease.backend.order))
                case Refuse(call, _):
                    self._made.append(Decision(call.number, len(call.tried), NONE))
                case Cancel(lease) if not self._faithful:  # else it was, which is recorded
                    self._take(lease.call, lease)
                    lease.done(self._now, Outcome.CANCELLED)

    def _call(self, number: int) -> ReplayedCall:
        """A call that is under way in the recording."""
        try:
            return self._calls[number]
        except KeyError:
            raise BadRecording(self._offset, f"call {number} is not under way") from None

    def _take(self, call: ReplayedCall, lease: Lease[ReplayedCall]) -> None:
        """The lease is about to end."""
        call.leases = {number: it for number, it in call.leases.items() if it is not lease}

    def _lease(self, call: ReplayedCall, attempt: int) -> Lease[ReplayedCall] | None:
        """What stands here for a recorded attempt: the same, or whatever the call has."""
        return call.leases.get(attempt, next(iter(call.leases.values()), None))

    def _over(
        self, call: ReplayedCall, attempt: int, outcome: Outcome, first_byte: float | None = None
    ) -> None:
        """The call is over in the recording, so whatever it still holds here ends too."""
        del self._calls[call.number]
        lease = self._lease(call, attempt)
        if lease is None:
            self._balancer.abandoned(call)
            return
        for other in call.leases.values():
            if other is not lease:
                other.done(self._now, Outcome.CANCELLED)
        call.leases.clear()
        self._end(lease, outcome, first_byte)

    def _end(self, lease: Lease[ReplayedCall], outcome: Outcome, first_byte: float | None) -> None:
        if first_byte is not None and not self._faithful:
            first_byte = max(first_byte, lease.started_at)  # it may have waited here alone
        lease.done(self._now, outcome, first_byte)
        self._drain()

    # --- the inputs

    def _admit(self, body: tuple[bytes, bool, bool, float, int]) -> None:
        key, idempotent, safe, deadline, _ = body
        call = self._calls[self._next] = ReplayedCall(self._next, key, idempotent, safe, deadline)
        self._next += 1
        lease = self._balancer.admit(call, self._now)
        if lease is not None:
            call.leases[0] = lease
            self._made.append(Decision(call.number, 0, lease.backend.order))

    def _done(self, body: tuple[int, int, Outcome, float | None]) -> None:
        number, attempt, outcome, first_byte = body
        call = self._call(number)
        call.under_way.discard(attempt)
        if not call.under_way:
            self._over(call, attempt, outcome, first_byte)
        elif attempt in call.leases:
            self._end(call.leases.pop(attempt), outcome, first_byte)

    def _failed(self, body: tuple[int, int, Outcome, bool]) -> None:
        number, attempt, outcome, sent = body
        call = self._call(number)
        call.under_way.discard(attempt)
        lease = self._lease(call, attempt)
        if lease is not None:
            self._take(call, lease)
            self._balancer.failed(lease, self._now, outcome, sent)

    def _answered(self, body: tuple[int, int]) -> None:
        number, attempt = body
        lease = self._lease(self._call(number), attempt)
        if lease is not None:
            self._balancer.answered(lease, self._now)

    def _declined(self, body: tuple[int, int, int]) -> None:
        """Recorded is that somebody asked; what came of it, the attempts say that went on."""
        number, attempt, status = body
        call = self._call(number)
        over = len(call.under_way) > 1 or any(number == it.call for it in self._recorded)
        if over:
            call.under_way.discard(attempt)
        lease = self._lease(call, attempt)
        asked = lease is not None and (over or self._faithful)
        if lease is not None and asked and self._balancer.declined(lease, self._now, status):
            self._take(call, lease)

    def _abandoned(self, number: int) -> None:
        self._over(self._call(number), 0, Outcome.CANCELLED)

    def _wake(self, _: None) -> None:
        self._balancer.wake(self._now)

    def _observed(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        self._balancer.observed(backend, self._now, self._read(ProbeResult, body))

    def _reported(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        self._balancer.observed(backend, self._now, self._read(LoadReport, body))

    def _add(self, body: dict[str, Any]) -> None:
        self._balancer.add(self._read(Settings.from_dict, body), self._now)
        self._meet()

    def _remove(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        if backend not in self._balancer.pool.backends:
            raise BadRecording(self._offset, f"backend {backend.name} is removed twice")
        self._balancer.remove(backend, self._now)

    def _set_state(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        wanted = self._read(lambda state: State(state), body)
        self._balancer.set_state(backend, wanted, self._now)

    def _set_weight(self, body: dict[str, Any]) -> None:
        backend = self._named(body)
        self._balancer.set_weight(backend, self._read(lambda weight: weight, body), self._now)

    def _swap(self, body: dict[str, Any]) -> None:
        name, settings = self._read(lambda algorithm, settings: (algorithm, settings), body)
        if self._faithful:
            self._supported(self._offset, name, settings)
            self._balancer.swap(name, settings, self._now)

    def _apply(self, body: dict[str, Any]) -> None:
        setup = self._read(lambda **fields: Setup.from_dict(fields), body)
        if self._faithful:
            self._supported(self._offset, setup.algorithm, setup.settings)
        else:
            own = self._balancer.setup
            setup = replace(setup, algorithm=own.algorithm, settings=own.settings)
        self._balancer.apply(setup, self._now)
        self._meet()

    def _stepped(self, body: dict[str, Any]) -> None:
        for _ in range(self._read(lambda picks: int(picks), body)):
            self._balancer.pool.pick(self._now, b"", ())

    def _meet(self) -> None:
        """Know the backends that are here for the first time."""
        for backend in self._balancer.pool.backends:
            if backend.order >= len(self._backends):
                self._backends.append(backend)
                self.result.names.append(backend.name)

    @staticmethod
    def _supported(offset: int, name: str, settings: Mapping[str, object]) -> None:
        """A recording may name an algorithm of a plug-in, or of another version."""
        try:
            spec(name).configure(settings)
        except UsageError as error:
            raise BadRecording(offset, str(error)) from None

    def _named(self, body: dict[str, Any]) -> Backend:
        """The backend that a body speaks of; taken out of it."""
        order = body.pop("backend", None)
        if not isinstance(order, int) or not 0 <= order < len(self._backends):
            raise BadRecording(self._offset, f"there is no backend {order!r}")
        return self._backends[order]

    def _read(self, make: Callable[..., T], body: dict[str, Any]) -> T:
        """What the fields of a body stand for."""
        try:
            return make(**body)
        except (TypeError, ValueError) as error:
            raise BadRecording(self._offset, str(error)) from None
