"""Certificates and keys that a file names, read: what clients are shown, whom backends must be.

All are read before any is used, so a file with one that is no good changes nothing.
"""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from lb.config import BackendTable, BackendTls, Listener, ListenerTls, Scenario
from lb.config.places import Place
from lb.errors import ConfigError
from lb.proxy.tls import x509
from lb.system import reason

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
ALPN = ["http/1.1"]
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Bad(Exception):
    """A file that is no good, and the key of the table that names it."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


class Met(NamedTuple):
    """What backends of a table are met with."""

    context: ssl.SSLContext
    files: bytes
    """A digest of what its files held."""


class Credentials:
    """What every listener and every backend speaks TLS with."""

    def __init__(self) -> None:
        self.expiry: dict[str, float] = {}
        """When each certificate of ours expires, seconds since 1970, by its file."""
        self._listeners: dict[str, tuple[Listener, ssl.SSLContext | None]] = {}
        self._backends: dict[tuple[str, str], tuple[ssl.SSLContext, str | None]] = {}
        self._contexts: dict[BackendTls, Met] = {}

    @classmethod
    def read(cls, scenario: Scenario, now: float | None = None) -> Credentials:
        """All that a file names. Raises ConfigError with every mistake.

        `now` is seconds since 1970, the system's time unless given.
        """
        it = cls()
        problems: list[str] = []
        today = time.time() if now is None else now
        read: dict[Place, ssl.SSLContext | None] = {}  # several addresses may share a table
        for listener in scenario.listening():
            if listener.tls is not None and listener.place not in read:
                read[listener.place] = it._meet_clients(
                    listener.tls, scenario, listener.place, problems, today
                )
            it._listeners[listener.key] = listener, read.get(listener.place)
        for number, table in enumerate(scenario.discovery):
            if table.backend.tls is not None:
                place = ("discovery", number, "backend", "tls")
                it._meet(table.backend.tls, scenario, place, problems, today)
        it._meet_all(scenario, problems, today)
        if problems:
            raise ConfigError(dict.fromkeys(problems))
        return it

    def joined_by(self, scenario: Scenario) -> Credentials:
        """These, and what further backends of a file speak: nothing is read that was read before.

        Raises ConfigError.
        """
        it = Credentials()
        it.expiry, it._listeners = dict(self.expiry), self._listeners
        it._contexts = dict(self._contexts)
        problems: list[str] = []
        it._meet_all(scenario, problems, time.time())
        if problems:
            raise ConfigError(dict.fromkeys(problems))
        return it

    def keep(self, before: Credentials) -> None:
        """Go on with what is still good of those that were in use until now.

        Where the file does not listen any more, clients are met as they were. Backends are met with
        the same context where nothing has changed, so that connections to them can stay.
        """
        self._listeners = {**before._listeners, **self._listeners}
        same = {}
        for tls, met in self._contexts.items():
            old = before._contexts.get(tls)
            if old is not None and old.files == met.files:
                self._contexts[tls], same[met.context] = old, old.context
        for key, (context, name) in self._backends.items():
            self._backends[key] = same.get(context, context), name

    def at(self, listener: Listener) -> tuple[Listener, ssl.SSLContext | None]:
        """A listener as the file has it now, and what its clients speak TLS with, if they do."""
        return self._listeners.get(listener.key, (listener, None))

    def backend(self, name: str, address: str) -> tuple[ssl.SSLContext, str | None] | None:
        """What it is met with, and the name that it goes by; None where it speaks no TLS."""
        return self._backends.get((name, address))

    # --- inside

    def _meet_clients(
        self,
        tls: ListenerTls,
        scenario: Scenario,
        place: Place,
        problems: list[str],
        today: float,
    ) -> ssl.SSLContext | None:
        made = []
        for where, certificate, key in tls.pairs():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            try:
                made.append((context, self._load(context, certificate, key, today)))
            except Bad as bad:
                problems.append(f"{scenario.place(*place, *where, bad.key)}: {bad}")
        return _by_name(made, tls) if made else None

    def _meet_all(self, scenario: Scenario, problems: list[str], today: float) -> None:
        for number, row in enumerate(scenario.backends):
            if row.tls is not None:
                place = ("backend", number, "tls")
                context = self._meet(row.tls, scenario, place, problems, today)
                if context is not None:
                    self._backends[row.label, row.address] = context, _name_of(row, row.tls)

    def _meet(
        self,
        tls: BackendTls,
        scenario: Scenario,
        place: Place,
        problems: list[str],
        today: float,
    ) -> ssl.SSLContext | None:
        """What backends are met with; those that differ in their name alone share it."""
        common = tls.model_copy(update={"server_name": None})
        if common not in self._contexts:
            try:
                files = _digest(tls)  # should they change meanwhile, the next one differs
                self._contexts[common] = Met(self._towards(tls, today), files)
            except Bad as bad:
                problems.append(f"{scenario.place(*place, bad.key)}: {bad}")
        met = self._contexts.get(common)
        return None if met is None else met.context

    def _towards(self, tls: BackendTls, today: float) -> ssl.SSLContext:
        """Raises Bad."""
        try:
            context = ssl.create_default_context(cafile=tls.ca)
        except OSError as error:
            why = "is not PEM" if isinstance(error, ssl.SSLError) else reason(error)
            raise Bad("ca", f"{tls.ca}: {why}") from None
        context.set_alpn_protocols(ALPN)
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.certificate is not None and tls.key is not None:
            self._load(context, tls.certificate, tls.key, today)
        return context

    def _load(self, context: ssl.SSLContext, certificate: str, key: str, today: float) -> x509.Said:
        """Raises Bad."""
        said = _said_by(certificate)
        if said.ends < today:
            raise Bad("certificate", f"{certificate}: expired on {day(said.ends)}")
        if said.begins > today:
            raise Bad("certificate", f"{certificate}: is not valid before {day(said.begins)}")
        if "PRIVATE KEY-----" not in _readable(key):
            raise Bad("key", f"{key}: holds no private key in PEM")
        asked = False

        def password() -> str:
            nonlocal asked
            asked = True
            return ""

        try:
            context.load_cert_chain(certificate, key, password)
        except (ssl.SSLError, ValueError, OSError) as error:
            if asked:
                why = "is encrypted; write it without a password: openssl pkey -in KEY -out PLAIN"
            else:
                other = getattr(error, "reason", None) == "KEY_VALUES_MISMATCH"
                why = f"is not the key of {certificate}" if other else "is no key that can be read"
            raise Bad("key", f"{key}: {why}") from None
        self.expiry[certificate] = said.ends
        return said


def _by_name(made: list[tuple[ssl.SSLContext, x509.Said]], tls: ListenerTls) -> ssl.SSLContext:
    """One context that gives way to whichever is for the name that a client asks for."""
    for context, _ in made:
        context.minimum_version = VERSIONS[tls.min_version]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(ALPN)

    def choose(client: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        if name is not None:
            chosen = next((one for one, said in made if said.is_for(name)), None)
            if chosen is not None and chosen is not first:
                client.context = chosen

    if len(made) > 1:
        made[0][0].sni_callback = choose
    return made[0][0]


def _name_of(row: BackendTable, tls: BackendTls) -> str | None:
    if tls.server_name:
        return tls.server_name
    if row.address.startswith("unix:"):
        return None
    return row.address.rpartition(":")[0].strip("[]").partition("%")[0]


def _said_by(path: str) -> x509.Said:
    """Raises Bad."""
    text = _readable(path, "certificate")
    begins = text.find(BEGIN)
    if begins < 0:
        raise Bad("certificate", f"{path}: holds no certificate in PEM")
    first = text[begins:].partition(END)[0] + END
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=first)
        return x509.read(ssl.PEM_cert_to_DER_cert(first))
    except (ssl.SSLError, ValueError):
        raise Bad("certificate", f"{path}: holds no certificate that can be read") from None


def _digest(tls: BackendTls) -> bytes:
    """Of what the files of a table hold; of the system's authorities, of when they were changed."""
    digest = sha256()
    system = ssl.get_default_verify_paths()
    for place in (system.cafile, system.capath) if tls.ca is None else ():
        if place is not None:
            with suppress(OSError):
                digest.update(b"%d" % Path(place).stat().st_mtime_ns)
    for file in (tls.ca, tls.certificate, tls.key):
        if file is not None:
            with suppress(OSError):  # which is told by whoever needs it
                digest.update(sha256(Path(file).read_bytes()).digest())
    return digest.digest()


def _readable(path: str, key: str = "key") -> str:
    """Raises Bad."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise Bad(key, f"{path}: {reason(error)}") from None


def day(at: float) -> str:
    """A moment as people write it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
