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


def _proxy(result: dict[str, Any], console: Console) -> None:
    for case, proxies in result["cases"].items():
        title = f"CPU per proxied request: {case} (median of {result['rounds']} rounds)"
        heads = ("CPU us", "x haproxy", "rounds", "requests/s", "core busy")
        table = _table(console, title, "proxy", *heads)
        for name, row in proxies.items():
            table.add_row(
                name,
                f"{row['cpu_us']:.1f}",
                "" if row["ratio"] is None else f"{row['ratio']:.2f}",
                f"{min(ratios):.2f}-{max(ratios):.2f}" if (ratios := row["ratios"]) else "",
                f"{row['requests_per_second']:,.0f}",
                f"{row['busy']:.0%}",
            )
        console.print(table)
        ratio = proxies["lb"]["ratio"]
        console.print(
            "  HAProxy is not installed: no ratio"
            if ratio is None
            else _target("x haproxy", f"{ratio:.2f}", "at most", f"{result['target_ratio']:g}")
        )
    console.print("\nWhat ran:")
    for name, about in result["proxies"].items():
        console.print(f"  {name} {about['version']}: {about['setup']}")
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


def _simulator(result: dict[str, Any], console: Console) -> None:
    title = f"Simulated requests per second: {result['scenario']}, {result['requests']:,} requests"
    table = _table(console, title, "algorithm", f"best of {result['runs']}", "median")
    for name, row in result["algorithms"].items():
        style = "bold" if name == result["highlight"] else None
        table.add_row(name, f"{row['best']:,.0f}", f"{row['median']:,.0f}", style=style)
    console.print(table)
    name = result["highlight"]
    best = f"{result['algorithms'][name]['best']:,.0f}"
    console.print(_target(f"{name} on one core", best, "at least", f"{result['target']:,}") + "\n")


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


_TABLES = {"proxy": _proxy, "simulator": _simulator, "strategies": _strategies}


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
