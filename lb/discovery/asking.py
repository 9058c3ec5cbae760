"""Asking name servers ourselves: of records that the system's resolver does not tell, or does not
know. UDP, and TCP where an answer has been cut short.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple

from lb.system import reason

PAYLOAD = 1232
"""Bytes of an answer by UDP that pass everywhere in one piece (DNS flag day 2020)."""
EACH = 2.0
"""Seconds that one server may take before the next one is asked, at most."""


class Unanswered(Exception):
    """Nobody could be asked, or nobody knows: this says nothing of the name."""


class Records(NamedTuple):
    """What there is of one kind; none where there is no such name."""

    values: tuple[Any, ...] = ()
    holds: float = 0.0
    """Seconds: their TTL."""
    beside: Sequence[Any] = ()
    """Sets of other records, which came along."""


class NameServers:
    """For questions that belong together, and share one limit of time. May be made for each."""

    def __init__(self, servers: Sequence[tuple[str, int]], timeout: float) -> None:
        """Those of /etc/resolv.conf, with its search list, where none is given.

        Raises Unanswered.
        """
        # Costs a tenth of a second, and most files have no need of it.
        from dns.exception import DNSException
        from dns.nameserver import Do53Nameserver
        from dns.resolver import Resolver

        self._timeout = timeout
        self._ends = monotonic() + timeout
        self._search = not servers
        try:
            self._resolver = Resolver(configure=not servers)
        except (DNSException, OSError) as error:
            raise Unanswered(str(error).rstrip(".")) from None
        if servers:
            self._resolver.nameservers = [Do53Nameserver(host, port) for host, port in servers]
        self._resolver.timeout = min(EACH, timeout / (len(self._resolver.nameservers) + 1))
        self._resolver.use_edns(0, 0, PAYLOAD)

    def records(self, name: str, kind: str) -> Records:
        """All of a kind: "A", "AAAA", "SRV". Raises Unanswered."""
        from dns.exception import DNSException, Timeout
        from dns.resolver import NXDOMAIN, NoNameservers

        try:
            answer = self._resolver.resolve(
                name,
                kind,
                raise_on_no_answer=False,
                lifetime=max(self._ends - monotonic(), 0.001),
                search=self._search,
            )
        except NXDOMAIN:
            return Records()
        except Timeout:
            raise Unanswered(f"no answer of a name server within {self._timeout:g} s") from None
        except NoNameservers as error:
            raise Unanswered(_whys(error.kwargs.get("errors", ()))) from None
        except DNSException as error:
            raise Unanswered(str(error).rstrip(".") or type(error).__name__) from None
        if answer.rrset is None:
            return Records()
        return Records(
            tuple(answer.rrset),
            float(answer.chaining_result.minimum_ttl),
            answer.response.additional,
        )


def _whys(errors: Sequence[tuple[Any, ...]]) -> str:
    """Of every server what came of it: `SERVFAIL from 10.0.0.2:53`."""
    said = {_place(server): why for server, _, _, why, _ in errors}
    return ", ".join(f"{_told(why)} from {server}" for server, why in said.items()) or "no server"


def _place(server: str) -> str:
    """Of what dnspython writes as Do53:ADDRESS@PORT."""
    host, _, port = server.removeprefix("Do53:").rpartition("@")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _told(why: object) -> str:
    if isinstance(why, OSError):
        return reason(why)
    return str(why).rstrip(".") or type(why).__name__
