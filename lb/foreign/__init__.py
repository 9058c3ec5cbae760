"""Other balancers: their configurations written from a file of ours, and read into one."""

from collections.abc import Callable, Mapping

from lb.config import Scenario
from lb.errors import UsageError, nearest
from lb.foreign import envoy, haproxy, nginx
from lb.foreign.exported import Exported, Missing

__all__ = ["WRITERS", "Exported", "Missing", "export"]

WRITERS: Mapping[str, Callable[[Scenario], Exported]] = {
    "haproxy": haproxy.exported,
    "nginx": nginx.exported,
    "envoy": envoy.exported,
}


def export(scenario: Scenario, kind: str) -> Exported:
    """The pool of `scenario` as a configuration of `kind`: haproxy, nginx, envoy.

    It listens where the scenario says, and tells clients in X-Backend-Server who answered, by the
    backend's address, unless `[server] backend_header` is off. Raises UsageError for a kind that is
    not known, ConfigError where no backend is named.
    """
    if kind not in WRITERS:
        raise UsageError(f"unknown balancer {kind!r}; {nearest(kind, WRITERS)}")
    return WRITERS[kind](scenario)
