"""`lb export`: to stdout, to a file, as JSON, and what has no equivalent on stderr."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import lb

FILE = """\
algorithm = "peak_ewma"
[hedging]
after = "p95"
[[backend]]
address = "127.0.0.1:3001"
[[backend]]
address = "127.0.0.1:3002"
"""


def written(at: Path) -> Path:
    file = at / "lb.toml"
    file.write_text(FILE)
    return file


def test_what_has_no_equivalent_is_told_by_its_line(tmp_path: Path) -> None:
    file = written(tmp_path)
    said = lb("export", "haproxy", "-c", file)
    assert said.returncode == 0
    assert "balance random(2)\n" in said.stdout
    lines = said.stderr.splitlines()
    assert lines[0].startswith(f"{file}:1 algorithm: peak_ewma is not known; random(2) is nearest")
    assert lines[1].startswith(f"{file}:3 hedging.after: ")
    assert lines[-1].endswith(
        "of lb's defaults have no equivalent either; the comment on top names them."
    )
    assert lb("export", "haproxy", "-c", file, "--quiet").stderr == ""


def test_as_json_and_into_a_file(tmp_path: Path) -> None:
    file, into = written(tmp_path), tmp_path / "nginx.conf"
    said = lb("export", "nginx", "-c", file, "-o", into, "--json")
    document = json.loads(said.stdout)
    assert (document["schema"], document["kind"]) == (1, "nginx")
    assert (document["method"], document["behaves_as"]) == (
        "random two least_conn",
        "p2c:choices=2",
    )
    assert document["text"] == into.read_text()
    first = document["missing"][0]
    assert (first["key"], first["given"]) == ("algorithm", True)
    plain = lb("export", "nginx", "-c", file, "-o", into)
    assert plain.stdout == ""


def test_mistakes(tmp_path: Path) -> None:
    file = written(tmp_path)
    unknown = lb("export", "haprox", "-c", file)
    assert unknown.returncode == 2
    assert unknown.stderr == "lb: unknown balancer 'haprox'; did you mean 'haproxy'?\n"
    nowhere = lb("export", "envoy", "-c", file, "-o", tmp_path / "no" / "x")
    assert nowhere.returncode == 1
    assert nowhere.stderr.startswith(f"lb: cannot write to {tmp_path}/no/x: ")
    assert lb("export", "envoy", "-c", tmp_path / "gone.toml").returncode == 3


def test_import_is_the_way_back(tmp_path: Path) -> None:
    file, theirs = written(tmp_path), tmp_path / "haproxy.cfg"
    lb("export", "haproxy", "-c", file, "-o", theirs, "-q")
    said = lb("import", theirs)
    assert said.returncode == 0
    assert said.stdout.startswith(f"# Written by lb import from {theirs}.\n")
    assert said.stderr.startswith(f"{theirs}:")
    document = json.loads(lb("import", theirs, "--json", "--quiet").stdout)
    assert (document["schema"], document["kind"], document["pool"]) == (1, "haproxy", "pool")
    ours = tmp_path / "ours.toml"
    lb("import", theirs, "-o", ours)
    assert lb("check", ours).returncode == 0
    assert lb("import", theirs, "-o", "-", "-q").stdout == said.stdout
    wrong = lb("import", file)
    assert wrong.returncode == 3
    assert (
        wrong.stderr == f"{file}:1: neither a haproxy.cfg nor an nginx.conf, as far as it shows\n"
    )


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    file, theirs = written(tmp_path), tmp_path / "haproxy.cfg"
    lb("export", "haproxy", "-c", file, "-o", theirs, "-q")
    for command, given, what in (
        (("export", "haproxy", "-c", file), file, "the file of -c"),
        (("import", theirs), theirs, "the file that is read"),
    ):
        before = given.read_text()
        said = lb(*command, "-o", given)
        assert said.returncode == 2
        assert said.stderr == f"lb: -o {given}: that is {what}; give another name\n"
        assert given.read_text() == before
