"""Why picks fall as they do: kept for a while, once somebody wants to know."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

from lb.balancing import Balancer, Pick
from lb.measures.report import KEPT
from lb.proxy.context import Context

WATCHED = 60.0
"""Seconds from the last time somebody asked."""


class Explaining:
    """The last picks of one balancer. Costs nothing while nobody asks, some 50 us a pick then."""

    def __init__(self, balancer: Balancer[Any], context: Context) -> None:
        self._balancer = balancer
        self._context = context
        self._kept: deque[Pick] = deque(maxlen=KEPT)
        self._pid = os.getpid()
        self._until = 0.0

    @property
    def picks(self) -> tuple[Pick, ...]:
        """The oldest first."""
        return tuple(self._kept)

    def begin(self) -> None:
        """Somebody asks."""
        if not self._until:
            self._balancer.pool.explain(self._heard)
        self._until = self._context.now() + WATCHED

    def _heard(self, pick: Pick) -> None:
        self._kept.append(pick._replace(worker=self._pid))
        if pick.now > self._until:
            self._until = 0.0
            self._balancer.pool.explain(None)
            self._kept.clear()
