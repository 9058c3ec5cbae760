"""A prediction on one page that needs nothing but itself."""

from __future__ import annotations

from html import escape

from sim.fit.predict import Prediction
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

SAID = {
    "replay": "The model tells what was recorded where the dashed line is within the band. The "
    "other lines are what the changes would give, uncorrected.",
    "changes": "Bars are 95 % intervals of what is to be expected on traffic like this: chance, "
    "what the calibration leaves open, and the model's own error are in them.",
}
HOW = (
    "Expected is what the model says times that part of its error at the current setting that is "
    "more than chance; how much of it another setting shares is not known, so intervals reach from "
    "none of it to twice of it. Changes are compared on the same requests with the same work."
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
