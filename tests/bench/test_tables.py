"""README's tables of speed are those of the stored figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bench import tables


def proxy(**more: Any) -> dict[str, Any]:
    row = {"cpu_us": 20.0, "over": {"haproxy": {"median": 1.25, "low": 1.2, "high": 1.3}}}
    return {
        "rounds": 3,
        "commit": "commit 1",
        "targets": {"lb": {"small": 0.5}},
        "proxies": {"lb": {"version": "compiled"}, "haproxy": {"version": "2.6.12-1"}},
        "cases": {"small": {"lb": row | more, "haproxy": row}},
    }


ABOUT = {
    "commit": "commit 1",
    "build": "compiled",
    "python": "CPython 3",
    "python_built": "-O2",
    "python_compiler": "a compiler",
    "processor": "a processor",
    "cores": 2,
    "system": "Linux",
    "load_average": [0.1, 0.2, 0.3],
}


def test_readme_has_the_tables_of_the_stored_figures() -> None:
    text = tables.README.read_text(encoding="utf-8")
    assert tables.BEGIN + tables.written(tables.stored()) + tables.END in text


def test_peers_that_were_measured_have_a_column() -> None:
    written = tables.written({"about": ABOUT, "proxy": proxy()})
    assert "| beside HAProxy 2.6 |\n" in written
    assert "| small | compiled | 20.0 | 1.25 |\n" in written
    assert "Caddy" not in written
    assert "; proxy at commit 1.\n" in written


def test_a_tree_beside_brings_its_share_and_the_target() -> None:
    figures = proxy()
    figures["proxies"]["lb beside"] = {"version": "pure Python"}
    row = figures["cases"]["small"]["lb"]
    row["over"]["lb beside"] = {"median": 0.5, "low": 0.4, "high": 0.6}
    written = tables.written({"about": ABOUT, "proxy": figures})
    assert "| 1.25 | 0.50 (0.40 to 0.60) | 0.50 |\n" in written


def test_tls_has_its_own_rows() -> None:
    over = {"nginx": {"median": 1.204, "low": 1.2, "high": 1.3}}
    row = {"cpu_us": 20.0, "over": over}
    part = {
        "commit": "commit 2",
        "target": 1.5,
        "proxies": {"lb": "compiled", "nginx": "1.22.1"},
        "cases": {"small GET over TLS": {"lb": row, "nginx": row}},
    }
    written = tables.written({"about": ABOUT, "tls": part})
    assert "| CPU of a request | build | us | beside nginx 1.22 |\n" in written
    assert "| small GET over TLS | compiled | 20.0 | 1.20 |\n" in written
    assert "At most 1.5 times nginx is the target.\n" in written


def test_stored_figures_are_short_and_other_parts_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "FIGURES", tmp_path / "figures.json")
    monkeypatch.setattr(tables, "README", readme := tmp_path / "README.md")
    readme.write_text(f"before\n{tables.BEGIN}old\n{tables.END}after\n")
    tables.store({"about": ABOUT, "other": {"value": 1 / 3, "rounds": [{"a": 1}]}})
    tables.store({"about": ABOUT, "proxy": proxy(rounds=[{"cpu_us": 1.0}])})
    kept = tables.stored()
    assert kept["other"] == {"value": 0.3333}
    assert kept["proxy"]["rounds"] == 3
    assert "rounds" not in kept["proxy"]["cases"]["small"]["lb"]
    text = readme.read_text()
    assert text.startswith("before\n" + tables.BEGIN + "CPython 3")
    assert text.endswith(tables.END + "after\n")
    assert "old" not in text


def test_what_a_path_in_python_may_cost_has_rows() -> None:
    figures = proxy()
    figures["cases"]["small"]["aiohttp"] = figures["cases"]["small"]["lb"] | {"cpu_us": 240.0}
    written = tables.written({"about": ABOUT, "proxy": figures})
    assert "| small | aiohttp's server and client | 240.0 | 1.25 |\n" in written
