"""What is right in a file with mistakes: checks between tables need not wait until all is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from lb.config.places import Place

STAND_IN = {"kind": "health_lost", "backend": "-", "from": "1000000s", "to": "2000000s"}
"""Takes the place of a wrong `[[fault]]`, so that the others keep their numbers; long after any."""

WHOLE = ""
"""The key of a mistake that is the whole row."""
NAMING = {"address", "name", WHOLE}


class Rest(NamedTuple):
    """Tables that are right, or made so."""

    data: dict[str, Any]
    wrong: set[str]
    """Fields whose tables are no longer what the file says."""
    named: bool
    """Whether every backend has kept its name at least."""
    stand_ins: set[Place]
    """Rows that are not the file's."""

    def says(self, place: Place) -> bool:
        """Whether what is found there is a mistake of the file."""
        return place[:2] not in self.stand_ins


def rest_of(
    data: Mapping[str, Any], found: Sequence[tuple[Place, str]], wrong: Collection[str]
) -> Rest:
    """`found` are the mistakes of `data`, `wrong` the fields that they are in, by attribute."""
    fields = {"backend": "backends", "fault": "faults", "listener": "listeners"}
    right = {key: table for key, table in data.items() if fields.get(key, key) not in wrong}
    left, named, stand_ins = set(wrong), "backends" not in wrong, set[Place]()
    faults = _rows("fault", data, found) if "faults" in wrong else None
    if faults is not None:
        right["fault"] = [STAND_IN if n in faults else row for n, row in enumerate(data["fault"])]
        left.discard("faults")
        stand_ins = {("fault", number) for number in faults}
    backends = _rows("backend", data, found) if not named else None
    if backends is not None and not any(keys & NAMING for keys in backends.values()):
        rows = [
            {key: row[key] for key in ("address", "name") if key in row} if n in backends else row
            for n, row in enumerate(data["backend"])
        ]
        right["backend"], named = rows, True
    return Rest(right, left, named, stand_ins)


def _rows(
    table: str, data: Mapping[str, Any], found: Sequence[tuple[Place, str]]
) -> dict[int, set[Any]] | None:
    """Numbers of the wrong rows and the keys that are wrong there; None where it has no rows."""
    given = data.get(table)
    if not isinstance(given, list | tuple):
        return None
    rows: dict[int, set[Any]] = {}
    for place, _ in found:
        if place[:1] == (table,):
            if len(place) < 2 or not isinstance(place[1], int):
                return None
            rows.setdefault(place[1], set()).add(place[2] if len(place) > 2 else WHOLE)
    return rows
