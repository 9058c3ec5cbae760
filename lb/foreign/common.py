"""What all writers read of a file: weights, names, priorities, addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from lb.aside import is_address
from lb.config import Listener, Scenario, host_and_port
from lb.config.places import Place
from lb.config.values import UNIX
from lb.errors import ConfigError
from lb.foreign.exported import Lacks
from lb.foreign.matching import KEYED, Chosen
from lb.foreign.weights import ROUGH, whole

TWICE = "replacement=true"
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


def somebody(file: Scenario) -> None:
    """Raises ConfigError where no backend is named."""
    if not file.backends:
        where = file.place("discovery")
        raise ConfigError([f"{where}: backends are found while lb serves; name some [[backend]]s"])


def looked_up(file: Scenario, lacks: Lacks) -> bool:
    """Whether a backend is named by a name, which others look up once."""
    for number, row in enumerate(file.backends):
        if not unix_path(row.address) and not is_address(host_and_port(row.address)[0]):
            why = "names are looked up when it starts, and not again"
            lacks.add(("backend", number, "address"), why)
            return True
    return False


def discovered(file: Scenario, lacks: Lacks) -> None:
    """Sources of backends are those of lb alone."""
    for number, source in enumerate(file.discovery):
        lacks.add(("discovery", number), f"{source.source} is not looked at; only [[backend]]s are")


def algorithm(file: Scenario, found: Chosen, lacks: Lacks) -> None:
    """Take down what the other's algorithm is not."""
    place: Place = ("algorithm",)
    again = TWICE in found.ours and not found.settings.get("replacement")
    if found.match.lost:
        name, method = file.algorithm.name, found.method.replace(KEYED, file.key)
        why = f"{name} is not known; {method or 'the default'} is nearest"
        lacks.add(place, f"{why}: {found.lost}")
    elif found.lost:
        lacks.add(place, found.lost)
    else:
        differs = found.match.differs or found.instead
        told = ("the same one may be drawn twice" if again else "", differs)
        if any(told):
            lacks.add(place, "; ".join(filter(None, told)))
    if not found.match.weighs:
        for number, row in enumerate(file.backends):
            if row.weight != file.backends[0].weight:
                why = f"{found.ours} does not mind weights, so none are written"
                lacks.add(("backend", number, "weight"), why)
                break


def weights(file: Scenario, found: Chosen, most: int, lacks: Lacks) -> list[int]:
    """Those of all backends, as whole numbers; equal where the algorithm does not mind them."""
    given = [row.weight if found.match.weighs else 1.0 for row in file.backends]
    written, off = whole(given, most, fine=found.match.fine)
    if off > ROUGH:
        why = f"weights are whole numbers up to {most}; the roughest is {off:.1%} off"
        lacks.add(("backend", 0, "weight"), why)
    return written


def own_health(file: Scenario, kept: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Keys of backends' own tables of checks, but for those `kept`, by the backend's number."""
    for number, row in enumerate(file.backends):
        if row.health is not None:
            for key in sorted(row.health.model_fields_set - kept):
                if getattr(row.health, key) != getattr(file.health, key):
                    yield number, key


def priorities(file: Scenario) -> list[int]:
    """Of all backends, those of the file's in a row from 0."""
    ranks = {
        rank: place for place, rank in enumerate(sorted({it.priority for it in file.backends}))
    }
    return [ranks[row.priority] for row in file.backends]


def names(file: Scenario, letter: Callable[[str], bool]) -> list[str]:
    """What each backend is called, in letters that are allowed; no two the same."""
    found: list[str] = []
    for row in file.backends:
        plain = "".join(it if letter(it) else "_" for it in row.label) or "_"
        name, again = plain, 2
        while name in found:
            name, again = f"{plain}_{again}", again + 1
        found.append(name)
    return found


def milliseconds(seconds: float) -> str:
    """`1500ms`; at least one."""
    return f"{max(1, round(seconds * 1000))}ms"


def unix_path(address: str) -> str:
    """The path of a Unix socket, or nothing."""
    return address.removeprefix(UNIX) if address.startswith(UNIX) else ""


def ascii_address(address: str) -> str:
    """With its name as name servers know it (IDNA), where that is not of ASCII."""
    host, colon, port = address.rpartition(":") if ":" in address else (address, "", "")
    return address if address.isascii() else host.encode("idna").decode() + colon + port


def path(text: str) -> str:
    """A file's whole path, for a configuration may lie and be read anywhere."""
    return str(Path(text).absolute())


def plain(name: str) -> bool:
    """Whether a field or a cookie is called so that anybody can write it."""
    return _PLAIN.fullmatch(name) is not None


def request_id(file: Scenario, lacks: Lacks) -> str:
    """The field that carries an id, or nothing."""
    name = file.tracing.request_id
    if name and not plain(name):
        lacks.add(("tracing", "request_id"), "a field of such a name cannot be written")
        return ""
    return name


def only_v6(listener: Listener) -> bool:
    """Whether it is all addresses of IPv6, and of that alone."""
    return host_and_port(listener.address)[0] == "::"
