"""`lb replay`: what it says of a recording, and of a file that is none."""

from __future__ import annotations

import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lb.balancing import Settings
from tests.cli.conftest import Serving, Start, lb, on_a_terminal
from tests.recording.recordings import UNCHECKED, Player

BACKENDS = [Settings(f"10.0.0.{number}:80", name=name) for number, name in ((1, "a"), (2, "b"))]


def recorded(algorithm: str = "round_robin") -> Player:
    player = Player(algorithm, backends=BACKENDS, health=UNCHECKED)
    for number in range(20):
        player.admit(1, key=b"client")
        if number % 2:
            player.finish()
    return player


def test_it_says_why_of_the_last_picks_and_of_a_single_call(tmp_path: Path) -> None:
    path = tmp_path / "run.lbrec"
    path.write_bytes(recorded("least_connections").close())
    shown = lb("replay", path, "--explain", 2).stdout.splitlines()
    assert shown[2:] == [
        "call 18 after 0.000 s, key client: b",
        "  of all the one with the least to do",
        "  requests in flight per weight, with this one: b 10, a 11",
        "call 19 after 0.000 s, key client: a",
        "  of all the one with the least to do",
        "  requests in flight per weight, with this one: a 11, b 11",
    ] or shown[2].startswith("call 18")
    document = json.loads(lb("replay", path, "--explain", 5, "--call", 3, "--json").stdout)
    (pick,) = document["explained"]
    assert (pick["call"], pick["attempt"], pick["rule"]) == (3, 0, "lowest")
    assert {it["backend"] for it in pick["candidates"]} == {"a", "b"}
    assert lb("replay", path, "--explain", 1, "--call", 99).stdout.endswith("no such pick\n")
    refused = lb("replay", path, "--call", 3)
    assert refused.returncode == 2
    assert "--explain" in refused.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.lbrec"
    path.write_bytes(recorded().close())
    return path


def test_recordings_of_workers_are_named(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"run.worker{number}.rec").write_bytes(recorded().close())
    result = lb("replay", tmp_path / "run.rec")
    assert (result.returncode, result.stdout) == (3, "")
    assert f"give one: {tmp_path}/run.worker1.rec, {tmp_path}/run.worker2.rec" in result.stderr
    assert lb("replay", tmp_path / "run.worker2.rec").returncode == 0


def test_the_same_picks(file: Path) -> None:
    result = lb("replay", file)
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        "40 events, 20 calls, 20 picks by round_robin, recorded by lb 0.1.0 with seed 11.",
        "identical",
    ]


def test_another_algorithm_beside_it(file: Path) -> None:
    result = lb("replay", file, "-a", "ip_hash")
    assert result.returncode == 0
    lines = [line for line in result.stdout.splitlines() if line and "─" not in line]
    assert lines[1] == "Share of the picks"
    assert lines[2].split() == ["backend", "round_robin", "ip_hash"]
    (name, was, would), (other, other_was, other_would) = lines[3].split(), lines[4].split()
    assert (name, other) == ("a", "b")
    assert was == other_was == "50.0%"
    assert {would, other_would} == {"0.0%", "100.0%"}
    assert lines[5] == "50.0% of the picks agree."
    assert lines[6].startswith("first difference at event ")


@pytest.mark.parametrize("columns", [80, 60])
def test_a_terminal_has_room_for_all_of_it(file: Path, columns: int) -> None:
    shown = on_a_terminal(columns, "replay", file, "-a", "weighted_round_robin")
    assert max(map(len, shown.splitlines())) <= columns
    words = [word for word in shown.split() if "─" not in word]
    whole = lb("replay", file, "-a", "weighted_round_robin").stdout.split()
    assert words == [word for word in whole if "─" not in word]


def test_on_a_narrow_one_the_columns_stand_below_each_other(file: Path) -> None:
    lines = on_a_terminal(30, "replay", file, "-a", "weighted_round_robin").splitlines()
    assert max(map(len, lines)) <= 30
    words = " ".join(lines).split()
    after = words.index("a")
    assert words[after : after + 5] == [
        "a",
        "round_robin",
        "50.0%",
        "weighted_round_robin",
        "50.0%",
    ]


def test_the_recorded_algorithm_beside_itself(file: Path) -> None:
    result = lb("replay", file, "-a", "round_robin")
    assert result.returncode == 0
    assert "100.0% of the picks agree." in result.stdout
    assert result.stdout.endswith("identical\n")


def test_a_recording_that_does_not_come_out_the_same(tmp_path: Path) -> None:
    player = recorded("random")
    honest = player.close()
    file = tmp_path / "forged"
    file.write_bytes(_with_seed(honest, 12))
    result = lb("replay", file)
    assert result.returncode == 1
    assert "first difference at event " in result.stdout
    assert "recorded call " in result.stdout


def _with_seed(recording: bytes, seed: int) -> bytes:
    from zlib import crc32

    from lb.recording.format import HEAD

    magic, version, length, _ = HEAD.unpack_from(recording)
    header = json.loads(recording[HEAD.size : HEAD.size + length]) | {"seed": seed}
    text = json.dumps(header).encode()
    return (
        HEAD.pack(magic, version, len(text), crc32(text)) + text + recording[HEAD.size + length :]
    )


def test_one_that_is_still_being_written(tmp_path: Path) -> None:
    player = recorded()
    player.balancer.flush()
    file = tmp_path / "part"
    file.write_bytes(player.bytes[:-5])
    result = lb("replay", file)
    assert result.returncode == 0
    counts, warning, verdict = result.stdout.splitlines()
    assert counts.startswith("39 events")
    assert warning.startswith("The recording was not closed")
    assert verdict == "identical"


def test_as_json(file: Path) -> None:
    assert lb("replay", file, "-q").stdout == ""
    result = lb("replay", file, "--json", "-a", "ip_hash")
    document = json.loads(result.stdout)
    assert document["schema"] == 1
    assert document["recorded_algorithm"] == "round_robin"
    assert document["replayed_algorithm"] == "ip_hash"
    assert document["seed"] == 11
    assert document["picks"] == 20
    assert document["events"] == {"admit": 20, "done": 20}
    assert document["agreement"] == 0.5
    assert document["identical"] is False
    assert document["complete"] is True
    assert document["bytes"] == file.stat().st_size
    assert document["first_difference"]["recorded"]["attempt"] == 0
    assert [row["recorded"] for row in document["backends"]] == [10, 10]
    assert sorted(row["replayed"] for row in document["backends"]) == [0, 20]
    assert "picks agree" in result.stderr
    assert json.loads(lb("replay", file, "--json").stdout)["first_difference"] is None


def test_files_that_cannot_be_replayed(tmp_path: Path, file: Path) -> None:
    damaged = bytearray(file.read_bytes())
    damaged[-3] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    (tmp_path / "image").write_bytes(b"GIF89a" * 10)
    for name, why in [
        ("damaged", "does not match its checksum"),
        ("image", "byte 0: this is not a recording"),
        ("missing", "cannot be read"),
        (".", "cannot be read"),
    ]:
        result = lb("replay", tmp_path / name)
        assert result.returncode == 3
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"{tmp_path / name}: ")
        assert why in line
        assert result.stdout == ""


def test_an_algorithm_that_is_unknown(file: Path) -> None:
    result = lb("replay", file, "-a", "ip_hahs")
    assert result.returncode == 2
    assert "did you mean 'ip_hash'" in result.stderr


# --- recorded by lb serve


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None: ...


def test_a_recording_of_lb_serve(tmp_path: Path, start: Start) -> None:
    file = tmp_path / "run.lbrec"
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as backend:
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{backend.server_port}"
        serving = start(Serving, "-p", 0, "-b", address, "-a", "p2c", "--record", file)
        for _ in range(5):
            assert serving.get() == (200, {})
        serving.tell(signal.SIGTERM)
        assert serving.ended() == 0
        backend.shutdown()
    result = lb("replay", file)
    assert result.returncode == 0
    assert " 5 calls, 5 picks by p2c, " in result.stdout
    assert result.stdout.endswith("identical\n")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    result = lb("serve", "-p", 0, LB_RECORD=str(tmp_path / "nowhere" / "file"))
    assert result.returncode == 1
    assert result.stderr == (
        f"lb: cannot record to {tmp_path}/nowhere/file: no such file or directory\n"
    )
