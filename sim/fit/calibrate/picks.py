"""Which algorithm balanced, where the source does not say: told by whom it picked.

Only those that leave a plain trace are known; any other is taken for a random one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.fit.seen import Ints, Seen
from sim.model.laws import Floats

MOSTLY = 0.93
"""The share of picks that keep a rule, from which it is one: logs are a little out of order."""
LOOKED_AT = 20_000
"""Picks, from the first on."""
TIED = 1.5
"""Of the resolution, below which the order of two picks is not known."""
ENOUGH = 100
"""Picks from which anything is made of them."""


class Guess(NamedTuple):
    """An algorithm, and what speaks for it."""

    name: str
    why: str


def guessed(seen: Seen) -> Guess:
    """The algorithm whose picks look like those seen."""
    picks = seen.backend[:LOOKED_AT]
    backends = len(seen.names)
    if backends < 2 or len(picks) < ENOUGH:
        return Guess("round_robin", "there is nothing to choose")
    if (kept := _by_key(seen, picks)) > MOSTLY:
        return Guess("consistent_hash", f"{kept:.0%} of the requests go where their key went")
    if (kept := _in_turns(seen, picks)) > MOSTLY:
        return Guess("round_robin", f"{kept:.0%} of the picks follow one order")
    loads = _loads(seen, picks)
    mine = loads[picks, np.arange(len(picks))]
    kept = float((mine == loads.min(axis=0)).mean())
    if kept > MOSTLY:
        return Guess("least_connections", f"{kept:.0%} of the picks had fewest in flight")
    most = loads.max(axis=0)
    alone = (loads == most).sum(axis=0) == 1
    if alone.sum() >= 100 and float((mine == most)[alone].mean()) < 0.3 / backends:
        return Guess("p2c", "hardly any pick had most in flight")
    return Guess("random", "no other rule shows in the picks")


def _by_key(seen: Seen, picks: Ints) -> float:
    """The share of requests that go where most of those with their key do."""
    keys = seen.key[seen.request[: len(picks)]]
    if (keys < 0).any() or len(seen.observed.texts) < 3 * len(seen.names):
        return 0.0
    table = np.zeros((len(seen.observed.texts), len(seen.names)), np.int64)
    np.add.at(table, (keys, picks), 1)
    several = table.sum(axis=1) > 1
    return float(table[several].max(axis=1).sum() / max(int(table[several].sum()), 1))


def _in_turns(seen: Seen, picks: Ints) -> float:
    """The share of picks whose follower is the usual one, where the order of the two is known."""
    backends = len(seen.names)
    tied = np.diff(seen.started[: len(picks)]) < TIED * seen.observed.resolution
    clear = ~tied
    clear[1:] &= ~tied[:-1]
    clear[:-1] &= ~tied[1:]
    if clear.sum() < ENOUGH:
        clear[:] = True
    table = np.zeros((backends, backends), np.int64)
    np.add.at(table, (picks[:-1][clear], picks[1:][clear]), 1)
    usual = table.argmax(axis=1)
    if len(set(usual.tolist())) < backends:  # some always come again: no turns
        return 0.0
    return float(table.max(axis=1).sum() / max(int(clear.sum()), 1))


def _loads(seen: Seen, picks: Ints) -> Ints:
    """In flight at every backend just before each pick; shape (backends, picks)."""
    at: Floats = seen.started[: len(picks)]
    loads = seen.in_flight(at)
    loads[picks, np.arange(len(picks))] -= 1
    return np.maximum(loads, 0)
