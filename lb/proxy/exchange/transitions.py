"""What may happen to an exchange, and when: stages, events, and the table of both."""

from __future__ import annotations

from enum import IntEnum


class Stage(IntEnum):
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
    """The head of the answer is here."""
    TUNNEL = 5
    """Both sides speak another protocol."""
    OVER = 6
    RACING = 7
    """Two attempts are under way, connecting or sent, and no answer but interim ones. What comes
    from the first of them is told apart from what comes from its hedge, see trial.py."""


class Event(IntEnum):
    """Each is a method of the exchange, which says what it means."""

    # the request
    BEGIN = 0
    LOCAL = 1
    REQUEST_BODY = 2
    REQUEST_END = 3
    # the balancer
    START = 4
    REFUSE = 5
    CANCEL = 6
    # the backend
    SENT_ON = 7
    INTERIM = 8
    SWITCH = 9
    HEAD = 10
    BODY = 11
    MORE = 12
    END = 13
    BROKEN = 14
    TUNNEL_CLOSED = 15
    # the client
    CLIENT_GONE = 16
    # whoever does not read, or reads again
    CLIENT_FULL = 17
    CLIENT_DRAINS = 18
    BACKEND_FULL = 19
    BACKEND_DRAINS = 20
    # time limits
    SILENT = 21
    STALLED = 22
    TIMED_OUT = 23
    OVERDUE = 24
    # of two attempts, and of answers that are not taken
    ALONE = 25
    SENT_BEFORE = 26
    DECLINED = 27


S = Stage
NEVER = "never"
"""The act of a pair that cannot happen: it would be a defect, and says so."""

TRANSITIONS: dict[Event, dict[Stage, tuple[Stage, str]]] = {
    Event.BEGIN: {S.NEW: (S.WAITING, "ask")},
    Event.LOCAL: {S.NEW: (S.OVER, "respond")},
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
    Event.START: {
        S.WAITING: (S.CONNECTING, "go"),
        S.CONNECTING: (S.RACING, "start_hedge"),
        S.SENT: (S.RACING, "start_hedge"),
        S.ANSWERING: (S.ANSWERING, "give_back"),  # it has its answer meanwhile
        S.TUNNEL: (S.TUNNEL, "give_back"),
        S.OVER: (S.OVER, "give_back"),  # the client left while the balancer chose
    },
    Event.REFUSE: {S.WAITING: (S.OVER, "refuse"), S.OVER: (S.OVER, "ignore")},
    Event.CANCEL: {
        S.CONNECTING: (S.WAITING, "give_up"),
        S.SENT: (S.WAITING, "give_up"),
        S.ANSWERING: (S.OVER, "cut"),
        S.TUNNEL: (S.OVER, "end_tunnel"),
        S.RACING: (S.RACING, "overtaken"),
    },
    Event.SENT_ON: {S.CONNECTING: (S.SENT, "send"), S.RACING: (S.RACING, "send")},
    Event.INTERIM: {S.SENT: (S.SENT, "pass_interim"), S.RACING: (S.RACING, "pass_interim")},
    Event.SWITCH: {S.SENT: (S.TUNNEL, "join")},
    Event.HEAD: {S.SENT: (S.ANSWERING, "answer")},
    Event.BODY: {S.ANSWERING: (S.ANSWERING, "pass_body")},
    Event.MORE: {
        S.SENT: (S.SENT, "pass_on"),
        S.ANSWERING: (S.ANSWERING, "pass_on"),
        S.RACING: (S.RACING, "pass_on"),
    },
    Event.END: {S.ANSWERING: (S.OVER, "finish")},
    Event.BROKEN: {
        S.CONNECTING: (S.WAITING, "fail"),
        S.SENT: (S.WAITING, "fail"),
        S.ANSWERING: (S.OVER, "cut"),
        S.OVER: (S.OVER, "ignore"),
        S.RACING: (S.RACING, "fall_back"),
    },
    Event.TUNNEL_CLOSED: {S.TUNNEL: (S.OVER, "close_tunnel"), S.OVER: (S.OVER, "ignore")},
    Event.CLIENT_GONE: {
        S.NEW: (S.OVER, "leave_queue"),
        S.WAITING: (S.OVER, "leave_line"),
        S.CONNECTING: (S.OVER, "withdraw"),
        S.SENT: (S.OVER, "withdraw"),
        S.ANSWERING: (S.OVER, "withdraw"),
        S.TUNNEL: (S.OVER, "withdraw"),
        S.OVER: (S.OVER, "ignore"),
        S.RACING: (S.OVER, "withdraw_both"),
    },
    Event.CLIENT_FULL: {
        S.WAITING: (S.WAITING, "ignore"),  # with interim answers of an attempt that failed
        S.CONNECTING: (S.CONNECTING, "ignore"),
        S.SENT: (S.SENT, "hold_backend"),
        S.ANSWERING: (S.ANSWERING, "hold_backend"),
        S.TUNNEL: (S.TUNNEL, "hold_tunnel"),
        S.OVER: (S.OVER, "ignore"),  # with the end of its answer
        S.RACING: (S.RACING, "ignore"),  # whoever goes on alone is held
    },
    Event.CLIENT_DRAINS: {
        S.WAITING: (S.WAITING, "ignore"),
        S.CONNECTING: (S.CONNECTING, "ignore"),
        S.SENT: (S.SENT, "let_backend"),
        S.ANSWERING: (S.ANSWERING, "let_backend"),
        S.OVER: (S.OVER, "ignore"),
        S.RACING: (S.RACING, "let_first"),
    },
    Event.BACKEND_FULL: {
        S.SENT: (S.SENT, "hold_client"),
        S.ANSWERING: (S.ANSWERING, "hold_client"),
        S.RACING: (S.RACING, "ignore"),  # a request that is hedged has no body
    },
    Event.BACKEND_DRAINS: {
        S.SENT: (S.SENT, "let_client_send"),
        S.ANSWERING: (S.ANSWERING, "let_client"),
        S.RACING: (S.RACING, "ignore"),
    },
    Event.SILENT: {
        S.SENT: (S.WAITING, "fail"),
        S.ANSWERING: (S.OVER, "cut"),
        S.RACING: (S.RACING, "fall_back"),
    },
    Event.STALLED: {
        S.SENT: (S.SENT, "drop_client"),
        S.ANSWERING: (S.ANSWERING, "drop_client"),
        S.RACING: (S.RACING, "drop_client"),
    },
    Event.TIMED_OUT: {
        S.NEW: (S.NEW, "ignore"),  # its turn will come
        S.WAITING: (S.OVER, "give_up_waiting"),
        S.CONNECTING: (S.OVER, "end_too_late"),
        S.SENT: (S.OVER, "end_too_late"),
        S.ANSWERING: (S.OVER, "cut"),
        S.RACING: (S.OVER, "end_both_too_late"),
    },
    Event.OVERDUE: {
        S.CONNECTING: (S.WAITING, "fail"),
        S.SENT: (S.WAITING, "fail"),
        S.RACING: (S.RACING, "fall_back"),
    },
    Event.ALONE: {S.RACING: (S.CONNECTING, "go_on")},
    Event.SENT_BEFORE: {S.CONNECTING: (S.SENT, "expect")},
    Event.DECLINED: {S.SENT: (S.WAITING, "drop"), S.RACING: (S.RACING, "drop_one")},
}
"""For each event and state: the next state, and the act of the exchange. No other pair may come."""


def transition(event: Event, state: Stage) -> tuple[Stage, str]:
    """What `event` leads to in `state`."""
    return TRANSITIONS[event].get(state, (state, NEVER))
