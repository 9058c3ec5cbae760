"""What recordings of workers take the place of."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.errors import CannotRecord
from lb.recording.parts import of_workers
from lb.recording.wanted import Recording
from lb.workers.beside import Beside
from tests.proxy.test_recorder import DATA

BEFORE = ("run.rec", "run.worker1.rec", "run.worker1.1.rec", "run.worker3.rec")


def test_all_that_was_recorded_before_goes(tmp_path: Path) -> None:
    for name in (*BEFORE, "other.worker1.rec"):
        (tmp_path / name).write_bytes((DATA / "format1-p2c.rec").read_bytes())
    Beside(Recording(tmp_path / "run.rec")).begin(2)
    left = {path.name: path.stat().st_size > 0 for path in tmp_path.iterdir()}
    assert left == {"run.worker1.rec": False, "run.worker2.rec": False, "other.worker1.rec": True}
    assert len(of_workers(tmp_path / "run.rec")) == 2


def test_what_is_no_recording_stays(tmp_path: Path) -> None:
    (tmp_path / "run.rec").write_text("notes of mine")
    with pytest.raises(CannotRecord, match="it holds something else, which would be lost"):
        Beside(Recording(tmp_path / "run.rec")).begin(2)
    assert (tmp_path / "run.rec").read_text() == "notes of mine"
