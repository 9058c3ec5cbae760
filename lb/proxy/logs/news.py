"""What the balancer tells of its backends, as lines of the log."""

from __future__ import annotations

from lb.balancing import Changed, Drained, Ejected, Panicked, Returned, Withheld
from lb.balancing.actions import News
from lb.proxy.logs.log import Log


def tell(log: Log, news: News) -> None:
    """One line."""
    match news:
        case Changed(backend, why):
            level = "info" if backend.healthy else "warning"
            how = backend.health.state.value if backend.ejected else backend.standing
            log(level, f"backend {how}", backend=backend.name, reason=why)
        case Drained(backend):
            log("info", "backend drained", backend=backend.name)
        case Ejected(backend, why, span):
            log("warning", "backend ejected", backend=backend.name, reason=why, seconds=span)
        case Returned(backend):
            log("info", "backend returned", backend=backend.name)
        case Withheld(backend, why):
            event = "backend not ejected: as many are out as may be"
            log("warning", event, backend=backend.name, reason=why)
        case Panicked(on):
            log("warning" if on else "info", "panic" if on else "panic is over")
