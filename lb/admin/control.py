"""Requests that change something. Those that come at once are done in the order they came."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any
from urllib.parse import quote

from aiohttp import web
from pydantic import ValidationError

from lb.admin import bodies
from lb.admin.answers import Refused, document
from lb.admin.operations import Operations
from lb.balancing import Add, BackendView, Change, Remove, SetState, SetWeight, State, Swap
from lb.config import Algorithm, BackendTable
from lb.config.places import Origin
from lb.config.problems import problems
from lb.config.values import weight
from lb.errors import UnknownBackend, UsageError, nearest, written
from lb.measures import Report
from lb.measures.endpoints import row

OPERATIONS: web.AppKey[Operations] = web.AppKey("operations")
TURN = web.AppKey("turn", asyncio.Lock)
STATES = {state.value: state for state in (State.UP, State.DRAIN, State.MAINT)}
NEW = ("address", "name", "weight", "priority", "zone", "max_in_flight")
"""Keys of a backend that is added."""
ADDED = '{"address": "127.0.0.1:3001", "weight": 2}'
CHOSEN = '{"name": "p2c", "choices": 3}'
"""What hints show."""


async def change_backend(request: web.Request) -> web.Response:
    """State, weight, or both: all of it or nothing."""
    given = await bodies.read(request, '{"state": "drain"}', ("state", "weight"))
    if not given:
        raise Refused(400, "bad_request", "nothing to change", "give state, weight, or both")
    state = _state(given["state"]) if "state" in given else None
    number = _weight(given["weight"]) if "weight" in given else None
    async with request.app[TURN]:
        operations = request.app[OPERATIONS]
        backend = _named(request, await operations.report())
        changes: list[Change] = []
        if number is not None:
            changes.append(SetWeight(backend.name, number))
        if state is not None:
            changes.append(SetState(backend.name, state))
        for change in changes:
            await operations.perform(change, who(request))
        return document(row(_find(backend.name, await operations.report())))


async def add_backend(request: web.Request) -> web.Response:
    """One more, which goes through slow start."""
    given = await bodies.read(request, ADDED, NEW)
    try:
        table = BackendTable.model_validate(given, context=Origin())
    except ValidationError as error:
        found = problems(error, BackendTable, Origin())
        raise Refused(400, "bad_request", "; ".join(found), f"such as {ADDED}") from None
    async with request.app[TURN]:
        operations = request.app[OPERATIONS]
        for backend in (await operations.report()).snapshot.backends:
            if {table.label, table.address} & {backend.name, backend.address}:
                why = f"backend {backend.name} at {backend.address} is there already"
                raise Refused(409, "exists", why, "give another name and address")
        settings = operations.scenario.settings(table)
        await operations.perform(Add(settings), who(request))
        found_row = row(_find(table.label, await operations.report()))
    location = f"/v1/backends/{quote(table.label, safe=':')}"
    return document(found_row, 201, {"Location": location})


async def remove_backend(request: web.Request) -> web.Response:
    """It gets nothing new; what it has in flight ends as it would."""
    async with request.app[TURN]:
        operations = request.app[OPERATIONS]
        backend = _named(request, await operations.report())
        await operations.perform(Remove(backend.name), who(request))
    told = {"name": backend.name, "address": backend.address, "state": "removed"}
    return document({**told, "connections": backend.connections})


async def change_algorithm(request: web.Request) -> web.Response:
    """Another one from the next pick on."""
    given = await bodies.read(request, CHOSEN)
    short = isinstance(given.get("name"), str) and ":" in given["name"]
    try:
        if short and len(given) == 1:
            chosen = Algorithm.of(given["name"])
        else:
            chosen = Algorithm.model_validate(given, context=Origin())
    except ValidationError as error:
        found = problems(error, Algorithm, Origin())
        raise Refused(400, "bad_request", "; ".join(found), f"such as {CHOSEN}") from None
    async with request.app[TURN]:
        operations = request.app[OPERATIONS]
        await operations.perform(Swap(chosen.name, chosen.settings), who(request))
        snapshot = (await operations.report()).snapshot
        notes = operations.scenario.with_flags(algorithm=chosen).notes()
    told = {"name": snapshot.algorithm, "settings": dict(snapshot.settings), "notes": notes}
    return document(told)


async def reload(request: web.Request) -> web.Response:
    """Read the file again."""
    async with request.app[TURN]:
        try:
            kept = await request.app[OPERATIONS].reload(who(request))
        except UsageError as error:
            raise Refused(409, error.code, str(error), "nothing has changed") from None
    return document({"reloaded": True, "not_changed": list(kept)})


async def stop(request: web.Request) -> web.Response:
    """Drain, then end."""
    request.app[OPERATIONS].stop(who(request))
    return document({"stopping": True}, 202)


def who(request: web.Request) -> str:
    """Who asks, for the log."""
    transport = request.transport
    one = None if transport is None else transport.get_extra_info("socket")
    if one is not None and one.family == getattr(socket, "AF_UNIX", None):
        if not hasattr(socket, "SO_PEERCRED"):
            return "unix"
        size = struct.calcsize("3i")
        pid, uid, _ = struct.unpack(
            "3i", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        )
        return f"unix pid={pid} uid={uid}"
    peer: Any = None if transport is None else transport.get_extra_info("peername")
    if not peer:
        return "admin"
    return f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"


def _named(request: web.Request, report: Report) -> BackendView:
    return _find(request.match_info["name"], report)


def _find(name: str, report: Report) -> BackendView:
    """The backend of that name, else at that address. Raises UnknownBackend."""
    backends = report.snapshot.backends
    for backend in backends:
        if backend.name == name:
            return backend
    for backend in backends:
        if backend.address == name:
            return backend
    raise UnknownBackend(name, [backend.name for backend in backends])


def _state(given: object) -> State:
    if isinstance(given, str) and given in STATES:
        return STATES[given]
    hint = nearest(given, STATES) if isinstance(given, str) else f"known: {', '.join(STATES)}"
    raise Refused(400, "bad_request", f"state: {_written(given)} is no state", hint)


def _weight(given: object) -> float:
    try:
        return weight(given)
    except ValueError:
        why = f"weight: {_written(given)} is not a number above zero"
        hint = 'such as {"weight": 3}; to send it nobody new, {"state": "drain"}'
        raise Refused(400, "bad_request", why, hint) from None


def _written(value: object) -> str:
    return "an object" if isinstance(value, dict) else written(value)
