"""Lines of access logs, and what is read of files that hold them."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Any

import pytest

from lb.errors import ConfigError
from lb.recording.format import ENDS
from lb.traces.observed import Observed
from lb.traces.observing import observe

HAPROXY = (
    "10.0.1.2:33317 [06/Feb/2026:12:14:14.655] web~ pool/a 10/20/30/40/109 200 2750 sid=x - "
    '---- 1/1/1/1/0 0/0 {k1|other} {} "GET /index.html?q=1 HTTP/1.1"'
)
COMBINED = '1.2.3.4 - - [29/Nov/2026:03:43:23 +0000] "GET /a?b=1 HTTP/1.1" 200 612 "-" "curl/8 (x)"'
TIMED = (
    COMBINED + ' msec=1764387803.500 rt=0.300 ua="10.0.0.1:80, 10.0.0.2:80" us="502, 200" '
    'uct="-, 0.010" uht="-, 0.050" urt="0.100, 0.180" rl=99'
)
CADDY = (
    '{"ts": 1764387803.5, "request": {"remote_ip": "10.0.0.9", "uri": "/x"}, "duration": 0.3, '
    '"size": 87, "status": 200}'
)


def seen(at: Path, *lines: str, key: str = "client_ip", **fields: str) -> Observed:
    file = at / "access.log"
    file.write_text("".join(f"{line}\n" for line in lines))
    return observe(str(file), key, fields or None)


def refused(at: Path, *lines: str, key: str = "client_ip", **fields: str) -> str:
    with pytest.raises(ConfigError) as error:
        seen(at, *lines, key=key, **fields)
    (problem,) = error.value.problems
    return problem.removeprefix(f"{at}/access.log")


def tries(found: Observed) -> list[tuple[Any, ...]]:
    it = found.attempts
    return [
        (
            found.backends[it.backend[row]],
            *(
                None if isnan(column[row]) else round(column[row], 6)
                for column in (it.started, it.connected, it.first_byte, it.ended)
            ),
            ENDS[it.outcome[row]],
        )
        for row in range(len(it))
    ]
