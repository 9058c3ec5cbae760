"""Figures as SVG that stands inside a page."""

from __future__ import annotations

import re
from html import escape
from io import StringIO

from matplotlib import rc_context
from matplotlib.figure import Figure

from sim.output.plots.figures import FIGURES, telling
from sim.output.plots.style import without_warnings
from sim.result import Result

NOTHING_OF_ITS_MAKING = dict.fromkeys(("Date", "Creator", "Format", "Type"))
GEOMETRY = re.compile(r' (?:d|x|y|width|height|points|transform|viewBox)="[^"]*"')
LONG = re.compile(r"(\.\d\d)\d+")
FAMILY = re.compile(r"'DejaVu Sans'[^;\"]*sans-serif")


def pictures(result: Result) -> dict[str, str]:
    """Each of `FIGURES` that says something about `result`, as SVG for one page."""
    return {name: inline(FIGURES[name](result), name) for name in telling(result)}


def inline(figure: Figure, name: str) -> str:
    """An `svg` element whose ids begin with `name`: text is text, and nothing points outside.

    The same figure gives the same text.
    """
    said = figure.axes[0].get_title(loc="left")
    file = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), without_warnings():
        figure.savefig(file, format="svg", metadata=NOTHING_OF_ITS_MAKING)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<style.*?</style>", "", text, count=1, flags=re.DOTALL)  # that of the page
    text = text.replace("xlink:href", "href")
    text = GEOMETRY.sub(lambda found: LONG.sub(r"\1", found[0].replace("\n", "")), text)
    text = _own_ids(FAMILY.sub("sans-serif", text), name)
    shape = re.search(r'viewBox="[^"]*"', text)
    head = f'<svg role="img" aria-label="{escape(said)}" {shape[0] if shape else ""}>'
    return head + re.sub(r">\s+<", ">\n<", text[text.index(">") + 1 :])


def _own_ids(text: str, name: str) -> str:
    """Only what is pointed at keeps an id, one that no other picture of a page has."""
    meant = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda it: it[0] if it[1] in meant else "", text)
    text = re.sub(r' id="', f' id="{name}-', text)
    return re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
