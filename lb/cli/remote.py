"""A running balancer's control plane, as a command asks it. Imports are few and small."""

from __future__ import annotations

import json
import os
import socket
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lb.errors import ConfigError, LbError, UsageError
from lb.system import reason

DEFAULT = "127.0.0.1:8405"
PATIENCE = 30.0
"""Seconds that an answer may take."""
UNIX = "unix:"


class CannotReach(LbError):
    """Nobody answers there, or somebody else."""

    code = "cannot_reach"


class Declined(LbError):
    """The balancer says no."""

    code = "declined"

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.status = status


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Remote:
    """One balancer's control plane."""

    def __init__(self, address: str, token: str | None = None, patience: float = PATIENCE) -> None:
        """`host:port` or `unix:/path`. Raises UsageError."""
        self.address = address
        self._token = token
        self._patience = patience
        self._connection = _connection(address, patience)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What it answers, JSON read. Raises CannotReach, Declined, UsageError, ConfigError."""
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            self._connection.request(method, path, data, headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except TimeoutError:
            raise CannotReach(f"{self.address}: no answer within {self._patience:g} s") from None
        except OSError as error:
            hint = "is lb serve running, with [server] admin in its file?"
            raise CannotReach(f"cannot reach {self.address}: {reason(error)}; {hint}") from None
        except HTTPException:
            raise self._stranger() from None
        finally:
            self._connection.close()
        try:
            told = json.loads(text)
        except ValueError:
            raise self._stranger() from None
        if answer.status >= 400 and isinstance(told, dict) and "error" in told:
            raise _refusal(answer.status, told)
        return told

    def events(self, after: int = 0) -> Iterator[dict[str, Any]]:
        """Those that the log tells from now on, and those remembered that came behind `after`.

        Raises CannotReach where none can be had, or no more.
        """
        connection = _connection(self.address, PATIENCE)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request("GET", "/events", headers=headers)
            answer = connection.getresponse()
            while answer.status == 200 and (line := answer.readline()):
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        except (OSError, HTTPException, ValueError) as error:
            raise CannotReach(f"{self.address}: no events: {error}") from None
        finally:
            connection.close()

    def _stranger(self) -> CannotReach:
        why = "what answers there is no control plane of lb's"
        return CannotReach(f"{self.address}: {why}; its address is [server] admin")


def backend_path(name: str) -> str:
    """Where a backend is changed."""
    return f"/v1/backends/{quote(name, safe='')}"


def remote(
    config: Path | None, admin: str | None, token_file: Path | None, patience: float = PATIENCE
) -> Remote:
    """At the address `admin`, else at that of the file `config`, else at the usual one.

    Raises UsageError, ConfigError, CannotReach.
    """
    token = None if token_file is None else _token(token_file)
    if token is None:
        token = os.environ.get("LB_ADMIN_TOKEN") or None
    if admin is None and config is not None:
        admin, kept = _server(config)
        if token is None and kept is not None:
            token = _token(kept)
    return Remote(admin or DEFAULT, token, patience)


def _server(file: Path) -> tuple[str, Path | None]:
    """Address and file of the token, whatever else may be wrong in there. Raises ConfigError."""
    try:
        with file.open("rb") as opened:
            data = tomllib.load(opened)
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {reason(error)}"]) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{file}: not TOML: {error}"]) from None
    server = data.get("server")
    table = server if isinstance(server, dict) else {}
    address, token = table.get("admin"), table.get("admin_token_file")
    if not isinstance(address, str):
        why = f'missing; it has no control plane; give admin = "{DEFAULT}"'
        raise ConfigError([f"{file}:1 server.admin: {why}"])
    return address, file.parent / token if isinstance(token, str) else None


def _token(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "not text"
        raise CannotReach(f"token file {file}: cannot be read: {why}") from None
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise CannotReach(f"token file {file}: holds no token")
    return token


def _connection(address: str, patience: float) -> HTTPConnection:
    if address.startswith(UNIX):
        return _UnixConnection(address.removeprefix(UNIX), patience)
    host, colon, port = address.rpartition(":")
    bare = host.strip("[]")
    if not (bare and colon and port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise UsageError(f"{address!r} is not host:port or unix:/path, such as {DEFAULT}")
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bare, bare)  # it listens there too
    return HTTPConnection(here, int(port), timeout=patience)


def _refusal(status: int, told: dict[str, Any]) -> LbError:
    message, hint = str(told.get("message", "")), str(told.get("hint", ""))
    if "{" in hint:
        hint = ""  # it is about JSON, which whoever calls a command has not written
    if told["error"] == "config":
        return ConfigError(message.split("\n"))
    if told["error"] in ("bad_request", "usage"):
        return UsageError(f"{message}; {hint}" if hint and status == 400 else message)
    return Declined(status, message, hint)
