"""A recommendation as files: JSON, the scenario as recommended, a picture, and a page of it all."""

from __future__ import annotations

from html import escape
from pathlib import Path

from lb.config.effective import effective_text
from lb.system import writing
from sim.fit.recommend.recommendation import Recommendation
from sim.fit.recommend.variations import weighted
from sim.output.documents import write_json
from sim.output.html import document, heading, picture, points, table
from sim.output.plots.headroom import headroom_picture
from sim.output.plots.pictures import save
from sim.output.plots.vector import inline
from sim.output.recommended import budget_told, header, sentences, table_rows, title

DOCUMENT, FILE = "recommend.json", "recommended.toml"
PICTURE, PAGE = "headroom.png", "report.html"
REPORT = (DOCUMENT, FILE, PICTURE, PAGE)
"""Files that `write_recommendation` may leave."""
HOW_TO_READ = (
    "A curve above the line misses the objective; where it crosses is the safe load. Today is at 1."
)


def write_recommendation(found: Recommendation, directory: Path, command: str = "") -> None:
    """Write what of `REPORT` there is to say into `directory`; what an earlier one left there goes.

    `command` is what makes it again. Raises CannotWrite.
    """
    texts = {PAGE: page(found, command)}
    if (file := recommended_file(found)) is not None:
        texts[FILE] = file
    drawn = _drawn(found)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        write_json(found.as_dict(), directory / DOCUMENT)
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8", newline="\n")
        if drawn:
            save(headroom_picture(found), directory / PICTURE)
        for name in set(REPORT) - texts.keys() - {DOCUMENT} - ({PICTURE} if drawn else set()):
            (directory / name).unlink(missing_ok=True)


def _drawn(found: Recommendation) -> bool:
    return any(row.headroom is not None for row in found.rows)


def page(found: Recommendation, command: str = "") -> str:
    """One page that needs nothing else."""
    body = [points(sentences(found))]
    if found.rows:
        body.append(table(header(found), table_rows(found, found.rows), title(found)))
    if _drawn(found):
        body.append(picture(inline(headroom_picture(found), "headroom"), HOW_TO_READ))
    for one in found.weights:
        body += [heading(f"Weights for {one.algorithm}"), _code(one.toml(found.scenario))]
    body += [heading("How it was made"), points([budget_told(found)]), _code(command)]
    return document(f"What meets {' and '.join(map(str, found.aims))}", body)


def _code(text: str) -> str:
    return f"<pre><code>{escape(text.rstrip())}</code></pre>"


def recommended_file(found: Recommendation) -> str | None:
    """The scenario file with what is suggested in it; None where nothing is."""
    if found.suggested is None:
        return None
    algorithm = found.suggested.algorithm
    there = found.scenario.model_copy(update={"algorithm": found.scenario.chosen(algorithm)})
    name = algorithm.partition(":")[0]
    for one in found.weights:
        if one.algorithm == name:
            there = weighted(there, one.weights)
    return effective_text(there)
