"""Drawing itself: nothing that a library warns of reaches a user."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.image import imread

from sim.output.plots.pictures import save
from sim.output.plots.style import blank
from sim.output.plots.vector import inline


def test_labels_that_leave_no_room_are_drawn_without_a_warning(tmp_path: Path) -> None:
    figure, (ax,) = blank("title", "circumstances")
    ax.set_yticks([0.5], ["0" * 1000])
    with pytest.warns(UserWarning, match="constrained_layout not applied"):
        figure.savefig(tmp_path / "warned.png")
    save(figure, tmp_path / "quiet.png")  # warnings are errors
    assert imread(tmp_path / "quiet.png").size
    assert inline(figure, "quiet").startswith("<svg")
