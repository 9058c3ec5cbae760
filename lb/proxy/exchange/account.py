"""What is told of an exchange when it ends: to the measures, to the access log, to tracing.

Who ended it, and in which phase, is what HAProxy calls its termination state.
"""

from __future__ import annotations

from lb.balancing import Outcome
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.turns import Turns
from lb.proxy.http.request import Request
from lb.proxy.http.tracing import Trace

NOBODY, CLIENT, BACKEND, PROXY = "nobody", "client", "backend", "proxy"
"""Who ended it."""
WAITING, CONNECTING, REQUEST, HEADERS, BODY, TUNNEL = (
    *("waiting", "connecting", "request", "headers", "body"),
    "tunnel",
)
"""In which phase: before a backend was picked, before there was a connection, before all of the
request was here, before the answer began, before it ended, or when both spoke another protocol."""
SWITCHED = 101
OK = Outcome.OK.value


class Story:
    """What was out of the ordinary."""

    __slots__ = ("blamed", "broke_in", "code", "hedged", "last", "status")

    def __init__(self) -> None:
        self.hedged = False
        self.broke_in = ""
        """The phase in which an attempt broke."""
        self.last: Attempt | None = None
        """The attempt that broke, or was given up, until the request has ended."""
        self.blamed = CLIENT
        """Who is behind it when the client's connection goes."""
        self.code = Outcome.CLIENT_GONE.value
        self.status = 0
        """What the client is told instead of an answer."""


class Account(Turns):
    """The part of an exchange that keeps count."""

    __slots__ = (
        "arrived_at",
        "passed",
        "request",
        "status",
        "story",
        "taken",
        "trace",
        "tries",
        "waited",
    )

    arrived_at: float
    request: Request
    status: int
    story: Story | None
    passed: int
    """Bytes of the answer's body."""
    taken: int
    """Bytes of the request's body."""
    trace: Trace | None
    """What it is told apart by, where [tracing] says so: see logs/tracing.py."""
    tries: int
    """Attempts; one that finds its connection closed and takes a new one is the same."""
    waited: float
    """Seconds until a backend was picked for the first time."""

    @property
    def hedged(self) -> bool:
        """There was a second attempt beside another."""
        return self.story is not None and self.story.hedged

    def _exceptional(self) -> Story:
        if self.story is None:
            self.story = Story()
        return self.story

    def blame(self, who: str, code: str, status: int = 0) -> None:
        """Should the client's connection go now, this is why."""
        story = self._exceptional()
        story.blamed, story.code, story.status = who, code, status

    def _drop_client(self) -> None:
        self.blame(CLIENT, Outcome.TIMEOUT.value)
        self.client.cut_off()

    def _phase(self) -> str:
        """How far it has got."""
        attempt = self.attempt
        if self.status:
            return TUNNEL if self.status == SWITCHED else BODY
        if attempt is None:
            return WAITING
        if attempt.upstream is None:
            return CONNECTING
        return HEADERS if self.complete else REQUEST

    # --- ends

    def _begun(self, attempt: Attempt) -> None:
        """An attempt begins, or begins anew on a fresh connection."""
        if not attempt.fresh:
            if not self.tries:
                self.waited = attempt.lease.started_at - self.arrived_at
            self.tries += 1
        if self.trace is not None:
            self._mark(attempt)

    def _mark(self, attempt: Attempt) -> None:
        """Let an attempt say what it is told apart by."""
        trace, marks = self.trace, self._context.marks
        if trace is not None and trace.span and marks is not None:
            attempt.span = marks.new_span()
            attempt.mark = marks.mark_of(trace, attempt.span)

    def _over(self, attempt: Attempt, now: float, outcome: Outcome) -> None:
        """An attempt is ended, and with it its connection."""
        attempt.end(now, outcome)
        self._tried(attempt, now, outcome, self.status)

    def _tried(self, attempt: Attempt, now: float, outcome: Outcome, status: int = 0) -> None:
        """An attempt has ended."""
        if self.status != SWITCHED:  # else that was said when the handshake ended
            lease = attempt.lease
            seconds = now - lease.started_at
            self._context.measured.tried(lease.backend.name, status, outcome.value, seconds)
            trace = self.trace
            if trace is not None and trace.recorded:
                trace.tried.append((attempt, now, outcome.value, status))

    def _went_well(self, attempt: Attempt, now: float, outcome: Outcome) -> None:
        """The attempt has ended with its request; what takes as long as it did is told at once."""
        status = self.status
        if attempt.site.open:
            attempt.site.whole.setdefault(status, [])
        if self.story is not None:
            self.story.last = None
        self._tried(attempt, now, outcome, status)
        context = self._context
        context.measured.served(
            attempt.lease.backend.name, status, outcome.value, now - self.arrived_at
        )
        if self.trace is not None and self.trace.recorded and context.collector is not None:
            context.collector.ended(self, attempt, now, outcome.value, NOBODY, "")

    def _joined(self, attempt: Attempt, now: float, status: int) -> None:
        """Both sides speak another protocol from now on."""
        name, seconds = attempt.lease.backend.name, now - self.arrived_at
        self._tried(attempt, now, Outcome.OK, status)
        self._context.measured.served(name, status, Outcome.OK.value, seconds)
        self.status = status

    def _ended(self, attempt: Attempt | None, now: float, code: str, who: str, phase: str) -> None:
        """The request has ended; `attempt` is the one whose answer its client has, if any."""
        context, status = self._context, self.status
        if status != SWITCHED:
            name = "" if attempt is None else attempt.lease.backend.name
            context.measured.served(name, status, code, now - self.arrived_at)
        teller, collector, story = context.teller, context.collector, self.story
        if story is not None:
            if attempt is None:
                attempt = story.last
            story.last = None  # whose exchange we are
        recorded = context.recorded
        if recorded is not None:
            lease = None if attempt is None else attempt.lease
            recorded.ended(self, lease, now, self.arrived_at, code, status, self.taken, self.passed)
        if teller is not None:
            if teller.pass_over > 0.0 and code == OK:
                teller.pass_over -= 1.0
            else:
                teller.ended(self, attempt, now, code, who, phase)
        if self.trace is not None and self.trace.recorded and collector is not None:
            collector.ended(self, attempt, now, code, who, phase)

    def _left(self, attempt: Attempt | None, now: float, phase: str) -> None:
        """Nobody waits for the answer any more."""
        story = self.story
        if story is None:
            self._ended(attempt, now, Outcome.CLIENT_GONE.value, CLIENT, phase)
        elif story.status and not self.status:
            self.status = story.status
            if attempt is not None:
                story.last = attempt
            self._ended(None, now, story.code, story.blamed, phase)
        else:
            self._ended(attempt, now, story.code, story.blamed, phase)
