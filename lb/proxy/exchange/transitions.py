"""What may happen to an exchange, and when: states, events, and the table of both."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """How far a request has got."""

    NEW = 0
    """Read, and waiting for its turn on the client's connection."""
    WAITING = 1
    """The balancer has been asked for a backend."""
    CONNECTING = 2
    """There is a lease and no connection yet."""
    SENT = 3
    """The request is on its way; no answer but interim ones."""
    ANSWERING = 4
    """The head of the answer has gone to the client."""
    TUNNEL = 5
    """Both sides speak another protocol."""
    OVER = 6


class Event(IntEnum):
    """Each is a method of the exchange, which says what it means."""

    BEGIN = 0
    LOCAL = 1
    START = 2
    REFUSE = 3
    SENT_ON = 4
    REQUEST_BODY = 5
    REQUEST_END = 6
    INTERIM = 7
    SWITCH = 8
    HEAD = 9
    BODY = 10
    END = 11
    BROKEN = 12
    CLIENT_GONE = 13
    TUNNEL_CLOSED = 14


S = State
NEVER = "never"
"""The act of a pair that cannot happen: it would be a defect, and says so."""

TRANSITIONS: dict[Event, dict[State, tuple[State, str]]] = {
    Event.BEGIN: {S.NEW: (S.WAITING, "ask")},
    Event.LOCAL: {S.NEW: (S.OVER, "respond")},
    Event.START: {
        S.WAITING: (S.CONNECTING, "go"),
        S.OVER: (S.OVER, "give_back"),  # the client left while the balancer chose
    },
    Event.REFUSE: {S.WAITING: (S.OVER, "refuse"), S.OVER: (S.OVER, "ignore")},
    Event.SENT_ON: {S.CONNECTING: (S.SENT, "send")},
    Event.REQUEST_BODY: {
        S.NEW: (S.NEW, "hold"),
        S.WAITING: (S.WAITING, "hold"),
        S.CONNECTING: (S.CONNECTING, "hold"),
        S.SENT: (S.SENT, "forward"),
        S.ANSWERING: (S.ANSWERING, "forward"),
        S.OVER: (S.OVER, "ignore"),  # answered early
    },
    Event.REQUEST_END: {
        S.NEW: (S.NEW, "hold_end"),
        S.WAITING: (S.WAITING, "hold_end"),
        S.CONNECTING: (S.CONNECTING, "hold_end"),
        S.SENT: (S.SENT, "forward_end"),
        S.ANSWERING: (S.ANSWERING, "forward_end"),
        S.OVER: (S.OVER, "note_end"),
    },
    Event.INTERIM: {S.SENT: (S.SENT, "pass_interim")},
    Event.SWITCH: {S.SENT: (S.TUNNEL, "join")},
    Event.HEAD: {S.SENT: (S.ANSWERING, "answer")},
    Event.BODY: {S.ANSWERING: (S.ANSWERING, "pass_body")},
    Event.END: {S.ANSWERING: (S.OVER, "finish")},
    Event.BROKEN: {
        S.CONNECTING: (S.WAITING, "fail"),
        S.SENT: (S.WAITING, "fail"),
        S.ANSWERING: (S.OVER, "cut"),
        S.OVER: (S.OVER, "ignore"),
    },
    Event.CLIENT_GONE: {
        S.NEW: (S.OVER, "ignore"),
        S.WAITING: (S.OVER, "leave_line"),
        S.CONNECTING: (S.OVER, "withdraw"),
        S.SENT: (S.OVER, "withdraw"),
        S.ANSWERING: (S.OVER, "withdraw"),
        S.TUNNEL: (S.OVER, "withdraw"),
        S.OVER: (S.OVER, "ignore"),
    },
    Event.TUNNEL_CLOSED: {S.TUNNEL: (S.OVER, "close_tunnel"), S.OVER: (S.OVER, "ignore")},
}
"""For each event and state: the next state, and the act of the exchange. No other pair may come."""


def transition(event: Event, state: State) -> tuple[State, str]:
    """What `event` leads to in `state`."""
    return TRANSITIONS[event].get(state, (state, NEVER))
