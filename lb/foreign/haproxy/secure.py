"""HAProxy's TLS, towards clients and towards servers, as words of a `bind` and of a `server`."""

from __future__ import annotations

from collections.abc import Iterator

from lb.aside import is_address
from lb.config import BackendTable, Listener, host_and_port
from lb.config.places import Place
from lb.foreign import common
from lb.foreign.exported import Lacks
from lb.foreign.haproxy.words import word


def clients(one: Listener, lacks: Lacks) -> Iterator[str]:
    """How clients speak there."""
    if one.tls is None:
        return
    yield "ssl"
    for inside, certificate, key in one.tls.pairs():
        yield f"crt {_file(certificate, key, (*one.place, *inside, 'key'), lacks)}"
    yield f"ssl-min-ver TLSv{one.tls.min_version} alpn http/1.1"


def server(row: BackendTable, lacks: Lacks, number: int) -> Iterator[str]:
    """How a server is spoken to."""
    tls = row.tls
    if tls is None:
        return
    place = ("backend", number, "tls")
    yield "ssl"
    if tls.verify:
        yield f"verify required ca-file {word(common.path(tls.ca)) if tls.ca else '@system-ca'}"
        host = tls.server_name or host_and_port(common.ascii_address(row.address))[0]
        if is_address(host):
            why = "it looks for names in certificates, not for addresses: any of that CA's will do"
            lacks.add((*place, "server_name"), why)
        else:
            yield f"verifyhost {host} sni str({host}) check-sni {host}"
    else:
        yield "verify none"
    if tls.certificate is not None:
        yield f"crt {_file(tls.certificate, str(tls.key), (*place, 'key'), lacks)}"


def _file(certificate: str, key: str, place: Place, lacks: Lacks) -> str:
    """The certificate's, beside which its key is looked for."""
    if key not in (certificate, f"{certificate}.key"):
        why = f"it is looked for beside the certificate: ln -s {key} {certificate}.key"
        lacks.add(place, why)
    return word(common.path(certificate))
