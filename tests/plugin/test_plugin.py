"""An algorithm in a package of its own, as third parties bring them: no pip, only its metadata."""

from __future__ import annotations

import json
import os
import signal
import tomllib
from pathlib import Path
from random import Random

import pytest

from lb.laws import LAWS, Law
from tests.cli.conftest import Serving, Start, lb_process, start
from tests.plugin import last_resort

__all__ = ["start"]

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
POINTS: dict[str, str] = PROJECT["entry-points"]["lb.strategies"]


def install(where: Path, package: str = PROJECT["name"], **points: str) -> str:
    """What pip leaves of a package in site-packages, and a PYTHONPATH to find it."""
    info = where / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    rows = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[lb.strategies]\n{rows}")
    return os.pathsep.join(map(str, (where, HERE)))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return install(tmp_path, **POINTS)


def test_it_is_listed_and_explained(path: str) -> None:
    listed = lb_process("strategies", PYTHONPATH=path)
    assert listed.returncode == 0
    assert listed.stdout.splitlines()[-1].split()[:4] == ["last_resort", "the", "first", "usable"]
    assert "needs:     nothing" in lb_process("strategies", "last_resort", PYTHONPATH=path).stdout
    assert "last_resort" not in lb_process("strategies").stdout


def test_it_is_simulated(path: str) -> None:
    ran = lb_process(
        *("simulate", "-a", "last_resort", "--json", "--requests", 500, "--replications", 2),
        PYTHONPATH=path,
    )
    assert ran.returncode == 0
    (run,) = json.loads(ran.stdout)["runs"]
    assert run["algorithm"] == "last_resort"
    assert [use["share"] > 0 for use in run["backends"]].index(True) == 0


def test_it_is_served(path: str, start: Start) -> None:
    serving = start(Serving, "-a", "last_resort", "-p", 0, PYTHONPATH=path)
    assert serving.get("/lb-stats")[1]["algorithm"] == "last_resort"
    serving.tell(signal.SIGTERM)
    assert serving.ended() == 0


BINDING = {law.check.__name__: law for law in LAWS if law.binds(last_resort.SPEC)}


@pytest.mark.parametrize("law", BINDING.values(), ids=BINDING)
def test_the_laws_bind_it_too(law: Law) -> None:
    law.check(last_resort.SPEC, Random)


def test_a_typo_is_answered_with_its_name(path: str) -> None:
    ran = lb_process("simulate", "-a", "last_resrt", PYTHONPATH=path)
    assert ran.returncode == 2
    assert ran.stderr == "lb: unknown algorithm 'last_resrt': did you mean 'last_resort'?\n"


BROKEN = {
    "no_module": ("nowhere:SPEC", "cannot be loaded: ModuleNotFoundError: No module named"),
    "no_attribute": ("last_resort:NOTHING", "cannot be loaded: AttributeError: "),
    "no_spec": ("last_resort:LastResort", "is no Spec, but type"),
    "other_name": ("last_resort:SPEC", "calls itself 'last_resort', not 'other_name'"),
    "p2c": ("last_resort:SPEC", "has the name of lb's own 'p2c', which stays"),
}


@pytest.mark.parametrize(("name", "value", "why"), [(n, *row) for n, row in BROKEN.items()])
def test_a_broken_one_is_one_line(tmp_path: Path, name: str, value: str, why: str) -> None:
    path = install(tmp_path, "lb-broken", **{name: value})
    listed = lb_process("strategies", PYTHONPATH=path)
    assert listed.returncode == 1
    assert "round_robin" in listed.stdout
    (line,) = listed.stderr.splitlines()
    assert line.startswith(f"lb: plug-in lb-broken: entry point {name} = {value} ")
    assert why in line
    used = lb_process("strategies", name, PYTHONPATH=path)
    if name == "p2c":
        assert used.stdout.startswith("p2c\n\nPower of two choices")
    else:
        assert used.returncode == 2
        assert used.stderr == f"{line}\n"


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    install(tmp_path, "lb-one", **POINTS)
    path = install(tmp_path, "lb-two", **POINTS)
    used = lb_process("simulate", "-a", "last_resort", PYTHONPATH=path)
    assert used.returncode == 2
    assert "twice: plug-in lb-one: " in used.stderr
    assert "; plug-in lb-two: " in used.stderr


def test_start_up_does_not_look_for_plug_ins(tmp_path: Path) -> None:
    """A package that cannot even be listed harms nobody who does not ask."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "def entry_points(**_): raise SystemExit(7)  # looked for\n"
        "m.entry_points = entry_points\n"
    )
    assert lb_process("--help", PYTHONPATH=str(tmp_path)).returncode == 0
    assert lb_process("strategies", "p2c", PYTHONPATH=str(tmp_path)).returncode == 0
    assert lb_process("strategies", PYTHONPATH=str(tmp_path)).returncode == 7, "a list looks"
