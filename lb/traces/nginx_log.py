"""nginx's access log: any `log_format`, and the usual ones without being told.

Of what the time of a line means: it is written when the request has ended, so `$msec` and
`$time_local` are ends, and `$request_time` counts from the first byte of the request to then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lb.traces.dates import moment
from lb.traces.sighting import Sighting, Told, key_of, sighting

RECOMMENDED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" msec=$msec rt=$request_time ua="$upstream_addr" '
    'us="$upstream_status" uct="$upstream_connect_time" uht="$upstream_header_time" '
    'urt="$upstream_response_time" rl=$request_length'
)
"""All that there is to calibrate from, behind what everybody reads."""
INGRESS = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] '
    "[$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length "
    "$upstream_response_time $upstream_status $req_id"
)
"""Kubernetes' ingress-nginx."""
VARIABLES = {
    "msec": "ended",
    "time_iso8601": "ended",
    "time_local": "ended",
    "request_time": "total",
    "upstream_connect_time": "connect",
    "upstream_header_time": "header",
    "upstream_response_time": "response",
    "upstream_addr": "backend",
    "upstream_status": "answer",
    "status": "status",
    "remote_addr": "client",
    "request": "request",
    "request_uri": "uri",
    "uri": "uri",
    "request_length": "bytes_in",
    "bytes_sent": "bytes_out",
    "body_bytes_sent": "bytes_out",
}
"""What each of nginx's variables tells, the better one of two first."""
LABELS = {
    **{name: name for name in VARIABLES},
    "t": "msec",
    "ts": "msec",
    "time": "msec",
    "timestamp": "msec",
    "rt": "request_time",
    "reqtime": "request_time",
    "duration": "request_time",
    "uct": "upstream_connect_time",
    "uht": "upstream_header_time",
    "urt": "upstream_response_time",
    "upstream_time": "upstream_response_time",
    "upstream_response": "upstream_response_time",
    "uptime": "upstream_response_time",
    "ua": "upstream_addr",
    "uaddr": "upstream_addr",
    "upstream": "upstream_addr",
    "ups": "upstream_addr",
    "us": "upstream_status",
    "ust": "upstream_status",
    "rl": "request_length",
    "uri": "uri",
}
"""What people call them in lines of the kind `rt=0.1 uct="0.0"`."""
SECONDS = re.compile(r"\d+\.\d+|-")
NEEDED = {"total": "$request_time", "backend": "$upstream_addr"}
WORTH = {
    "connect": "attempts.connected",
    "header": "attempts.first_byte",
    "response": "attempts.ended",
    "bytes_in": "bytes_in",
}
"""What else a line may tell, and the column that there is not without it."""
ADVICE = f"log_format timed '{RECOMMENDED}'"
_PREFIX = re.compile(
    r"(?P<remote_addr>\S+) \S+ [^\[]*\[(?P<time_local>[^\]]+)\] \"(?P<request>[^\"]*)\" "
    r"(?P<status>\d{3}) (?P<body_bytes_sent>\d+|-)(?: \"[^\"]*\" \"[^\"]*\")?(?P<rest>.*)"
)
_LABELLED = re.compile(
    r"(?<![\w.-])([A-Za-z_][\w.-]*)\s*[=:]\s*"
    r"(?:\"([^\"]*)\"|'([^']*)'|\[([^\]]*)\]|([^\s\",]+(?:(?:, | : )[^\s\",=]+(?![\w.-]*=))*))"
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class NginxLog:
    """Lines of one format, whose variables are found by `pattern`, or labels behind the prefix."""

    def __init__(
        self, name: str, key: str, found: Mapping[str, str], pattern: re.Pattern[str] | None
    ):
        self.name = name
        self._key = key
        self._pattern = pattern
        known = {VARIABLES.get(it, _field(it)) for it in found}
        self.told = known
        self.resolution = 1e-3 if found.get("msec") or _fine(found.get("time_iso8601")) else 1.0
        self.lacking = frozenset(column for word, column in WORTH.items() if word not in known)

    def missing(self) -> list[str]:
        """Variables without which nothing can be calibrated."""
        absent = [name for word, name in NEEDED.items() if word not in self.told]
        if "response" in self.told:
            absent = [name for name in absent if name != NEEDED["total"]]
        return absent

    def read(self, text: str) -> Sighting | str:
        found = variables(text, self._pattern)
        if found is None:
            raise ValueError(f"not a line of {self.name}")
        times: dict[str, float] = {}
        texts: dict[str, str] = {}
        for name, value in found.items():
            word = VARIABLES.get(name, _field(name))
            if word == "ended":
                better = "msec" in found and name != "msec"
                if not better:
                    times["ended"] = moment(value)[0]
            elif word not in texts:
                texts[word] = value
        return sighting(Told(times, texts, {}), key_of(self._key, texts))


def _field(variable: str) -> str:
    """`http_x_key` -> `header:x-key`."""
    for prefix, kind in (("http_", "header"), ("cookie_", "cookie")):
        if variable.startswith(prefix):
            return f"{kind}:{variable.removeprefix(prefix).replace('_', '-')}"
    return variable


def _fine(text: str | None) -> bool:
    return text is not None and "." in text


def variables(text: str, pattern: re.Pattern[str] | None) -> dict[str, str] | None:
    """Every variable of a line by its name; None where it is no such line."""
    if pattern is not None:
        match = pattern.fullmatch(text.rstrip("\r\n"))
        return None if match is None else match.groupdict()
    match = _PREFIX.match(text)
    if match is None:
        return None
    found = match.groupdict()
    rest = found.pop("rest")
    for name, *values in _LABELLED.findall(rest):
        variable = LABELS.get(name.lower(), name.lower())
        found[variable] = next(filter(None, values), "-")
    return found


def compiled(log_format: str) -> re.Pattern[str]:
    """What reads lines of `log_format`, in nginx's words. Raises ValueError."""
    pieces: list[str] = []
    seen: set[str] = set()
    at = 0
    for match in _VARIABLE.finditer(log_format):
        literal = log_format[at : match.start()]
        name = match[1] or match[2]
        pieces.append(re.escape(literal))
        following = log_format[match.end() : match.end() + 1]
        pieces.append(_piece(name, literal[-1:], following, again=name in seen))
        seen.add(name)
        at = match.end()
    if not seen:
        raise ValueError(f"{log_format!r} has no variable, such as $request_time")
    pieces.append(re.escape(log_format[at:]))
    return re.compile("".join(pieces))


def _piece(name: str, before: str, behind: str, *, again: bool) -> str:
    quoted = before == behind and before in ('"', "'")
    value = rf"[^{before}]*" if quoted else r"[^\]]*" if (before, behind) == ("[", "]") else ".*?"
    if name.startswith("upstream_") and not quoted:
        value = r"(?:[^\s,]+(?:(?:, | : )[^\s,]+)*)?"
    return f"(?:{value})" if again else f"(?P<{name}>{value})"


def usual(key: str, first: str) -> Iterator[NginxLog]:
    """Forms that `first`, a line, may be of."""
    pattern = compiled(INGRESS)
    found = variables(first, pattern)
    if found is not None and SECONDS.fullmatch(found["request_time"]):
        yield NginxLog("ingress-nginx", key, found, pattern)
    found = variables(first, None)
    if found is not None:
        bare = set(found) <= set(_PREFIX.groupindex)
        name = "the common or combined log format" if bare else "nginx's access log"
        yield NginxLog(name, key, found, None)
