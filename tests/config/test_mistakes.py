"""Mistakes in a file: each with its line, its key and why."""

from __future__ import annotations

import pytest

from tests.config.test_file import MODEL, complaints

TRAFFIC = "[traffic]\narrivals = {{ {} }}\n"

MISTAKES = {
    # the text, where the complaint points, and what it must say
    "unknown table": ("[sever]\n", "lb.toml:1 sever", "did you mean 'server'"),
    "the table once called verify": (
        "[verify]\np99 = 0.2\n",
        "lb.toml:1 verify",
        "this table is called [verdict]",
    ),
    "unknown key": (
        '[server]\nlisten = "h:1"\nlitsen = "h:2"\n',
        "lb.toml:3 server.litsen",
        "did you mean 'listen'",
    ),
    "unknown key, nothing near": (
        "[queue]\nxyz = 1\n",
        "lb.toml:2 queue.xyz",
        "discipline, interval, limit, max_lag, timeout",
    ),
    "unknown algorithm": (
        '# one\nalgorithm = "least_conections"\n',
        "lb.toml:2 algorithm",
        "did you mean 'least_connections'",
    ),
    "unknown parameter": (
        'algorithm = { name = "random", choices = 3 }\n',
        "lb.toml:1 algorithm",
        "'choices'",
    ),
    "a short form that sets nothing": (
        'algorithm = "p2c:3"\n',
        "lb.toml:1 algorithm",
        "NAME=VALUE",
    ),
    "a short form of what is unknown": (
        'algorithm = "p2d:choices=3"\n',
        "lb.toml:1 algorithm",
        "did you mean 'p2c'",
    ),
    "an algorithm by number": ("algorithm = 3\n", "lb.toml:1 algorithm", "a table, not 3"),
    "duration without a unit": ("[health]\ninterval = 30\n", "lb.toml:2 health.interval", "250ms"),
    "duration of zero": (
        '[health]\ntimeout = "0s"\n',
        "lb.toml:2 health.timeout",
        "greater than 0",
    ),
    "address without a port": ('[server]\nlisten = "h"\n', "lb.toml:2 server.listen", "host:port"),
    "port too large": ('[server]\nlisten = "h:99999"\n', "lb.toml:2 server.listen", "99999"),
    "negative rate": (
        TRAFFIC.format('process = "poisson", rate = -5'),
        "lb.toml:2 traffic.arrivals.rate",
        "greater than 0, not -5",
    ),
    "rate missing": (
        TRAFFIC.format('process = "poisson"'),
        "lb.toml:2 traffic.arrivals.rate",
        "missing",
    ),
    "unknown process": (
        TRAFFIC.format('process = "poison", rate = 5'),
        "lb.toml:2 traffic.arrivals",
        "did you mean 'poisson'",
    ),
    "times of a profile that do not ascend": (
        TRAFFIC.format('process = "profile", points = [["5s", 1], ["5s", 2]]'),
        "lb.toml:2 traffic.arrivals.points[1][0]",
        "5 s is not after the time before, 5 s",
    ),
    "a negative rate in a profile": (
        TRAFFIC.format('process = "profile", points = [["0s", 1], ["5s", -2]]'),
        "lb.toml:2 traffic.arrivals.points[1][1]",
        "greater than or equal to 0, not -2",
    ),
    "a profile in which nobody comes": (
        TRAFFIC.format('process = "profile", points = [["0s", 0], ["5s", 0]]'),
        "lb.toml:2 traffic.arrivals.points",
        "nobody would ever come",
    ),
    "a profile without points": (
        TRAFFIC.format('process = "profile", points = []'),
        "lb.toml:2 traffic.arrivals.points",
        "give at least one time and rate",
    ),
    "a point without a rate": (
        TRAFFIC.format('process = "profile", points = [["0s"]]'),
        "lb.toml:2 traffic.arrivals.points[0]",
        "a time and the rate there",
    ),
    "a profile of an unknown shape": (
        TRAFFIC.format('process = "profile", points = [["0s", 1]], shape = "stairs"'),
        "lb.toml:2 traffic.arrivals.shape",
        "linear, step",
    ),
    "a client that comes again less than never": (
        TRAFFIC.format('process = "poisson", rate = 1') + "client_retries = -1\n",
        "lb.toml:3 traffic.client_retries",
        "greater than or equal to 0, not -1",
    ),
    "patience without a law": (
        TRAFFIC.format('process = "poisson", rate = 1') + 'patience = { mean = "1s" }\n',
        "lb.toml:3 traffic.patience",
        "key 'law' is missing",
    ),
    "process missing": (TRAFFIC.format("rate = 5"), "lb.toml:2 traffic.arrivals", "process"),
    "traffic without arrivals": ("[traffic]\n", "lb.toml:1 traffic.arrivals", "missing"),
    "unknown law": (
        MODEL.format('law = "lognromal", mean = "1s", cv = 1'),
        "lb.toml:4 backend[0].model.service",
        "did you mean 'lognormal'",
    ),
    "parameter of another law": (
        MODEL.format('law = "exponential", mean = "1s", cv = 2'),
        "lb.toml:4 backend[0].model.service.cv",
        "unknown key",
    ),
    "hyperexponential below one": (
        MODEL.format('law = "hyperexponential", mean = "1s", cv = 0.5'),
        "lb.toml:4 backend[0].model.service.cv",
        "greater than or equal to 1",
    ),
    "uniform upside down": (
        MODEL.format('law = "uniform", low = "2s", high = "1s"'),
        "lb.toml:4 backend[0].model.service",
        "low is above high",
    ),
    "no workers": (
        MODEL.format('law = "exponential", mean = "1s"') + "workers = 0\n",
        "lb.toml:5 backend[0].model.workers",
        "not 0",
    ),
    "unknown discipline": (
        MODEL.format('law = "exponential", mean = "1s"') + 'discipline = "lifo"\n',
        "lb.toml:5 backend[0].model.discipline",
        "fifo, ps",
    ),
    "negative weight": (
        '[[backend]]\naddress = "h:1"\nweight = -1\n',
        "lb.toml:3 backend[0].weight",
        "above zero, not -1",
    ),
    "weight of zero": (
        '[[backend]]\naddress = "h:1"\nweight = 0\n',
        "lb.toml:3 backend[0].weight",
        "above zero, not 0",
    ),
    "weight in words": (
        '[[backend]]\naddress = "h:1"\nweight = "heavy"\n',
        "lb.toml:3 backend[0].weight",
        "above zero, not 'heavy'",
    ),
    "endless weight": (
        '[[backend]]\naddress = "h:1"\nweight = inf\n',
        "lb.toml:3 backend[0].weight",
        "not inf",
    ),
    "address missing": ("[[backend]]\nweight = 2\n", "lb.toml:1 backend[0].address", "missing"),
    "in the second backend": (
        '[[backend]]\naddress = "h:1"\n\n[[backend]]\naddress = "h:2"\nwieght = 2\n',
        "lb.toml:6 backend[1].wieght",
        "did you mean 'weight'",
    ),
    "address twice": (
        '[[backend]]\naddress = "h:1"\n[[backend]]\naddress = "h:1"\n',
        "lb.toml:4 backend[1].address",
        "backend h:1 is given twice, first as backend[0]",
    ),
    "name twice": (
        '[[backend]]\naddress = "h:1"\nname = "x"\n[[backend]]\naddress = "h:2"\nname = "x"\n',
        "lb.toml:6 backend[1].name",
        "backend x is given twice, first as backend[0]",
    ),
    "a name that is the address of another": (
        '[[backend]]\naddress = "h:1"\n[[backend]]\naddress = "h:2"\nname = "h:1"\n',
        "lb.toml:5 backend[1].name",
        "backend h:1 is given twice",
    ),
    "one backend as a table": ('[backend]\naddress = "h:1"\n', "lb.toml:1 backend", "a list"),
    "a value for a table": ("server = true\n", "lb.toml:1 server", "a table, not true"),
    "the name used in code": ('[[backends]]\naddress = "h:1"\n', "lb.toml:1 backends", "'backend'"),
    "a setting in a table of its own": (
        '[algorithm]\nname = "p2c"\nchoices = "many"\n',
        "lb.toml:3 algorithm.choices",
        "a whole number",
    ),
    "a dotted key": ('# a\nserver . lissten = "h:1"\n', "lb.toml:2 server.lissten", "'listen'"),
    "a quoted key": ('["server"]\n"lissten" = "h:1"\n', "lb.toml:2 server.lissten", "'listen'"),
    "the second of two in a list over several lines": (
        'backend = [\n  { address = "h:1" }, # [[backend]]\n  { address = "h:1" },\n]\n',
        "lb.toml:3 backend[1].address",
        "backend h:1 is given twice",
    ),
    "a date": ("[run]\nseed = 2026-01-02\n", "lb.toml:2 run.seed", "not 2026-01-02"),
    "one of several networks": (
        '[server]\ntrusted_proxies = [\n  "10.0.0.0/8", # ours\n  "nowhere",\n]\n',
        "lb.toml:4 server.trusted_proxies[1]",
        "nowhere",
    ),
    "no backends": ("backend = []\n", "lb.toml:1 backend", "no backends"),
    "duration and requests": (
        '[run]\nduration = "1s"\nrequests = 5\n',
        "lb.toml:1 run",
        "not both",
    ),
    "warm-up in words": ('[run]\nwarmup = "some"\n', "lb.toml:2 run.warmup", "250ms"),
    "no replication": ("[run]\nreplications = 0\n", "lb.toml:2 run.replications", "not 0"),
    "share above one": ("[retries]\nbudget = 1.5\n", "lb.toml:2 retries.budget", "not 1.5"),
    "half a try": (
        "[retries]\nmax = 0.5\n",
        "lb.toml:2 retries.max",
        "should be a whole number, not 0.5",
    ),
    "a number for a text": ("key = 1\n", "lb.toml:1 key", "should be a text in quotes, not 1"),
    "expected status": (
        '[health]\nexpect = "2xx"\n',
        "lb.toml:2 health.expect",
        "'2xx' is no status",
    ),
    "no such status": (
        '[health]\nexpect = "600"\n',
        "lb.toml:2 health.expect",
        "'600' is no status",
    ),
    "a path of our own": (
        '[server]\nstats_path = "stats"\n',
        "lb.toml:2 server.stats_path",
        "'stats' is no path",
    ),
    "HTTP by the back door": (
        '[server]\nupgrades = ["H2C"]\n',
        "lb.toml:2 server.upgrades[0]",
        "would pass requests that nobody has looked at",
    ),
    "a protocol that is none": (
        '[server]\nupgrades = ["websocket",\n"a b"]\n',
        "lb.toml:3 server.upgrades[1]",
        "'a b' is no protocol",
    ),
    "statuses backwards": (
        '[health]\nexpect = "299-200"\n',
        "lb.toml:2 health.expect",
        "ends before it begins",
    ),
    "health path": ('[health]\npath = "health"\n', "lb.toml:2 health.path", "health"),
    "unknown key of requests": ('key = "heder:X"\n', "lb.toml:1 key", "did you mean 'header:X'"),
    "key, nothing near": ('key = "zzz"\n', "lb.toml:1 key", "client_ip, header:NAME, cookie:NAME"),
    "key without a name": ('key = "cookie"\n', "lb.toml:1 key", 'write "cookie:NAME"'),
    "key with a name too many": ('key = "path:/x"\n', "lb.toml:1 key", "path takes no name"),
    "key that no header is": ('key = "header:a b"\n', "lb.toml:1 key", "'a b' is no name"),
    "not a network": (
        '[server]\ntrusted_proxies = ["10.0.0.0/8", "nowhere"]\n',
        "lb.toml:2 server.trusted_proxies[1]",
        "nowhere",
    ),
    "an upgrade past all rules": (
        '[server]\nupgrades = ["websocket", "H2C"]\n',
        "lb.toml:2 server.upgrades[1]",
        "H2C would pass requests that nobody has looked at",
    ),
    "an upgrade that is no protocol": (
        '[server]\nupgrades = ["web socket"]\n',
        "lb.toml:2 server.upgrades[0]",
        "is no protocol",
    ),
}


@pytest.mark.parametrize(("text", "where", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, where: str, what: str) -> None:
    (problem,) = complaints(text)
    place, _, why = problem.partition(": ")
    assert place.startswith(where)
    assert what in why


def test_every_mistake_is_told_at_once_in_the_order_of_the_lines() -> None:
    text = """\
algorithm = "rond_robin"
[health]
intervall = "1s"
rise = 0
[[backend]]
address = "h:1"
weight = -2
[traffic]
arrivals = { process = "poisson", rate = "often" }
"""
    places = [problem.split(" ")[0] for problem in complaints(text)]
    assert places == [f"lb.toml:{line}" for line in (1, 3, 4, 7, 9)]
