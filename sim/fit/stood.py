"""Times at which a machine stood still while it recorded: nothing came, then all that was late.

Traffic does not make up for its pauses; who sends by a schedule, and could not, does. Where nothing
else was recorded either, all stood still, backends too for what one knows: then the time itself is
left out, of arrivals as of answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sim.fit.seen import Flags, Ints, Seen
from sim.model.laws import Floats

UNLIKELY = 9.0
"""A gap is longer than any that chance explains when not one of e^9 recordings of its length has
such a one."""
AT_ONCE = 0.25
"""Of the gap, in which what is late comes: that is, at five times the rate or more."""
TOGETHER = 0.05
"""Of the mean gap, below which requests come together; as much of Poisson's gaps are."""
AROUND = 10.0
"""So many gaps before and after it, the rate is looked at."""
MADE_UP = (0.6, 1.5)
"""What of those that are missing comes late, at least and at most, but for chance."""
MOST = 0.2
"""The share of the time from which on that is how the traffic is."""
FEW = 100
"""Requests below which no gap tells of a stop."""
OFTEN, TOLD = 5, 3
"""Stops from which a machine is called busy, and how many are told one by one."""
STILL = 0.5
"""Of the gap, in which nothing else happens where all stood still."""
BEHIND = 10.0
"""Times as long as it, until which what a stop made late is in the way of others at most."""


class Stood(NamedTuple):
    """Arrivals as if it had not stood still."""

    times: Floats
    """Ascending, in seconds from the first of them."""
    remarks: tuple[str, ...]


def stood(times: Floats) -> Stood:
    """Those of `times`, ascending, that came neither late nor after a stop; each stop is said."""
    stops = _stops(times)
    if not stops:
        return Stood(times, ())
    gaps = np.diff(times)
    kept = np.ones(len(times), dtype=bool)
    for first, last in stops:
        # The time until the next one that came by itself is as long as it was.
        gaps[first:last] = 0.0
        kept[first + 1 : last + 1] = False
    moved = times[0] + np.concatenate([[0.0], np.cumsum(gaps)])
    told = [
        f"stood still for {times[i + 1] - times[i]:.3g} s at {times[i] - times[0]:.4g} s: "
        "left out of the arrivals"
        for i, _ in stops[:TOLD]
    ]
    if len(stops) > TOLD:
        told.append(f"stood still {len(stops) - TOLD} times more")
    if len(stops) >= OFTEN:
        told.append("this machine was busy while it recorded: figures may be off")
    return Stood(moved[kept], tuple(told))


def awake(seen: Seen) -> Seen:
    """`seen` as if time had stood still with the machine.

    Requests that were in flight then, or late for it, are none to judge a model by: `unjudged`.
    """
    if len(seen) < FEW:
        return seen
    events = np.concatenate([*_of_requests(seen), *_of_attempts(seen)])
    pauses = list(_pauses(seen, np.sort(events)))
    if not pauses:
        return seen
    since, until, begin, over = np.array(pauses).T

    def at(times: Floats) -> Floats:
        # Pauses ascend and do not overlap: those that began before are over, but for the last one.
        begun = np.searchsorted(since, times, side="right")
        still: Floats = np.maximum(until[begun - 1] - times, 0.0)
        past = _before(begun, until - since)
        return times - np.where(begun > 0, past - still, 0.0)

    arrived, ended = map(at, _of_requests(seen))
    started, connected, first_byte, left = map(at, _of_attempts(seen))
    return replace(
        seen,
        arrived=arrived,
        ended=ended,
        started=started,
        connected=connected,
        first_byte=first_byte,
        left=left,
        unjudged=tuple(_merged(zip(at(begin).tolist(), at(over).tolist(), strict=True))),
    )


def left_out(seen: Seen) -> list[str]:
    """What should be known of one that is `awake`."""
    if not seen.unjudged:
        return []
    still = Seen.of(seen.observed).seconds - seen.seconds
    held = len(seen) - int(np.count_nonzero(_judged(seen)))
    which = f"{held} requests that it held up or made late"
    return [f"all stood still, for {still:.3g} s together: that is left out, and so are {which}"]


def steady(seen: Seen) -> Seen:
    """The requests by which a model is judged: stretches without a stop, one behind the other."""
    if not seen.unjudged:
        return seen
    kept = _judged(seen)
    since, until = np.array(seen.unjudged).T
    late = _before(np.searchsorted(until, seen.arrived), until - since)
    rows = np.cumsum(kept) - 1
    tries = kept[seen.request]
    request = seen.request[tries]
    return replace(
        seen,
        arrived=(seen.arrived - late)[kept],
        ended=(seen.ended - late)[kept],
        outcome=seen.outcome[kept],
        status=seen.status[kept],
        key=seen.key[kept],
        balancer=seen.balancer[kept],
        request=rows[request],
        backend=seen.backend[tries],
        started=seen.started[tries] - late[request],
        connected=seen.connected[tries] - late[request],
        first_byte=seen.first_byte[tries] - late[request],
        left=seen.left[tries] - late[request],
        fate=seen.fate[tries],
        unjudged=(),
    )


def _before(number: Ints, lengths: Floats) -> Floats:
    """Of the first so many spans, how long they are together."""
    together: Floats = np.concatenate([[0.0], np.cumsum(lengths)])[number]
    return together


def _judged(seen: Seen) -> Flags:
    judged = np.ones(len(seen), dtype=bool)
    for since, until in seen.unjudged:
        judged &= (seen.arrived < since) | (seen.arrived > until)
    return judged


def _merged(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Those that overlap as one; by their begin."""
    last: tuple[float, float] | None = None
    for since, until in sorted(spans):
        if last is None or since > last[1]:
            if last is not None:
                yield last
            last = since, until
        else:
            last = last[0], max(last[1], until)
    if last is not None:
        yield last


def _of_requests(seen: Seen) -> tuple[Floats, Floats]:
    return seen.arrived, seen.ended


def _of_attempts(seen: Seen) -> tuple[Floats, Floats, Floats, Floats]:
    return seen.started, seen.connected, seen.first_byte, seen.left


class _Pause(NamedTuple):
    """From `since` to `until` nothing happened; who came from `begin` to `over` was held up."""

    since: float
    until: float
    begin: float
    over: float


def _pauses(seen: Seen, events: Floats) -> Iterator[_Pause]:
    """Stops in which all stood still; `events` are the times of all that happened, ascending."""
    times, ended = seen.arrived, np.where(np.isnan(seen.ended), np.inf, seen.ended)
    there = np.arange(len(times)) - np.searchsorted(np.sort(ended), times, side="right")
    usual = float(np.median(there))
    for first, last in _stops(times):
        low, high = np.searchsorted(events, times[first : first + 2])
        around = events[low : high + 1]
        widest = int(np.diff(around).argmax())
        since, until = float(around[widest]), float(around[widest + 1])
        long = until - since
        held = times[(times <= since) & (ended > since)]
        if not len(held) or long < STILL * float(times[first + 1] - times[first]):
            continue  # who sends stood still, and nobody else
        begin = max(float(held[0]), since - long)
        # It is over when no more are there than before, or than usually.
        back = np.flatnonzero(there[last:] <= max(usual, there[first]))
        over = times[last + (int(back[0]) if len(back) else len(times) - 1 - last)]
        yield _Pause(since, until, begin, min(float(over), float(times[last]) + BEHIND * long))


def _stops(times: Floats) -> list[tuple[int, int]]:
    """The last request before each stop, and the last of those that it made late."""
    number = len(times)
    if number < FEW or times[-1] <= times[0]:
        return []
    seconds = float(times[-1] - times[0])
    gaps = np.diff(times)
    # Of those that come together, one gap is all that chance has a say in.
    apart = float((gaps > TOGETHER * seconds / number).mean())
    surely = (math.log(number) + UNLIKELY) / max(min(apart + TOGETHER, 1.0), 1 / number)
    # A rate is hardly ever a third of the mean where nothing else is known of it.
    long = np.flatnonzero(gaps > surely * seconds / number / 3)
    found: list[tuple[int, int]] = []
    longest, after = 0, -1
    for i in long.tolist():
        if i < after:
            continue
        gap = float(gaps[i])
        low, high = np.searchsorted(times, [times[i] - AROUND * gap, times[i + 1] + AROUND * gap])
        last = int(high) - 1
        rate = (last - int(low)) / float(times[last] - times[low])
        if gap * rate < surely:
            continue
        longest += 1
        end = int(np.searchsorted(times, times[i + 1] + AT_ONCE * gap, side="right"))
        places = np.arange(i + 1, end)
        ahead = (places - i) - rate * (times[places] - times[i + 1])
        most = int(ahead.argmax())
        missing, came = rate * gap, float(ahead[most])
        leeway = 2 * math.sqrt(missing)
        if MADE_UP[0] * missing - leeway / 2 <= came <= MADE_UP[1] * missing + leeway:
            after = int(places[most])
            found.append((i, after))
    stopped = sum(float(times[last] - times[first]) for first, last in found)
    if stopped > MOST * seconds or 2 * len(found) < longest:
        return []
    return found
