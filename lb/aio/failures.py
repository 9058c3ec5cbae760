"""What went wrong with an attempt that aiohttp made: whose fault it is, and what a caller hears."""

from __future__ import annotations

import json

import aiohttp

from lb.balancing import Outcome, Why
from lb.errors import LbError
from lb.proxy.http.message import REFUSALS, TOO_LATE, Answer
from lb.system import ours

CONNECT, RESET, TIMEOUT = Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT
SERVER_ERROR, CANCELLED = Outcome.SERVER_ERROR, Outcome.CANCELLED


class Refused(LbError, aiohttp.ClientConnectionError):
    """A request got no answer, and no (further) backend is tried.

    `code` is the word that `lb serve` says in its error bodies, such as "no_backend", "connect" or
    "timeout"; `answer` is that whole answer. What the last attempt broke on is its `__cause__`. (It
    is no ClientOSError: of those aiohttp makes another try by itself.)
    """

    def __init__(self, why: Why | Outcome) -> None:
        self._tell(why.value, REFUSALS[why])

    def _tell(self, code: str, answer: Answer) -> None:
        self.code = code
        self.answer = answer
        super().__init__(f"{code}: {json.loads(answer.body)['message']}")


class TimedOut(Refused, TimeoutError):
    """The same where time ran out, at a backend or in the line."""


class TooLate(TimedOut):
    """The request took longer than `timeouts.total` allows any."""

    def __init__(self) -> None:
        self._tell("too_late", TOO_LATE)


def refusal(why: Why | Outcome) -> Refused:
    """What a caller hears of it."""
    return TimedOut(why) if why in (TIMEOUT, Why.QUEUE_TIMEOUT) else Refused(why)


def outcome_of(error: Exception, *, sent: bool) -> Outcome | None:
    """What an attempt came to that raised `error` before its answer; None: its caller's own fault.

    `sent`: it had a connection.
    """
    match error:
        case aiohttp.ClientConnectorDNSError():
            return CANCELLED  # health checks know whether there is such a name
        case aiohttp.ClientConnectorError():
            return CANCELLED if ours(error.os_error) else CONNECT
        case TimeoutError():
            return TIMEOUT
        case aiohttp.ServerConnectionError():
            return RESET
        case aiohttp.ClientResponseError():
            return SERVER_ERROR  # it is not HTTP
        case OSError():
            return CANCELLED if ours(error) else RESET if sent else CONNECT
    return None


def end_of(response: aiohttp.ClientResponse) -> Outcome:
    """What an answer came to whose connection has just been given back."""
    content = response.content
    match content.exception():
        case None if content.is_eof() or response.status == 101:
            return Outcome.OK if response.status < 500 else SERVER_ERROR
        case TimeoutError():
            return TIMEOUT
        case aiohttp.ClientPayloadError() | aiohttp.ServerConnectionError() | OSError():
            return RESET
    return Outcome.CLIENT_GONE  # nobody wanted the rest
