"""Laws of membership: who may be picked, what that depends on, and what is kept of the departed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from lb.laws.kit import (
    SIZE,
    Event,
    Fleet,
    Seeded,
    Silent,
    end,
    make,
    require,
    send,
    servers,
)
from lb.strategies.base import Random
from lb.strategies.spec import Spec

# --- for any course of events: hypothesis invents them in the tests, chance for `lb verify`


def picks_are_usable(row: Spec, seeded: Seeded, events: Iterable[Event]) -> None:
    """After every event a pick is usable, and there is one exactly while anybody is."""
    fleet = Fleet(make(row, seeded(1)), joining=())
    for event in events:
        fleet.apply(event)
        fleet.send()
        picked, usable = fleet.picks[-1], fleet.usable
        kept = picked in usable if usable else picked is None
        require(kept, f"{picked} of {usable} after {event}")


def avoided_come_last(
    row: Spec, seeded: Seeded, events: Iterable[Event], avoid: frozenset[int]
) -> None:
    """After every event, who is avoided is picked only while no other is usable."""
    fleet = Fleet(make(row, seeded(2)))
    for event in events:
        fleet.apply(event)
        fleet.send(avoid)
        picked, allowed = fleet.picks[-1], fleet.usable - avoid or fleet.usable
        kept = picked in allowed if allowed else picked is None
        require(kept, f"{picked} is not of {allowed}")


def replay(
    row: Spec, seeded: Seeded, events: Iterable[Event], joining: Iterable[int] = range(SIZE)
) -> list[int | None]:
    """The picks of a course of events, and some more."""
    fleet = Fleet(make(row, seeded(7)), joining)
    for event in events:
        fleet.apply(event)
    for _ in range(2 * SIZE):
        fleet.send()
    return fleet.picks


def chance_events(rng: Random, count: int) -> list[Event]:
    """A course of `count` events, for `Fleet.apply`."""

    def one_of(choices: Sequence[Any]) -> Any:
        return choices[int(rng.random() * len(choices))]

    events: list[Event] = []
    for _ in range(count):
        kind = one_of(("join", "leave", "block", "unblock", "send", "send", "end", "reweigh"))
        order = one_of(range(SIZE))
        if kind == "send":
            events.append((kind, frozenset({order}) if rng.random() < 0.3 else frozenset()))
        else:
            weight = (one_of(range(1, 7)),) if kind == "reweigh" else ()
            events.append((kind, order, *weight))
    return events


def _courses(seeded: Seeded, count: int = 3) -> Iterable[list[Event]]:
    for seed in range(count):
        yield chance_events(seeded(seed), 40)


def never_a_stranger(row: Spec, seeded: Seeded) -> None:
    """`picks_are_usable` for courses of events by chance."""
    for events in _courses(seeded):
        picks_are_usable(row, seeded, events)


def avoid_is_honoured(row: Spec, seeded: Seeded) -> None:
    """`avoided_come_last` for courses of events by chance."""
    for events in _courses(seeded):
        avoided_come_last(row, seeded, events, frozenset({1, 3}))


def a_seed_settles_everything(row: Spec, seeded: Seeded) -> None:
    """The same seed and events give the same picks."""
    for events in _courses(seeded):
        require(
            replay(row, seeded, events) == replay(row, seeded, events),
            "the same seed and events gave other picks",
        )


def joining_order_is_nothing(row: Spec, seeded: Seeded) -> None:
    """Whoever joins first: ties follow the configured order."""
    for events in _courses(seeded):
        require(
            replay(row, seeded, events) == replay(row, seeded, events, (3, 0, 4, 2, 1)),
            "another order of joining gave other picks",
        )


# --- what it draws, and what it keeps


def one_usable_needs_no_draw(row: Spec, seeded: Seeded) -> None:
    """The only usable backend is picked, without a random number."""
    members = servers(1, 2, 3)
    strategy = make(row, Silent(), members)
    strategy.block(members[0], 0.0)
    strategy.leave(members[1], 0.0)
    for avoid in ((), (), (members[2],), ()):
        require(send(strategy, avoid) is members[2], "the only usable backend was not picked")
    end(strategy, members[2])
    require(send(strategy) is members[2], "the only usable backend was not picked")


def the_departed_are_forgotten(row: Spec, seeded: Seeded) -> None:
    """A call may end after its backend has left, and nothing holds on to that backend."""
    members = servers(1, 2, 3)
    strategy = make(row, seeded(9), members)
    leaving = members.pop(1)
    for number in range(3):
        require(
            send(strategy, members, key=b"%d" % number) is leaving, "avoided backends were picked"
        )
    strategy.leave(leaving, 0.0)
    while leaving.active:
        end(strategy, leaving, 1.0, latency=0.5)
    gone = weakref.ref(leaving)
    del leaving
    gc.collect()
    require(gone() is None, "a backend that left is kept alive")
    require(strategy.pick(2.0) in members, "nobody is picked after a late end")
