"""What a balancer asks its driver to do, and what it is told in return."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic

from lb.balancing.backend import Backend
from lb.balancing.call import C
from lb.balancing.lease import Lease
from lb.strategies import Outcome


class Why(Enum):
    """Reasons to refuse a call that no backend is to blame for."""

    NO_BACKEND = "no_backend"
    QUEUE_FULL = "queue_full"
    QUEUE_TIMEOUT = "queue_timeout"
    OVERLOADED = "overloaded"


@dataclass(frozen=True, slots=True)
class Start(Generic[C]):
    """Carry out this attempt: a retry, or a call that has waited."""

    lease: Lease[C]


@dataclass(frozen=True, slots=True)
class Cancel(Generic[C]):
    """End this attempt, and its lease as CANCELLED; what becomes of the call is said apart."""

    lease: Lease[C]


@dataclass(frozen=True, slots=True)
class Refuse(Generic[C]):
    """Tell the client no. An Outcome means the last attempt broke and is not tried again."""

    call: C
    why: Why | Outcome


@dataclass(frozen=True, slots=True)
class Recall:
    """The backend is silent: end every attempt there as TIMEOUT that is `movable`."""

    backend: Backend


class ProbeKind(Enum):
    """What a probe asks for: a ProbeResult, or a LoadReport."""

    HEALTH = "health"
    LOAD = "load"


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the backend how it is, and bring the answer to `observed`."""

    backend: Backend
    kind: ProbeKind = ProbeKind.HEALTH


@dataclass(frozen=True, slots=True)
class Joined:
    """A backend is here: make what it needs, as `backend.site`, before anything goes to it."""

    backend: Backend


@dataclass(frozen=True, slots=True)
class Left:
    """No call goes to this backend any more; those in flight end as they would."""

    backend: Backend


@dataclass(frozen=True, slots=True)
class Swapped:
    """Another algorithm picks from here on."""

    needs: frozenset[str]
    """What it needs of the driver, see `Spec.needs`."""


@dataclass(frozen=True, slots=True)
class Changed:
    """News for the log: a backend went up or down."""

    backend: Backend
    why: str


@dataclass(frozen=True, slots=True)
class Ejected:
    """News for the log: a backend is out of rotation for what became of attempts there."""

    backend: Backend
    why: str
    span: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Returned:
    """News for the log: an ejection is over."""

    backend: Backend


@dataclass(frozen=True, slots=True)
class Drained:
    """News for the log: nothing is in flight any more at a backend that drains."""

    backend: Backend


@dataclass(frozen=True, slots=True)
class Panicked:
    """News for the log: from here on, backends that are down are used too; or no more."""

    on: bool


@dataclass(frozen=True, slots=True)
class Withheld:
    """News for the log: a backend would be ejected, were not as many out already as may be."""

    backend: Backend
    why: str


News = Changed | Drained | Ejected | Panicked | Returned | Withheld
Action = Start[C] | Cancel[C] | Recall | Refuse[C] | Probe | Joined | Left | Swapped | News
