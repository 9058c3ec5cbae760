"""Who may ask: tokens, and browsers that other people's pages have sent."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from lb.admin.answers import Refused
from lb.config import Scenario
from lb.errors import ConfigError
from lb.system import reason

MOST = 4096
"""Bytes of a token's file."""


class Access:
    """What a request must show. The token may be changed while it is asked for."""

    def __init__(self, token: str | None = None, hosts: Iterable[str] | None = None) -> None:
        """`hosts`: names this place is called by, beside loopback addresses; None: any.

        They only matter while there is no token, which a page of somebody else does not know.
        """
        self.token = token
        self._hosts = None if hosts is None else {"localhost", *(it.lower() for it in hosts)}

    def check_origin(self, request: web.BaseRequest) -> None:
        """Refuse what a page of somebody else has made a browser send.

        A page may have had its own name resolved to us: the browser takes it for ours, but calls us
        by that name (DNS rebinding).
        """
        host = request.headers.get("Host", "")
        if self.token is None and self._hosts is not None and host and not self._ours(host):
            why = f"this is not {host!r}"
            raise Refused(403, "foreign_host", why, "call it by its address, or localhost")
        origin = request.headers.get("Origin")
        if origin is not None and not _same(origin, host):
            why = f"origin {origin!r} is not this place"
            raise Refused(403, "foreign_origin", why, "other sites' pages may not ask here")
        if origin is None and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            navigates = request.headers.get("Sec-Fetch-Mode") == "navigate"
            if not navigates or request.method not in ("GET", "HEAD"):
                why = "sent by another site's page"
                raise Refused(403, "foreign_origin", why, "other sites' pages may not ask here")

    def check_token(self, request: web.BaseRequest) -> None:
        """Refuse who does not know it, where there is one."""
        if self.token is None:
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        bears = scheme.lower() == "bearer"
        known = hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), self.token.encode()
        )
        if not (bears and known):
            why = "wrong token" if bears else "a token is asked for"
            how = 'Bearer realm="lb"' + (', error="invalid_token"' if bears else "")
            hint = "send Authorization: Bearer and what stands in server.admin_token_file"
            raise Refused(401, "unauthorized", why, hint, {"WWW-Authenticate": how})

    def _ours(self, host: str) -> bool:
        if set(host) & set("@/?#\\"):
            return False  # more than a name and a port
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in (self._hosts or ()) or _loopback(name)


def _same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() != ""


def _loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def token_of(scenario: Scenario) -> str | None:
    """What `[server] admin_token_file` holds. Raises ConfigError."""
    path = scenario.server.admin_token_file
    if path is None:
        return None
    try:
        if not Path(path).is_file():
            raise ValueError("is no file that can be read")  # a pipe would be waited for
        with Path(path).open("rb") as file:
            text = file.read(MOST + 1).decode("ascii").strip()
        if not text:
            raise ValueError("is empty; it should hold a token")
        if len(text) >= MOST or not all("!" <= letter <= "~" for letter in text):
            raise ValueError("is no token, which is one word of plain letters and digits")
    except OSError as error:
        why = f"{path}: cannot be read: {reason(error)}"
    except UnicodeDecodeError:
        why = f"{path}: is no token, which is one word of plain letters and digits"
    except ValueError as error:
        why = f"{path}: {error}"
    else:
        return text
    raise ConfigError([f"{scenario.place('server', 'admin_token_file')}: {why}"])
