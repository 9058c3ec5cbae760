"""Values as TOML text, in lines that fit a terminal where they can be broken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 80
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Unsaid:
    """A value that holds as long as nobody gives it: a comment."""

    value: object


def toml(data: Mapping[str, Any]) -> str:
    """A whole file. Keys that are texts, and values of TOML's own types but dates."""
    return "\n".join(_table((), data)).strip() + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    """Its own values first: behind the header of another table they would be that one's."""
    inside: list[tuple[str, Any]] = []
    for key, value in table.items():
        if _apart(key, value, nested=bool(path)):
            inside.append((key, value))
        elif isinstance(value, Unsaid):
            yield f"# {_key(key)} = {_inline(value.value)}"
        else:
            yield from _pair(_key(key), value)
    for key, value in inside:
        deeper = (*path, key)
        header = ".".join(map(_key, deeper))
        if isinstance(value, Mapping):
            yield from ("", f"[{header}]")
            yield from _table(deeper, value)
        else:
            for row in value:
                yield from ("", f"[[{header}]]")
                yield from _table(deeper, row)


def _apart(key: str, value: object, *, nested: bool) -> bool:
    """Whether it has a header of its own: inside of tables only what is too long for a line."""
    if isinstance(value, Mapping):
        deep = any(isinstance(it, Mapping) for it in value.values())
        return not nested or deep or len(_key(key)) + len(" = ") + len(_inline(value)) > WIDTH
    if isinstance(value, list | tuple) and value:
        return not nested and all(isinstance(row, Mapping) for row in value)
    return False


def _pair(key: str, value: object) -> Iterator[str]:
    line = f"{key} = {_inline(value)}"
    if len(line) <= WIDTH or not isinstance(value, list | tuple):
        yield line
        return
    yield f"{key} = ["
    yield from (f"    {_inline(element)}," for element in value)
    yield "]"


def _inline(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _quoted(value)
        case Mapping():
            pairs = (f"{_key(key)} = {_inline(it)}" for key, it in value.items())
            return f"{{ {', '.join(pairs)} }}" if value else "{}"
        case Sequence():
            return f"[{', '.join(map(_inline, value))}]"
    return repr(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """As JSON has it, and the one control character that it lets pass escaped, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
