"""How a request can fail, as its client sees it: the same words live and on paper."""

from __future__ import annotations

from enum import IntEnum

from lb.balancing import Outcome, Why
from sim.analysis.record import Late


class Kind(IntEnum):
    """What a client had in place of a good answer."""

    NONE = 0
    """It had one."""
    REFUSED = 1
    """503 of the balancer: nobody to send it to, or no place in the line."""
    TIMEOUT = 2
    """504, or nothing within the time that the balancer has."""
    RESET = 3
    """502 of the balancer: its connection to the backend could not be made, or broke."""
    SERVER_ERROR = 4
    """5xx of a backend."""
    GONE = 5
    """Nothing within its own patience."""
    UNREACHABLE = 6
    """The balancer itself could not be reached, or broke off."""
    OTHER = 7
    """An answer that is neither good nor one of these."""

    @property
    def label(self) -> str:
        return LABELS[self]


LABELS = {
    Kind.NONE: "",
    Kind.REFUSED: "refused",
    Kind.TIMEOUT: "timeouts",
    Kind.RESET: "resets",
    Kind.SERVER_ERROR: "5xx",
    Kind.GONE: "gone",
    Kind.UNREACHABLE: "unreachable",
    Kind.OTHER: "other",
}
ON_PAPER = {
    **{why.value: Kind.REFUSED for why in Why},
    Outcome.CONNECT.value: Kind.RESET,
    Outcome.RESET.value: Kind.RESET,
    Outcome.TIMEOUT.value: Kind.TIMEOUT,
    Outcome.SERVER_ERROR.value: Kind.SERVER_ERROR,
    Outcome.CLIENT_GONE.value: Kind.GONE,
    Outcome.CANCELLED.value: Kind.REFUSED,
    Late.TOO_LATE.value: Kind.TIMEOUT,
}
"""By the reason that the simulator notes."""


def of_answer(status: int, named: bool) -> Kind:
    """Of an answer; `named`: it says which backend it is from."""
    if status == 200:
        return Kind.NONE
    if named:
        return Kind.SERVER_ERROR if status >= 500 else Kind.OTHER
    return {502: Kind.RESET, 503: Kind.REFUSED, 504: Kind.TIMEOUT}.get(
        status, Kind.SERVER_ERROR if status >= 500 else Kind.OTHER
    )
