"""The figures as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.contenders import COMPILED, EMBEDDED, PURE, RELAY
from tests.bench.workers import CORES, FRESH, KEPT, ONE, TWO


def show(results: dict[str, Any], console: Console) -> None:
    """Print whatever was measured."""
    for name, print_one in _TABLES.items():
        if name in results:
            print_one(results[name], console)


def _about(about: dict[str, Any], console: Console) -> None:
    built = f"{about['python_built']}, {about['python_compiler']}"
    loads = ", ".join(f"{load:.2f}" for load in about["load_average"])
    console.print(f"{about['commit']}; this build: {about['build']}")
    console.print(f"{about['python']} ({built}); its loop takes {about['loop_us']:.1f} us")
    console.print(
        f"{about['processor']}, {about['cores']} cores; {about['system']}; load {loads}\n"
    )


def _proxy(result: dict[str, Any], console: Console) -> None:
    names = list(result["proxies"])
    others = [name for name in names if name not in (COMPILED, PURE, RELAY, EMBEDDED)]
    for case, proxies in result["cases"].items():
        title = f"CPU per proxied request: {case}; us, and times that of others"
        heads = ("us", *(name.removeprefix("lb ") for name in others), "half of the rounds")
        table = _table(console, title, "proxy", *heads)
        for name, row in proxies.items():
            table.add_row(
                name,
                f"{row['cpu_us']:.1f}",
                *("" if name == one else f"{row['over'][one]['median']:.2f}" for one in others),
                _spread(row["over"][others[0]]) if others and name != others[0] else "",
            )
        console.print(table)
        busy, load = (max(row[key] for row in proxies.values()) for key in ("busy", "load_busy"))
        console.print(
            f"  median of {result['rounds']} rounds; proxies took up to {busy:.0%} of their core, "
            f"the load up to {load:.0%} of its own"
        )
        for name, bounds in result["targets"].items():
            share = proxies.get(name, {}).get("over", {}).get("lb beside")
            if share is not None:
                bound = f"{bounds[case]:g}"
                what = f"{name}, share of the checkout beside"
                console.print(_target(what, f"{share['median']:.3f}", "at most", bound))
    console.print("\nWhat ran:")
    for name, about in result["proxies"].items():
        console.print(f"  {name} ({about['version']}): {about['setup']}")
    for name in result["not_installed"]:
        console.print(f"  {name}: not installed, not measured")
    console.print(f"  origin: {result['origin']}; load: {result['load']}")
    pinned = result["pinned"]
    console.print(
        "  not pinned: fewer than two cores"
        if pinned is None
        else f"  proxies on core {pinned['proxy']}, load and backends on core {pinned['rest']}"
    )
    console.print()


def _spread(over: dict[str, float]) -> str:
    """Half of the rounds lie between them."""
    return f"{over['low']:.2f}-{over['high']:.2f}"


def _observed(result: dict[str, Any], console: Console) -> None:
    table = _table(
        console, f"CPU per request that is told of, {result['build']}", "", "us", "times", "half"
    )
    for name, row in result["ways"].items():
        over = row["over"][next(iter(result["ways"]))]
        table.add_row(name, f"{row['cpu_us']:.1f}", f"{over['median']:.3f}", _spread(over))
    console.print(table)
    for name, bound in result["targets"].items():
        over = result["ways"][name]["over"][next(iter(result["ways"]))]
        console.print(_target(name, f"{over['median']:.3f}", "at most", f"{bound:g}"))
    console.print()


def _tls(result: dict[str, Any], console: Console) -> None:
    for case, proxies in result["cases"].items():
        others = [name for name in ("nginx", "haproxy") if name in proxies]
        table = _table(
            console, f"CPU per proxied {case}; us, and times that of", "proxy", "us", *others
        )
        for name, row in proxies.items():
            over = ("" if name == one else _spread(row["over"][one]) for one in others)
            table.add_row(name, f"{row['cpu_us']:.1f}", *over)
        console.print(table)
        for name, row in proxies.items():
            if name.startswith("lb") and "nginx" in row["over"]:
                value, bound = f"{row['over']['nginx']['median']:.2f}", f"{result['target']:g}"
                console.print(_target(f"{name}, beside nginx", value, "at most", bound))
    console.print()


def _workers(result: dict[str, Any], console: Console) -> None:
    bounds = result["targets"]
    table = _table(
        console, "CPU of one worker and of two; us, and times that of one", "", "1", "2", ""
    )
    for build, row in result["builds"].items():
        for what in (KEPT, FRESH):
            one, two = row[what][ONE], row[what][TWO]
            ratio = f"{two['over'][ONE]['median']:.2f}"
            table.add_row(f"{build}: {what}", f"{one['cpu_us']:.1f}", f"{two['cpu_us']:.1f}", ratio)
    console.print(table)
    for build, row in result["builds"].items():
        two = row[KEPT][TWO]
        value = f"{two['over'][ONE]['median']:.3f}"
        console.print(_target(f"{build}, CPU beside one", value, "at most", f"{bounds['cpu']:g}"))
        value, bound = f"{two['uneven']:.0%}", f"{bounds['uneven']:.0%}"
        console.print(_target(f"{build}, work apart", value, "at most", bound))
        value = f"{row['wide'][TWO]['over'][ONE]['median']:.2f}"
        what = f"{build}, requests a second beside one, on {result['cores']} cores"
        if result["cores"] < CORES:
            console.print(f"  {what}: {value} (the load takes its share)")
        else:
            console.print(_target(what, value, "at least", f"{bounds['faster']:g}"))
    console.print()


def _bodies(result: dict[str, Any], console: Console) -> None:
    names = list(next(iter(result["cases"].values())))
    table = _table(console, "Bodies: MB per CPU second, and beside HAProxy", "case", *names)
    for case, rows in result["cases"].items():
        table.add_row(case, *(_rate(row) for row in rows.values()))
    console.print(table)
    for name in names:
        ratios = [rows[name]["ratio"] for rows in result["cases"].values()]
        if name.startswith("lb") and None not in ratios:
            bound = f"{result['target_ratio']:g}"
            what = f"{name}, smallest ratio to haproxy"
            console.print(_target(what, f"{min(ratios):.2f}", "at least", bound))
    memory = result["memory"]
    grown = memory["peak_mib"] - memory["before_mib"]
    what = f"memory while {memory['bytes'] / 2**20:,.0f} MiB go to a slow client"
    value = f"+{grown:.1f} MiB on {memory['before_mib']:.0f}"
    console.print(_target(what, value, "at most", f"+{result['flat_mib']} MiB") + "\n")


def _rate(row: dict[str, Any]) -> str:
    over = "" if row["ratio"] is None else f" ({row['ratio']:.2f})"
    return f"{row['bytes_per_cpu_second'] / 1e6:,.0f}{over}"


def _latency(result: dict[str, Any], console: Console) -> None:
    keys = list(result["targets"])
    title = f"Open loop at {result['rate']:,} requests/s, milliseconds (and what is added)"
    table = _table(console, title, "", *keys, "longest", "generator late")
    for name, row in result["medians"].items():
        added = result["added"].get(name)
        cells = [
            _ms(row[key]) + ("" if added is None else f" ({1e3 * added[key]:+.3f})") for key in keys
        ]
        table.add_row(name, *cells, _ms(row["longest"]), _ms(row["generator_late_p99"]))
    console.print(table)
    bounds = ", ".join(f"{key} {_ms(bound)}" for key, bound in result["targets"].items())
    console.print(f"  targets, added at most: {bounds}")
    pauses = result["pauses"]
    for name, row in pauses["builds"].items():
        what = (
            f"{name}: of {row['collections']} collections in {row['seconds']:g} s with "
            f"{pauses['connections']:,} connections, above {_ms(pauses['target'])} ms"
        )
        longest = f"{row['too_long']} (longest {_ms(row['longest'])} ms)"
        console.print(_target(what, longest, "at most", "0"))
    console.print()


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"


def _connections(result: dict[str, Any], console: Console) -> None:
    idle, fresh = result["idle"], result["fresh"]
    title = f"Connections: {idle['connections']:,} idle; {fresh['per_second']} a second come and go"
    heads = ("KiB each", "share of a core", "without", "descriptors left", "MiB left")
    table = _table(console, title, "", *heads)
    for name, row in result["builds"].items():
        mine, left = row["idle"], row["fresh"]
        table.add_row(
            name,
            f"{mine['kib_each']:.1f}",
            f"{mine['share']:.2%}",
            f"{mine['share_without']:.2%}",
            f"{left['descriptors_left']} after {left['seconds']} s",
            f"{left['mib_left']:+.2f}",
        )
    table.add_row(
        "at most", f"{idle['target_kib']}", f"{idle['target_share']:.0%}", "", "0",
        f"+{fresh['target_mib']}",
    )  # fmt: skip
    console.print(table)
    console.print()


def _backends(result: dict[str, Any], console: Console) -> None:
    few, many = (f"us with {result[key]:,}" for key in ("few", "many"))
    title = "Backends, health checks on: CPU per request"
    table = _table(console, title, "", few, many, "ratio", "spread", "requests/s", "idle share")
    for name, row in result["cases"].items():
        table.add_row(
            name,
            f"{row['few_us']:.1f}",
            f"{row['many_us']:.1f}",
            f"{row['ratio']:.3f}",
            f"{min(row['ratios']):.2f}-{max(row['ratios']):.2f}",
            f"{row['requests_per_second']:,.0f}",
            f"{row['idle_share']:.2%}",
        )
    console.print(table)
    console.print(f"  target: ratio at most {result['target']:g}\n")


def _simulator(result: dict[str, Any], console: Console) -> None:
    title = f"Simulated requests: times as many as plain SimPy ({result['plain_us']:.2f} us each)"
    builds, targets = result["builds"], result["targets"]
    heads = [head for name in builds for head in (name, *(["target"] * (name in targets)))]
    table = _table(console, title, "case", *heads)
    for case in next(iter(builds.values())):
        cells = []
        for name, cases in builds.items():
            row = cases.get(case)
            cells.append("" if row is None else f"{row['multiple']:.2f}")
            if name in targets:
                bound = targets[name].get(case)
                cells.append("" if bound is None else f"{bound:g}")
        table.add_row(case, *cells)
    console.print(table)
    wide, whole = result["wide"], result["processes"]
    for name, ratio in wide["times"].items():
        what = f"{name}, {wide['backends']:,} backends, for each request, beside ten"
        console.print(_target(what, f"{ratio:.2f}", "at most", f"{wide['target']:g}"))
    for name, row in whole["builds"].items():
        console.print(
            f"  {name}, whole processes of {whole['requests']:,} requests: {row['simulate']:.2f} s "
            f"beside {row['plain']:.2f} s, {row['multiple']:.2f} times"
        )
        bound = f"{whole['start_target']:g} s"
        what = f"{name}, CPU of a simulation of one request"
        console.print(_target(what, f"{row['start']:.2f} s", "at most", bound))
    console.print(
        f"  {result['scenario']}; {result['requests']:,} requests, median of "
        f"{result['rounds']} rounds; statistics included\n"
    )


def _strategies(result: dict[str, Any], console: Console) -> None:
    costs = result["microseconds"]
    sizes = list(next(iter(costs.values())))
    heads = [f"n = {int(size):,}" for size in sizes]
    title = "pick + started + finished, microseconds"
    table = _table(console, title, "algorithm", *heads, "bytes each")
    for name, row in costs.items():
        held = f"{result['bytes_per_backend'][name]:,.0f}"
        table.add_row(name, *(f"{row[size]:.2f}" for size in sizes), held)
    console.print(table)
    console.print(f"  in flight: {result['in_flight']}; bytes each: of an index of 1,000 backends")


_TABLES = {
    "about": _about,
    "proxy": _proxy,
    "observed": _observed,
    "tls": _tls,
    "workers": _workers,
    "bodies": _bodies,
    "latency": _latency,
    "connections": _connections,
    "backends": _backends,
    "simulator": _simulator,
    "strategies": _strategies,
}


def _table(console: Console, title: str, first: str, *others: str) -> Table:
    console.print(
        title, style="bold", highlight=False, soft_wrap=True
    )  # a table would wrap it at its own width
    table = Table()
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _target(what: str, value: str, relation: str, bound: str) -> str:
    return f"  {what}: {value}; target {relation} {bound}"
