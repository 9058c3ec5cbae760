"""What must hold of a balancer's own account: at every moment, and when all trouble is over.

An account is what `/lb-stats` answers, or a `Snapshot` as a dictionary, which has the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Account = Mapping[str, Any]
ENDS = ("succeeded", "failed", "gone", "cancelled")
"""Ways for an attempt to end."""


def imbalances(account: Account) -> Iterator[str]:
    """What does not add up, at whatever moment this was written down."""
    rows = account["backends"]
    came = {name: account[name] for name in ("requests", "retried", "hedged")}
    went = {"picked": sum(row["picked"] for row in rows)}
    went |= {name: account[name] for name in ("turned_away", "left_line", "waiting")}
    if sum(came.values()) != sum(went.values()):
        yield f"{_sum(came)} is not {_sum(went)}"
    for row in rows:
        ends = {name: row[name] for name in (*ENDS, "connections")}
        if row["picked"] != sum(ends.values()):
            yield f"{row['name']}: picked {row['picked']} is not {_sum(ends)}"
    for name, count in [*account.items(), *(pair for row in rows for pair in row.items())]:
        if isinstance(count, int | float) and count < 0:
            yield f"{name} is {count}"


def overspent(
    accounts: Sequence[Account], window: int, at_least: float, share: float
) -> Iterator[str]:
    """Whether more extra attempts were made within a window than its requests allow.

    `accounts` are one second apart, the last ones of two windows of `window` seconds each: the last
    attempt in the second of them was allowed by what came in a window that ended with it.
    """
    last, before = accounts[-1], accounts[-1 - min(window, len(accounts) - 1)]
    extra = sum(last[name] - before[name] for name in ("retried", "hedged"))
    since = accounts[0]["requests"] if len(accounts) > 2 * window else 0
    allowed = at_least + share * (last["requests"] - since)
    if extra > allowed:
        yield f"{extra} extra attempts within {window} s, and {allowed:g} allowed"


def unsettled(account: Account) -> Iterator[str]:
    """What is not as it should be when every request has ended and every backend is well."""
    for name in ("waiting", "backing_off"):
        if account[name]:
            yield f"{account[name]} {name}"
    for row in account["backends"]:
        if row["connections"]:
            yield f"{row['name']}: {row['connections']} in flight"
        if not row["usable"] or row["panic"]:
            yield f"{row['name']}: not back in rotation ({row['state']}, {row['why']!r})"


def _sum(counts: Mapping[str, int]) -> str:
    return " + ".join(f"{name} {count}" for name, count in counts.items())
