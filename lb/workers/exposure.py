"""What is unsafe in how a process runs, which is told when it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lb.config import Scenario

ROOT = 0


def exposed(scenario: Scenario, user: int | None = None) -> Iterator[str]:
    """One line each. `user` is the number of the one that it runs as, the present one if None."""
    if (os.geteuid() if user is None else user) == ROOT:
        yield (
            "runs as root, and needs no privilege: for a port below 1024 a socket of systemd or "
            "CAP_NET_BIND_SERVICE is enough"
        )
    for secret in scenario.open_secrets():
        yield f"{secret.place}: {secret.why}"
