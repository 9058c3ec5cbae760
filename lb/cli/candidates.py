"""What may come next on a command line that is not finished."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from lb.cli.remote import remote
from lb.errors import LbError

Candidate = tuple[str, str]
"""A word, and what it means."""
PATIENCE = 1.0
"""Seconds that somebody who has pressed a key waits for a control plane."""


def candidates(root: Any, line: str) -> list[Candidate]:
    """Words that go on where `line` ends; none where a file may stand, or anything.

    `root` is the command that `line` begins with.
    """
    try:
        words = shlex.split(line)
    except ValueError:  # inside quotes
        return []
    if not line or line[-1].isspace():
        words.append("")
    *before, last = words[1:] or [""]
    command, left = _command(root, before)
    found = _next(command, before, left, last)
    return [(word, text) for word, text in found if word.startswith(last) and word != last]


def _command(command: Any, words: list[str]) -> tuple[Any, list[str]]:
    """The innermost command that they name, and the words behind its name."""
    left = list(words)
    for place, word in enumerate(words):
        inner = getattr(command, "commands", {}).get(word)
        if inner is not None:
            command, left = inner, words[place + 1 :]
    return command, left


def _next(command: Any, all_words: list[str], words: list[str], last: str) -> Iterable[Candidate]:
    """`words` stand behind the command's name."""
    options = {name: it for it in command.params for name in (*it.opts, *it.secondary_opts)}
    name, equals, value = last.partition("=")
    if equals and name in options and not options[name].is_flag:
        return [(f"{name}={word}", text) for word, text in _values(options[name], all_words, value)]
    waiting = options.get(words[-1]) if words and words[-1].startswith("-") else None
    if waiting is not None and not waiting.is_flag:
        return _values(waiting, all_words, last)
    if last.startswith("-"):
        return _options(command)
    if inner := getattr(command, "commands", {}):
        return [(name, _first_sentence(it.help)) for name, it in inner.items() if not it.hidden]
    argument = _argument(command, options, words)
    return [] if argument is None else _values(argument, all_words, last, command.name)


def _options(command: Any) -> Iterator[Candidate]:
    for option in command.params:
        if option.param_type_name == "option" and not option.hidden:
            yield max(option.opts, key=len), _first_sentence(option.help)
    yield "--help", "Show this message and exit."


def _argument(command: Any, options: dict[str, Any], words: list[str]) -> Any:
    """The one that the next word is for."""
    places = [it for it in command.params if it.param_type_name == "argument"]
    taken = 0
    for before, word in pairwise(["", *words]):
        option = options.get(before)
        taken += not (word.startswith("-") or (option is not None and not option.is_flag))
    if taken < len(places):
        return places[taken]
    return places[-1] if places and places[-1].nargs == -1 else None


def _values(parameter: Any, words: list[str], last: str, of: str = "") -> Iterable[Candidate]:
    for kind, (matches, values) in VALUES.items():
        if matches(parameter, of):
            return values(words, last) if kind != "words" else values(parameter)
    return []


def _algorithms(_words: list[str], last: str) -> Iterator[Candidate]:
    """Names, behind a comma too; parameters behind a name and a colon."""
    from lb.strategies import all_specs

    rows, _ = all_specs()
    before, comma, word = last.rpartition(",")
    name, colon, _ = word.partition(":")
    if not colon:
        for row in rows.values():
            yield f"{before}{comma}{row.name}", row.summary
    elif name in rows:
        for parameter, _, text in rows[name].manual():
            yield f"{before}{comma}{name}:{parameter}=", _first_sentence(text)


def _backends(words: list[str], _last: str) -> Iterator[Candidate]:
    """Those of the balancer that runs, if it can be asked."""
    given = {before: word for before, word in pairwise(words) if before.startswith("-")}
    file, token = (given.get("-c") or given.get("--config")), given.get("--token-file")
    with suppress(LbError):
        plane = remote(
            None if file is None else Path(file),
            given.get("--admin"),
            None if token is None else Path(token),
            PATIENCE,
        )
        for row in plane.ask("GET", "/v1/snapshot")["backends"]:
            yield str(row["name"]), f"{row['state']}, weight {row['weight']:g}"


def _of_the_file(words: list[str], _last: str) -> Iterator[Candidate]:
    """Backends of the file that is given, else of LB_CONFIG."""
    import os
    import tomllib

    given = {before: word for before, word in pairwise(words) if before.startswith("-")}
    file = given.get("-c") or given.get("--config") or os.environ.get("LB_CONFIG")
    if not file:
        return
    with suppress(OSError, ValueError), Path(file).open("rb") as text:
        for row in tomllib.load(text).get("backend", ()):
            address = str(row.get("address", ""))
            name = str(row.get("name") or address)
            yield f"{name}=" if words[-1:] == ["--weight"] else name, address


def _alternatives(parameter: Any) -> Iterator[Candidate]:
    """Words of a metavar such as N|auto."""
    for word in str(parameter.metavar or "").split("|"):
        if word.isalnum() and word.islower():
            yield word, _first_sentence(getattr(parameter, "help", "") or "")


def _is_algorithm(parameter: Any, of: str) -> bool:
    named = parameter.name in ("algorithm", "strategy", "spec", "shadow")
    return named or (of, parameter.name) == ("strategies", "name")


def _is_backend(parameter: Any, of: str) -> bool:
    return parameter.name == "name" and of in ("drain", "up", "maint", "weight", "remove")


def _is_of_the_file(parameter: Any, _of: str) -> bool:
    return bool({"--remove", "--lose", "--weight"} & set(parameter.opts))


VALUES: dict[str, tuple[Callable[[Any, str], bool], Callable[..., Iterable[Candidate]]]] = {
    "algorithms": (_is_algorithm, _algorithms),
    "backends": (_is_backend, _backends),
    "of the file": (_is_of_the_file, _of_the_file),
    "words": (lambda parameter, _: "|" in str(parameter.metavar or ""), _alternatives),
}
"""What completes a value, for which parameters."""


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).partition(". ")[0].rstrip(".")
