"""`[health]`: when backends are asked how they are, what they are asked, and what is well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from lb.balancing import HealthPolicy
from lb.config.shapes import PORT, STATUSES
from lb.config.values import Mistakes, PositiveDuration, Table, UrlPath

_STATUSES = re.compile(r"[1-5]\d\d(-[1-5]\d\d)?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@,*\[\]\x00-\x20\x7f]+)(:\d{1,5})?")


def _port(number: int) -> int:
    if not 1 <= number <= 65535:
        raise ValueError(f"port {number} is not between 1 and 65535")
    return number


def _statuses(given: object) -> object:
    """A number, a text with commas, or a list of such, as one text in its normal form."""
    rows = given if isinstance(given, list | tuple) else [given]
    if not rows:
        raise ValueError('expects no status at all; give some, such as "200-299"')
    found: list[tuple[tuple[int, ...], str]] = []
    parts: list[str] = []
    for number, row in enumerate(rows):
        if isinstance(row, bool) or not isinstance(row, int | str):
            why = f'should be a status or a text such as "200-299", not {row!r}'
            found.append(((number,), why))
            continue
        for part in str(row).split(","):
            parts.append(part.strip())
            if why := _wrong(part.strip()):
                found.append(((number,), why))
    if found and rows is given:
        raise Mistakes(*found)
    if found:
        raise ValueError("; ".join(why for _, why in found))
    return ", ".join(parts)


def _wrong(statuses: str) -> str:
    if not _STATUSES.fullmatch(statuses):
        return f'{statuses!r} is no status or range of them, such as "200-299"'
    low, dash, high = statuses.partition("-")
    return f"{statuses!r} ends before it begins" if dash and high < low else ""


Port = Annotated[int, AfterValidator(_port), WithJsonSchema(PORT)]
Statuses = Annotated[str, BeforeValidator(_statuses), WithJsonSchema(STATUSES)]


class HealthTable(Table):
    """Active health checks: the policy, and how a check is made.

    A backend's own table, `[backend.health]`, names what holds for it instead.
    """

    enabled: bool = HealthPolicy.enabled
    """Whether backends are asked how they are; else all are taken to be well."""
    kind: Literal["http", "tcp"] = "http"
    """A GET whose answer is judged, or merely a connection that is accepted."""
    path: UrlPath = "/health"
    """What is asked for."""
    host: str | None = None
    """The Host field of a check; the backend's address unless given."""
    port: Port | None = None
    """Where checks go; the backend's own port unless given."""
    expect: Statuses = "200-299"
    """Statuses that are well: one, a range, or several of them ("200,204", ["200-299", 401])."""
    match: str | None = None
    """A regular expression, or simply a text, that must be found in the first 64 KiB of the
    answer's body."""
    interval: PositiveDuration = HealthPolicy.interval
    """Between two checks of a backend."""
    fast_interval: PositiveDuration = HealthPolicy.fast_interval
    """While a change of state is being decided (1s, or `interval` where that is shorter)."""
    timeout: PositiveDuration = HealthPolicy.timeout
    """How long an answer may take."""
    rise: Annotated[int, Field(ge=1)] = HealthPolicy.rise
    """Good answers in a row that bring a backend back."""
    fall: Annotated[int, Field(ge=1)] = HealthPolicy.fall
    """Bad answers in a row that take a backend out."""
    jitter: Annotated[float, Field(ge=0, lt=1)] = HealthPolicy.jitter

    @field_validator("host")
    @classmethod
    def _one_host(cls, host: str | None) -> str | None:
        if host is not None and not _HOST.fullmatch(host):
            raise ValueError(f'{host!r} is no Host field, such as "www.example.org"')
        return host

    @field_validator("match")
    @classmethod
    def _compiles(cls, match: str | None) -> str | None:
        try:
            re.compile(match or "")
        except (re.error, OverflowError) as error:
            why = f"{match!r} is no regular expression: {error}"
            hint = f"; for the text itself write '{re.escape(match or '')}'"
            raise ValueError(why + hint) from None
        if match == "":
            raise ValueError("is found in any body; leave it out")
        return match

    @model_validator(mode="after")
    def _fast(self) -> HealthTable:
        if "fast_interval" not in self.model_fields_set:
            # A default, which is not given: the table is frozen from here on.
            self.__dict__["fast_interval"] = min(HealthPolicy.fast_interval, self.interval)
        return self

    @model_validator(mode="after")
    def _for_this_kind(self) -> HealthTable:
        if self.kind == "tcp" and (found := list(self.useless(self))):
            raise Mistakes(*found)
        return self

    def useless(self, named: HealthTable) -> Iterator[tuple[tuple[str], str]]:
        """Keys of `named` that say something of an answer, which these checks do not read."""
        if self.kind == "tcp":
            for key in ("path", "host", "expect", "match"):
                if key in named.model_fields_set:
                    yield (key,), 'a check of kind "tcp" asks and reads nothing; kind = "http" does'

    def expects(self, status: int) -> bool:
        """Whether an answer's status is well."""
        ranges = (part.partition("-") for part in self.expect.split(", "))
        return any(int(low) <= status <= int(high or low) for low, _, high in ranges)

    def with_own(self, own: HealthTable | None, port: int | None = None) -> HealthTable:
        """What holds for one backend: the keys that its own table names, before these."""
        changes: dict[str, Any] = {}
        if own is not None:
            changes = {name: getattr(own, name) for name in own.model_fields_set}
            if "fast_interval" not in self.model_fields_set | own.model_fields_set:
                interval = changes.get("interval", self.interval)
                changes["fast_interval"] = min(HealthPolicy.fast_interval, interval)
        if port is not None:
            changes["port"] = port
        return self.model_copy(update=changes) if changes else self
