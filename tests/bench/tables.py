"""README's tables of speed: `python -m tests.bench.tables` writes them from the stored figures.

`python -m tests.bench --save` stores what it measured in FIGURES and does the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lb.markdown import table
from tests.bench.contenders import BESIDE, COMPILED, EMBEDDED, PURE, RELAY
from tests.bench.processes import ROOT

FIGURES = Path(__file__).with_name("figures.json")
README = ROOT / "README.md"
BEGIN, END = "<!-- figures: python -m tests.bench.tables -->\n", "<!-- end of figures -->\n"
BUILDS = {COMPILED: "compiled", PURE: "pure"}
MARKS = {RELAY: "bare relay", EMBEDDED: "aiohttp's server and client"}
PEERS = {"haproxy": "HAProxy", "nginx": "nginx", "caddy": "Caddy"}
RAW = ("rounds", "ratios")
"""Lists that are not stored: what they come to stands beside them."""
Figures = dict[str, Any]


def stored() -> Figures:
    """What was measured last."""
    found: Figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def store(results: Figures) -> None:
    """Keep results; parts that were not measured stay as they are. README follows."""
    before = stored() if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(before | _short(results), indent=1) + "\n", encoding="utf-8")
    rewrite()


def rewrite() -> None:
    """README's part between the two marks, anew."""
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    README.write_text(before + begin + written(stored()) + end + after, encoding="utf-8")


def written(figures: Figures) -> str:
    """Tables of all parts that were measured, in Markdown."""
    parts = [_about(figures)]
    parts += [write(figures) for name, write in _PARTS.items() if name in figures]
    return "\n".join(parts)


def _short(value: Any) -> Any:
    """Four digits are more than anything repeats to."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {
            key: _short(one)
            for key, one in value.items()
            if not (key in RAW and isinstance(one, list | dict))
        }
    return [_short(one) for one in value] if isinstance(value, list) else value


def _about(figures: Figures) -> str:
    about = figures["about"]
    measured: dict[str, list[str]] = {}
    for name in _PARTS:
        if name in figures:
            measured.setdefault(figures[name]["commit"], []).append(name)
    commits = "; ".join(f"{', '.join(names)} at {one}" for one, names in measured.items())
    built = f"{about['python_built']}, {about['python_compiler']}"
    return (
        f"{about['python']} ({built}) on {about['processor']}, {about['cores']} cores, "
        f"{about['system']}; {about['build']}; load of the machine "
        f"{about['load_average'][0]:.1f} when it began; {commits}.\n"
    )


def _proxy(figures: Figures) -> str:
    result = figures["proxy"]
    versions = {name: told["version"] for name, told in result["proxies"].items()}
    peers = [name for name in PEERS if name in versions]
    shared = BESIDE in versions
    heads = ["CPU of a request", "build", "us"]
    heads += [f"beside {PEERS[name]} {_major(versions[name])}" for name in peers]
    heads += ["of the version before", "target"] if shared else []
    rows = []

    def target(name: str, case: str) -> str:
        return _number(result["targets"].get(name, {}).get(case), ".2f")

    for case, proxies in result["cases"].items():
        for name, build in {**BUILDS, **MARKS}.items():
            if name in proxies:
                mine = proxies[name]
                row = [case, build, f"{mine['cpu_us']:.1f}"]
                row += [f"{mine['over'][peer]['median']:.2f}" for peer in peers]
                if shared:
                    row += [_spread(mine["over"][BESIDE]), target(name, case)]
                rows.append(row)
    return table(heads, rows, left=1)


def _spread(over: dict[str, float]) -> str:
    return f"{over['median']:.2f} ({over['low']:.2f} to {over['high']:.2f})"


def _major(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _tls(figures: Figures) -> str:
    result = figures["tls"]
    peers = [name for name in PEERS if name in result["proxies"]]
    heads = ["CPU of a request", "build", "us"]
    heads += [f"beside {PEERS[name]} {_major(result['proxies'][name])}" for name in peers]
    rows = []
    for case, proxies in result["cases"].items():
        for name, build in BUILDS.items():
            if name in proxies:
                mine = proxies[name]
                over = [f"{mine['over'][peer]['median']:.2f}" for peer in peers]
                rows.append([case, build, f"{mine['cpu_us']:.1f}", *over])
    return (
        table(heads, rows, left=1) + f"\nAt most {result['target']:g} times nginx is the target.\n"
    )


def _bodies(figures: Figures) -> str:
    result = figures["bodies"]
    heads = ["bytes for a CPU second, beside HAProxy", *BUILDS.values(), "at least"]
    rows = [
        [
            case,
            *(_number(proxies.get(name, {}).get("ratio"), ".2f") for name in BUILDS),
            f"{result['target_ratio']:g}",
        ]
        for case, proxies in result["cases"].items()
    ]
    return table(heads, rows, left=1)


def _latency(figures: Figures) -> str:
    result = figures["latency"]
    added, names = result["added"], {"p50": "p50", "p99": "p99", "p999": "p99.9"}
    who = {**BUILDS, "haproxy": "HAProxy"}
    rows = [
        [
            f"added at {result['rate']:,} requests/s, {names[key]}",
            *(_ms(added.get(name, {}).get(key)) for name in who),
            _ms(bound),
        ]
        for key, bound in result["targets"].items()
    ]
    pauses = result["pauses"]
    rows.append(
        [
            f"longest collection, {pauses['connections']:,} connections at that rate",
            *(_ms(pauses["builds"].get(name, {}).get("longest")) for name in BUILDS),
            "",
            _ms(pauses["target"]),
        ]
    )
    return table(["latency", *who.values(), "at most"], rows, left=1)


def _many(figures: Figures) -> str:
    rows: list[list[str]] = []
    if backends := figures.get("backends"):
        cases = backends["cases"]
        rows.append(
            [
                f"CPU of a request with {backends['many']:,} backends, beside {backends['few']}",
                *(_number(cases.get(name, {}).get("ratio"), ".2f") for name in BUILDS),
                f"{backends['target']:g}",
            ]
        )
    builds = figures["connections"]["builds"]
    idle, fresh = figures["connections"]["idle"], figures["connections"]["fresh"]

    def row(what: str, part: str, key: str, form: str, bound: str) -> list[str]:
        found = (builds.get(name, {}).get(part, {}).get(key) for name in BUILDS)
        return [what, *(_number(one, form) for one in found), bound]

    clients = f"{idle['connections']:,} idle clients"
    left = f"after fresh connections, {fresh['per_second']} a second, "
    rows += [
        row(f"{clients}: share of a core", "idle", "share", ".2%", f"{idle['target_share']:.0%}"),
        row(f"{clients}: KiB each", "idle", "kib_each", ".1f", f"{idle['target_kib']}"),
        row(f"{left}descriptors left", "fresh", "descriptors_left", "d", "0"),
        row(f"{left}MiB left", "fresh", "mib_left", ".2f", f"{fresh['target_mib']}"),
    ]
    return table(["many", *BUILDS.values(), "at most"], rows, left=1)


def _simulator(figures: Figures) -> str:
    result = figures["simulator"]
    builds = {name: word for name, word in BUILDS.items() if name in result["builds"]}
    heads = ["simulated requests, times as many as plain SimPy"]
    heads += [head for word in builds.values() for head in (word, "at least")]
    rows = []
    for case in next(iter(result["builds"].values())):
        row = [case]
        for name in builds:
            row += [f"{result['builds'][name][case]['multiple']:.1f}"]
            row += [_number(result["targets"][name].get(case), "g")]
        rows.append(row)
    processes = result["processes"]
    row = [f"whole processes, {processes['requests']:,} requests of round robin"]
    for name in builds:
        row += [f"{processes['builds'][name]['multiple']:.1f}", ""]
    rows.append(row)
    starts = [f"{processes['builds'][name]['start']:.2f} s {word}" for name, word in builds.items()]
    return (
        table(heads, rows, left=1)
        + f"\nCPU of `lb simulate` for a single request, Python's start and all imports in it: "
        f"{', '.join(starts)} (target {processes['start_target']:g} s).\n"
    )


_PARTS = {
    "proxy": _proxy,
    "tls": _tls,
    "bodies": _bodies,
    "latency": _latency,
    "connections": _many,
    "simulator": _simulator,
}


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.2f} ms"


if __name__ == "__main__":
    rewrite()
