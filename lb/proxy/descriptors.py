"""How many files this process may have open, and how many clients that leaves room for."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

ENOUGH = 2**20
"""More than this is not asked for: some systems allow a number that means "no limit"."""
RESERVE = 32
"""For logs, lookups of names, the control plane, and connections that are just being closed."""

if sys.platform == "win32":
    MOST = sys.maxsize

    def raise_limit() -> None:
        """There is no limit."""

    def limit() -> int:
        """The most that can be had."""
        return MOST
else:
    import resource

    def raise_limit() -> None:
        """Allow as many as the system lets this process have."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(ValueError, OSError):  # what there is has to do
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def limit() -> int:
        """The number in force."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return ENOUGH if soft == resource.RLIM_INFINITY else soft


def in_use() -> int:
    """Open now; a few more than that where the system does not tell."""
    try:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208  # there may be many, and it is asked often
    except OSError:
        return RESERVE


def room_for_clients(wanted: int, backends: int, others: int) -> int:
    """Clients that may be connected: each may need a connection to a backend as well.

    A health check and a question about load may be under way at every backend; `others` are open
    for something else.
    """
    free = limit() - others - RESERVE - 2 * backends
    return max(1, min(wanted, free // 2))
