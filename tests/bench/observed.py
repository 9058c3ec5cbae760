"""What it costs a request to be told of: access log, ids, a recording, and all that is measured."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench import load, origin
from tests.bench.contenders import COMPILED, compiled, pure
from tests.bench.peers import Contender
from tests.bench.proxies import BACKENDS, cpu_of_a_request
from tests.bench.rounds import Sample, Say, alternating, started, summaries

NOTHING = "nothing"
TABLES = {
    NOTHING: "",
    "access log, JSON": '[access_log]\nfile = "{directory}/access.log"\n',
    "access log, combined": '[access_log]\nfile = "{directory}/access.log"\nformat = "combined"\n',
    "access log, 1 % of it": '[access_log]\nfile = "{directory}/access.log"\nsample = 0.01\n',
    "request id and traceparent": '[tracing]\nrequest_id = "X-Request-ID"\ntraceparent = true\n',
}
RECORDED, SAMPLED = "recording", "recording, 10 % of it"
FLAGS = {
    RECORDED: ("--record", "{directory}/run.rec"),
    SAMPLED: ("--record", "{directory}/run.rec", "--record-sample", "0.1"),
}
TARGETS = {"access log, JSON": 1.25, "access log, 1 % of it": 1.03, RECORDED: 1.05}
"""CPU per request, times that without it, at most."""
FILE = """{more}
[server]
listen = "127.0.0.1:{port}"
{backends}"""


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    """Microseconds of CPU per small GET, of one build in all these ways."""
    rounds, seconds = (7, 0.5) if quick else (15, 1.0)
    build = compiled() if COMPILED not in without else pure()
    found = [_telling(build, name, text) for name, text in TABLES.items()]
    found += [_telling(build, name, "", flags) for name, flags in FLAGS.items()]
    with started(found, origin.command, BACKENDS) as (proxies, _):

        def sample(name: str) -> Sample:
            return cpu_of_a_request(*proxies[name], seconds, "fields")

        samples = alternating("telling", list(proxies), rounds, sample, say)
    return {
        "targets": TARGETS,
        "rounds": rounds,
        "seconds_per_round": seconds,
        "load": load.described(),
        "build": build.version,
        "ways": summaries(samples, "cpu_us"),
    }


def _telling(build: Contender, name: str, text: str, flags: Sequence[str] = ()) -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        rows = "".join(f'[[backend]]\naddress = "127.0.0.1:{one}"\n' for one in origins)
        file = directory / "lb.toml"
        more = text.replace("{directory}", str(directory))
        file.write_text(FILE.format(more=more, port=port, backends=rows))
        more_flags = [flag.replace("{directory}", str(directory)) for flag in flags]
        return [sys.executable, "-m", "lb", "serve", "-c", str(file), *more_flags]

    return replace(build, name=name, command=command)
