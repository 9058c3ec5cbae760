"""A prediction as files: pictures, JSON, and one page that needs nothing but itself."""

from __future__ import annotations

from html import escape
from pathlib import Path

from lb.system import writing
from sim.fit.predict import Prediction
from sim.output.documents import write_json
from sim.output.html import document, heading, picture, points, table
from sim.output.predictions import (
    CHANGES_HEADER,
    CHANGES_TITLE,
    GATE_HEADER,
    change_rows,
    change_sentences,
    gate_rows,
    gate_sentences,
    gate_title,
)

DOCUMENT, REPLAY, GAINS, REPORT = "prediction.json", "replay.png", "changes.png", "report.html"
FILES = (DOCUMENT, REPLAY, GAINS, REPORT)
"""Files that `write_prediction` may leave."""
SAID = {
    "replay": "The model tells what was recorded where the dashed line is within the band. The "
    "other lines are what the changes would give, uncorrected.",
    "changes": "Bars are 95 % intervals of what is to be expected on traffic like this: chance, "
    "what the calibration leaves open, and the model's own error are in them.",
}
HOW = (
    "Expected is what the model says, corrected by that part of its error at the current setting "
    "that is more than chance, half as a factor and half as seconds; how much of it another "
    "setting shares is not known, so intervals reach from none of it to twice of it. Changes are "
    "compared on the same requests with the same work."
)


def page(told: Prediction, command: str = "") -> str:
    """`command` is the line that makes it again."""
    from sim.output.plots.predictions import gains, replay
    from sim.output.plots.vector import inline

    pictures = {
        **({"replay": replay} if len(told.measured) else {}),
        **({"changes": gains} if told.current is not None else {}),
    }
    rows = change_rows(told)
    body = [
        heading("The model against what was recorded"),
        *([table(GATE_HEADER, gate_rows(told), gate_title(told))] if told.gate.latency else []),
        points(gate_sentences(told)),
        *([heading("What would be"), table(CHANGES_HEADER, rows, CHANGES_TITLE)] if rows else []),
        points(it.strip() for it in change_sentences(told)),
        *(picture(inline(draw(told), name), SAID[name]) for name, draw in pictures.items()),
        f"<p>{escape(HOW)}</p>",
        *([f"<p>Again:</p>\n<pre><code>{escape(command)}</code></pre>"] if command else []),
    ]
    return document(f"Prediction for {told.told.setting.algorithm}", body)


def write_prediction(told: Prediction, directory: Path, command: str = "") -> list[Path]:
    """prediction.json, pictures and a page in `directory`. Raises CannotWrite."""
    from sim.output.plots.pictures import save
    from sim.output.plots.predictions import gains, replay

    drawn = {
        **({REPLAY: replay} if len(told.measured) else {}),
        **({GAINS: gains} if told.current is not None else {}),
    }
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        document, report = directory / DOCUMENT, directory / REPORT
        write_json(told.as_dict(), document)
        for name in (REPLAY, GAINS):
            (directory / name).unlink(missing_ok=True)  # that of an earlier prediction
        for name, draw in drawn.items():
            save(draw(told), directory / name)
        report.write_text(page(told, command), encoding="utf-8", newline="\n")
        return [document, *(directory / name for name in drawn), report]
