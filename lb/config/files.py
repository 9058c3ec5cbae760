"""Files that a file names: where they lie, and numbers in them."""

from __future__ import annotations

import difflib
import math
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, SerializationInfo, ValidationInfo

from lb.config.places import Origin
from lb.config.values import WRITTEN
from lb.errors import ConfigError
from lb.system import text_of
from lb.units import seconds


def _found(text: str, info: ValidationInfo) -> str:
    """Its path, counted from the file that names it. Raises ValueError when there is none."""
    origin = info.context if isinstance(info.context, Origin) else Origin()
    path = Path(origin.source).parent / text
    if path.is_file():
        return str(path)
    if path.exists():
        raise ValueError(f"{str(path)!r} is no file that can be read")
    beside = [it.name for it in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"there is no file {str(path)!r}{hint}")


def named(text: str, info: ValidationInfo) -> str:
    """Its path, whether or not it is there."""
    if not text:
        raise ValueError("names no file")
    origin = info.context if isinstance(info.context, Origin) else Origin()
    return str(Path(origin.source).parent / text)


def anywhere(path: str, info: SerializationInfo) -> str:
    """Its path for a file that may be written anywhere. See `lb.config.values.WRITTEN`."""
    return str(Path(path).absolute()) if info.context == WRITTEN else path


NamedFile = Annotated[str, AfterValidator(named), PlainSerializer(anywhere)]
"""The same for a file that is looked at only when there is a use for it."""
DataFile = Annotated[str, AfterValidator(_found), PlainSerializer(anywhere)]
"""Relative to the file that names it; in code to where the program runs."""


def lines_in(path: str) -> list[str]:
    """Its lines without their ends. Raises ValueError where it cannot be read."""
    try:
        return text_of(Path(path)).splitlines()
    except ConfigError as error:
        raise ValueError(str(error)) from None


def numbers_in(path: str) -> tuple[float, ...]:
    """Numbers of seconds, one a line; blank lines do not count. Raises ValueError."""
    found = []
    for number, line in enumerate(lines_in(path), 1):
        if text := line.strip():
            try:
                found.append(_seconds(text))
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from None
    if not found:
        raise ValueError(f"{path}: holds no number; write one a line, in seconds")
    return tuple(found)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds{_meant(text)}") from None
    if not 0 <= value < math.inf:
        raise ValueError(f"{text} is not a number of seconds from zero up")
    return value


def _meant(text: str) -> str:
    """What would be right, where that is plain."""
    try:
        return f"; write {seconds(text):.9g}"
    except ValueError:
        return ""
