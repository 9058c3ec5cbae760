"""Certificates for tests, and contexts of clients that trust them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def issued(*names: str, days: int | None = None) -> trustme.LeafCert:
    """A certificate for `names`; one of so many days from now, or that expired so many ago."""
    ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
    return authority().issue_cert(
        *names, not_before=datetime(2000, 1, 1, tzinfo=UTC), not_after=ends
    )


def written(folder: Path, *names: str, days: int | None = None) -> tuple[Path, Path]:
    """A certificate's file and that of its key, named after the first of its names."""
    leaf = issued(*names, days=days)
    name = names[0].replace("*", "any") + ("" if days is None else f"-{days}")
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    return certificate, key


def root(folder: Path) -> Path:
    """The file of the authority."""
    path = folder / "ca.pem"
    path.write_bytes(authority().cert_pem.bytes())
    return path


def trusting(*protocols: str) -> ssl.SSLContext:
    """A client's context, which offers `protocols` by ALPN."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def serving(*names: str, asks: bool = False) -> ssl.SSLContext:
    """A server's context, which may ask for a certificate of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued(*names).configure_cert(context)
    if asks:
        authority().configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
