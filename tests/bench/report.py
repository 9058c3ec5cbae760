"""The figures as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


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
    others = [name for name in names if not name.startswith("lb") or name.startswith("lb beside")]
    for case, proxies in result["cases"].items():
        title = f"CPU per proxied request: {case} (median of {result['rounds']} rounds)"
        heads = (
            "us",
            *(f"x {name.removeprefix('lb ')}" for name in others),
            "spread",
            "busy",
            "load",
        )
        table = _table(console, title, "proxy", *heads)
        for name, row in proxies.items():
            table.add_row(
                name,
                f"{row['cpu_us']:.1f}",
                *("" if name == one else f"{row['over'][one]['median']:.2f}" for one in others),
                _spread(row["over"][others[0]]) if others and name != others[0] else "",
                f"{row['busy']:.0%}",
                f"{row['load_busy']:.0%}",
            )
        console.print(table)
        if others:
            console.print(f"  spread: half of the rounds' ratios to {others[0]} lie there")
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


def _bodies(result: dict[str, Any], console: Console) -> None:
    table = _table(console, "Bodies: MB per CPU second", "case", "lb", "haproxy", "ratio", "rounds")
    for case, row in result["cases"].items():
        rates, ratios = row["bytes_per_cpu_second"], row["ratios"]
        table.add_row(
            case,
            *(f"{rates[name] / 1e6:,.0f}" if name in rates else "" for name in ("lb", "haproxy")),
            f"{row['ratio']:.2f}" if ratios else "",
            f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else "",
        )
    console.print(table)
    ratios = [row["ratio"] for row in result["cases"].values() if row["ratio"] is not None]
    if ratios:
        bound = f"{result['target_ratio']:g}"
        console.print(_target("smallest ratio", f"{min(ratios):.2f}", "at least", bound))
    memory = result["memory"]
    grown = memory["peak_mib"] - memory["before_mib"]
    what = f"memory while {memory['bytes'] / 2**20:,.0f} MiB go to a slow client"
    value = f"+{grown:.1f} MiB on {memory['before_mib']:.0f}"
    console.print(_target(what, value, "at most", f"+{result['flat_mib']} MiB") + "\n")


def _latency(result: dict[str, Any], console: Console) -> None:
    title = f"Open loop at {result['rate']:,} requests/s, milliseconds"
    table = _table(console, title, "", "direct", "through lb", "added", "target")
    for key, bound in result["targets"].items():
        values = (result["direct"][key], result["proxied"][key], result["added"][key], bound)
        table.add_row(key, *(f"{value * 1e3:.3f}" for value in values))
    console.print(table)
    late = result["proxied"]["generator_late_p99"] * 1e3
    console.print(f"  the generator's own lateness, p99: {late:.3f} ms\n")


def _connections(result: dict[str, Any], console: Console) -> None:
    idle, fresh = result["idle"], result["fresh"]
    console.print("Connections", style="bold")
    what = f"KiB for each of {idle['connections']:,} idle connections"
    console.print(_target(what, f"{idle['kib_each']:.1f}", "at most", f"{idle['target_kib']}"))
    what = f"left after {fresh['seconds']} s of {fresh['per_second']} fresh connections per second"
    value = f"{fresh['descriptors_left']} descriptors, {fresh['mib_left']:+.2f} MiB"
    bound = f"0 descriptors, +{fresh['target_mib']} MiB"
    console.print(_target(what, value, "at most", bound) + "\n")


def _simulator(result: dict[str, Any], console: Console) -> None:
    title = f"Simulated requests beside plain SimPy ({result['plain_us']:.2f} us for each)"
    table = _table(console, title, "case", "CPU us", "times as many", "target")
    for name, row in result["cases"].items():
        table.add_row(name, f"{row['us']:.2f}", f"{row['multiple']:.2f}", f"{row['target']:g}")
    console.print(table)
    many = result["many"]
    what = f"{many['backends']:,} backends, for each request, beside ten"
    console.print(_target(what, f"{many['ratio']:.2f}", "at most", f"{many['target']:g}"))
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
    "bodies": _bodies,
    "latency": _latency,
    "connections": _connections,
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
