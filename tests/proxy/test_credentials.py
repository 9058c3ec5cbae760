"""Certificates and keys: read before they are used, and refused in one line that says why."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from typer.testing import CliRunner

from lb.cli import app
from lb.config import Scenario
from lb.errors import ConfigError
from lb.proxy.expiry import soon, warn
from lb.proxy.tls import x509
from lb.proxy.tls.credentials import Credentials
from tests.proxy import papers

LISTENER = """
[server]
listen = "127.0.0.1:0"
[server.tls]
certificate = "{certificate}"
key = "{key}"
"""
BACKEND = """
[[backend]]
address = "a:1"
[backend.tls]
certificate = "{certificate}"
key = "{key}"
"""
DAY = 86400.0


def problems(text: str, now: float | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Credentials.read(Scenario.parse(text, "lb.toml"), now)
    return caught.value.problems


def encrypted(key: Path) -> None:
    private = load_pem_private_key(key.read_bytes(), None)
    form = PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")
    key.write_bytes(private.private_bytes(Encoding.PEM, *form))


@pytest.mark.parametrize("text", [LISTENER, BACKEND])
@pytest.mark.parametrize(
    ("wrong", "line", "key", "why"),
    [
        ("other key", 6, "key", "is not the key of {certificate}"),
        ("no key", 6, "key", "no such file or directory"),
        ("encrypted", 6, "key", "is encrypted; write it without a password"),
        ("key is none", 6, "key", "holds no private key in PEM"),
        ("key is spoilt", 6, "key", "is no key that can be read"),
        ("no certificate", 5, "certificate", "no such file or directory"),
        ("certificate is none", 5, "certificate", "holds no certificate in PEM"),
        ("certificate is spoilt", 5, "certificate", "holds no certificate that can be read"),
        ("directory", 5, "certificate", "is a directory"),
    ],
)
def test_what_is_wrong_with_a_pair_is_told_where_the_file_names_it(
    tmp_path: Path, text: str, wrong: str, line: int, key: str, why: str
) -> None:
    certificate, private = papers.written(tmp_path, "a.test")
    match wrong:
        case "other key":
            _, private = papers.written(tmp_path, "b.test")
        case "no key":
            private.unlink()
        case "encrypted":
            encrypted(private)
        case "key is none":
            private.write_text("hello")
        case "key is spoilt":
            private.write_text(private.read_text().replace("M", "N"))
        case "no certificate":
            certificate.unlink()
        case "certificate is none":
            certificate.write_text("hello")
        case "certificate is spoilt":
            certificate.write_text(certificate.read_text().replace("MII", "NJJ", 1))
        case "directory":
            certificate.unlink()
            certificate.mkdir()
    (problem,) = problems(text.format(certificate=certificate, key=private))
    table = "server" if text == LISTENER else "backend[0]"
    path = certificate if key == "certificate" else private
    said = f"lb.toml:{line} {table}.tls.{key}: {path}: {why.format(certificate=certificate)}"
    assert problem.startswith(said)


def test_a_certificate_outside_of_its_time_is_told_with_the_day(tmp_path: Path) -> None:
    certificate, key = papers.written(tmp_path, "a.test", days=-2)
    text = LISTENER.format(certificate=certificate, key=key)
    (problem,) = problems(text)
    assert f"lb.toml:5 server.tls.certificate: {certificate}: expired on 20" in problem
    (problem,) = problems(text, datetime(1999, 12, 31, tzinfo=UTC).timestamp())
    assert problem.endswith("is not valid before 2000-01-01 00:00:00 UTC")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    _, key = papers.written(tmp_path, "a.test")
    spoilt = tmp_path / "none.pem"
    text = LISTENER.format(certificate=spoilt, key=key)
    text += '[[listener]]\naddress = "a:1"\n[[listener.tls.certificates]]\n'
    text += f'certificate = "{spoilt}"\nkey = "{key}"\n'
    text += BACKEND.format(certificate=spoilt, key=key)
    text += f'[[backend]]\naddress = "b:1"\n[backend.tls]\nca = "{key}"\n'
    text += f'[[backend]]\naddress = "c:1"\n[backend.tls]\nca = "{spoilt}"\n'
    keys = [problem.split()[1] for problem in problems(text)]
    assert keys == [
        "server.tls.certificate:",
        "listener[0].tls.certificates[0].certificate:",
        "backend[0].tls.certificate:",
        "backend[1].tls.ca:",
        "backend[2].tls.ca:",
    ]


def test_files_that_are_only_simulated_need_no_certificates() -> None:
    Scenario.parse(LISTENER.format(certificate="none", key="none"))


# --- what they say


def test_a_certificate_says_for_whom_and_until_when_it_is() -> None:
    leaf = papers.issued("a.test", "*.b.test", "127.0.0.1", "::1", days=30)
    said = x509.read(PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode()))
    assert set(said.names) == {"a.test", "*.b.test", "127.0.0.1", "::1"}
    assert said.begins == datetime(2000, 1, 1, tzinfo=UTC).timestamp()
    assert abs(said.ends - time.time() - 30 * DAY) < DAY
    for name, fits in {
        "a.test": True,
        "A.Test": True,
        "x.a.test": False,
        "x.b.test": True,
        "b.test": False,
        "y.x.b.test": False,
        "127.0.0.1": True,
        "": False,
    }.items():
        assert said.is_for(name) is fits, name


def test_what_is_no_certificate_is_told() -> None:
    for der in (b"", b"\x30\x00", b"\x30\x03\x30\x01\x02", b"hello there, no certificate"):
        with pytest.raises(ValueError, match="not a certificate"):
            x509.read(der)


# --- the end of their time


def test_who_will_expire_is_told_in_time() -> None:
    expiry = {"far.pem": 100 * DAY, "near.pem": 20 * DAY, "gone.pem": -DAY}
    lines = list(soon(expiry, 0.0))
    assert lines == [
        "the certificate gone.pem has expired on 1969-12-31 00:00:00 UTC",
        "the certificate near.pem expires on 1970-01-21 00:00:00 UTC",
    ]
    told: list[tuple[str, str, object]] = []
    warn(lambda level, event, **fields: told.append((level, event, fields["file"])), expiry, 0.0)
    assert told == [
        ("error", "certificate has expired", "gone.pem"),
        ("warning", "certificate expires soon", "near.pem"),
    ]


# --- commands


def test_a_check_reads_certificates_and_says_which_will_expire(tmp_path: Path) -> None:
    certificate, key = papers.written(tmp_path, "a.test", days=5)
    file = tmp_path / "lb.toml"
    file.write_text(LISTENER.format(certificate=certificate.name, key=key.name))
    done = CliRunner().invoke(app, ["check", str(file)])
    assert done.exit_code == 0
    assert f"note: the certificate {certificate} expires on 20" in " ".join(done.output.split())
    key.write_text("hello")
    done = CliRunner().invoke(app, ["check", "--json", str(file)])
    assert isinstance(done.exception, ConfigError)
    assert done.exception.problems == [
        f"{file}:6 server.tls.key: {key}: holds no private key in PEM"
    ]
