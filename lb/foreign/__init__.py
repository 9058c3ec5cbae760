"""Other balancers: their configurations written from a file of ours, and read into one."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from lb.config import Scenario
from lb.errors import ConfigError, UsageError, nearest
from lb.foreign.envoy import writing as envoy
from lb.foreign.exported import Exported, Missing
from lb.foreign.haproxy import reading as haproxy_read
from lb.foreign.haproxy import writing as haproxy
from lb.foreign.haproxy.words import SECTIONS
from lb.foreign.imported import Imported, Unread
from lb.foreign.nginx import reading as nginx_read
from lb.foreign.nginx import writing as nginx
from lb.system import text_of

__all__ = ["WRITERS", "Exported", "Imported", "Missing", "Unread", "export", "load"]

_BRACES = re.compile(r"^\s*[a-z_]+(\s+[^=\s#][^#\n]*|\s*)[{;]", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SECTION = re.compile(rf"^({'|'.join(sorted(SECTIONS))})\b[^{{;\n]*$", re.MULTILINE)

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


def load(path: str | Path, pool: str | None = None) -> Imported:
    """A haproxy.cfg or an nginx.conf as a file of ours, with what that cannot say.

    `pool` names the backend or upstream that is read, the first that clients come to unless given.
    Raises ConfigError: `haproxy.cfg:12 server a: why`.
    """
    text = text_of(Path(path))
    if (strange := _CONTROL.search(text)) is not None:
        line = text.count("\n", 0, strange.start()) + 1
        raise ConfigError([f"{path}:{line}: holds {strange[0]!r}, which no text does"])
    if _SECTION.search(text):
        return haproxy_read.imported(text, str(path), pool)
    if _BRACES.search(text):
        return nginx_read.imported(text, str(path), pool)
    raise ConfigError([f"{path}:1: neither a haproxy.cfg nor an nginx.conf, as far as it shows"])
