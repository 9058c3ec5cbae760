"""One page that says all of a result: pictures, tables, and what makes it again.

It needs nothing but itself: no network, no script. The same result gives the same bytes.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from lb import __version__
from lb.system import writing
from sim.live.verdict import Verdict
from sim.output import judged
from sim.output.report import VERDICT_HEADER, verdict_rows, verdict_sentences
from sim.output.words import best_first, milliseconds, offered, sentences
from sim.result import COMPARED, AlgorithmRun, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES_OF_LATENCY = ("mean", "p50", "p90", "p95", "p99", "p999")
SEVERAL = 4
"""Algorithms that a title names."""
MANY = 50
"""Backends beyond which only the least and the most of them are told."""
LIBRARIES = ("numpy", "simpy", "matplotlib")
FAILURES = ("failed", "rejected", "timed_out", "gone", "retried", "hedged", "came_again")

HOW_TO_READ = {
    "latency_ccdf": "A point says which share of the requests takes longer than that: the height "
    "0.01 is p99. The pale band is the 95 % interval that the spread between replications gives; "
    "it ends where few requests are left.",
    "latency_percentiles": "The bars are 95 % intervals. A dash stands where there are too few "
    "requests to tell.",
    "regret": "Left is better, and 1 is the best. The bars are intervals of the difference under "
    "the same requests; a hollow mark cannot be told from the best.",
    "backends": "A backend that is busy all the time has no room for chance.",
    "in_flight": "Growth without end means that the backends cannot keep up.",
    "queues": "One row for each backend, one colour for each count. A dark row beside light ones "
    "is work that another backend could have done.",
    "timeline": "Everything over the seconds of the run. Shaded is the time of the faults.",
}

COUNTED = "Requests were counted and not kept: what is drawn from each of them is left out."
HOW_TO_READ_A_VERDICT = {
    "verdict": "The proxy did what the simulator said where the dashed line is within the band: "
    "all latencies above, the slowest ones below.",
    "verdict_timeline": "What clients saw, second by second, over the mean of the predicted runs.",
}


def write_page(page: str, paths: Iterable[Path]) -> None:
    """Raises CannotWrite."""
    for path in paths:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, encoding="utf-8", newline="\n")


def report(
    result: Result,
    text: str = "",
    command: str = "",
    live: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> str:
    """The page of a result: `text` is its scenario file, `command` the one that makes it again.

    `live` are the elements of a live run of the same file, see `verdict_part`; `remarks` are
    sentences that come before all others.
    """
    from sim.output.plots.figures import untraced
    from sim.output.plots.vector import pictures

    names = [run.algorithm for run in result.runs]
    body = [
        points([*remarks, *offered(result.scenario, names), *sentences(result)]),
        *live,
        heading("Latency"),
        _latency(result),
        *_ranking(result),
        heading("Pictures"),
        *(picture(svg, HOW_TO_READ[name]) for name, svg in pictures(result).items()),
        *([f"<p>{COUNTED}</p>"] if untraced(result) else []),
        *_failures(result.runs),
        heading("Backends"),
        _backends(result.runs),
        *_stations(result.runs),
        *_objectives(result),
        heading("How it was made"),
        *_making(result, text, command),
    ]
    told = ", ".join(names) if len(names) <= SEVERAL else f"{len(names)} algorithms"
    return document(f"Simulation of {told}", body)


def verdict_part(verdict: Verdict, figures: Mapping[str, Figure]) -> list[str]:
    """Measured beside predicted: elements for a page."""
    from sim.output.plots.vector import inline

    return [
        heading("Measured beside predicted"),
        table(VERDICT_HEADER, verdict_rows(verdict)),
        *([table(judged.BACKENDS, judged.backend_rows(verdict))] if verdict.backends else []),
        *([table(judged.PHASES, judged.phase_rows(verdict))] if verdict.phases else []),
        points(verdict_sentences(verdict)),
        *(
            picture(inline(figure, name), HOW_TO_READ_A_VERDICT[name])
            for name, figure in figures.items()
        ),
    ]


def document(title: str, body: Iterable[str]) -> str:
    """A whole page; `body` holds elements."""
    style = files("sim").joinpath("output", "page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>\n<main>",
            f"<h1>{escape(title)}</h1>",
            *body,
            "</main>\n</body>\n</html>\n",
        ]
    )


def heading(text: str) -> str:
    """Of a part of a page."""
    return f"<h2>{escape(text)}</h2>"


def points(texts: Iterable[str]) -> str:
    """A list of sentences."""
    return "<ul>\n" + "".join(f"<li>{escape(text)}</li>\n" for text in texts) + "</ul>"


def picture(svg: str, said: str) -> str:
    """A picture with a sentence on how to read it."""
    return f'<figure><div class="wide">{svg}</div><figcaption>{escape(said)}</figcaption></figure>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Rows begin with their names."""
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = (
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return (
        f'<div class="wide"><table>{told}<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def _latency(result: Result) -> str:
    several = result.runs[0].latency["mean"].high is not None
    return table(
        ["algorithm", *FIGURES_OF_LATENCY, "answers/s"],
        [
            [
                run.algorithm,
                *(milliseconds(run.latency[name]) for name in FIGURES_OF_LATENCY),
                f"{run.throughput:.4g}",
            ]
            for run in result.runs
        ],
        "Milliseconds as clients see them, of successful requests"
        + ", with the half width of the 95 % interval, or from where to where it goes" * several,
    )


def _ranking(result: Result) -> list[str]:
    if len(result.runs) == 1:
        return []
    rows = [[metric, best_first(result, metric)] for metric in COMPARED]
    said = "Best first, under the same requests; = cannot be told apart at 95 %"
    return [heading("Who is better"), table(["by", "order"], rows, said)]


def _failures(runs: Sequence[AlgorithmRun]) -> list[str]:
    kinds = [name for name in FAILURES if any(getattr(run, name) for run in runs)]
    if not kinds:
        return []
    whys = sorted({why for run in runs for why in run.refused})
    return [
        heading("Failures and further attempts"),
        table(
            ["algorithm", "requests", *(kind.replace("_", " ") for kind in kinds), *whys],
            [
                [
                    run.algorithm,
                    *(_count(getattr(run, kind)) for kind in ("requests", *kinds)),
                    *(_count(run.refused.get(why, 0)) for why in whys),
                ]
                for run in runs
            ],
            "Requests per replication; rejected, timed out and gone are parts of failed, and what "
            "follows the attempts are the reasons",
        ),
    ]


def _backends(runs: Sequence[AlgorithmRun]) -> str:
    header = ["algorithm", "backend", "share", "utilisation", "in flight", "offered load"]
    if any(use.ejected for run in runs for use in run.backends):
        header += ["ejected", "without a fault"]
    if len(runs[0].backends) > MANY:
        columns = ("share", "utilisation", "mean_in_flight", "offered")
        rows = [
            [
                run.algorithm,
                f"the {word}",
                *_use(*(most(getattr(use, name) for use in run.backends) for name in columns)),
            ]
            for run in runs
            for word, most in (("least", min), ("most", max))
        ]
        return table(header[:6], rows, f"{len(runs[0].backends)} backends, each figure by itself")
    full = [
        [
            run.algorithm,
            use.name,
            *_use(use.share, use.utilisation, use.mean_in_flight, use.offered),
            *([f"{use.ejected:.3g}", f"{use.falsely_ejected:.3g}"] if len(header) > 6 else []),
        ]
        for run in runs
        for use in run.backends
    ]
    return table(header, full)


def _stations(runs: Sequence[AlgorithmRun]) -> list[str]:
    """What is no backend: stations behind them, and the balancers' own threads."""
    rows = [
        [
            run.algorithm,
            use.name,
            f"{use.utilisation:.1%}",
            f"{use.mean_present:.3g}",
            f"{use.offered:.3f}",
        ]
        for run in runs
        for use in (*run.shared, *([run.proxy] if run.proxy else []))
    ]
    if not rows:
        return []
    header = ["algorithm", "station", "utilisation", "requests there", "offered load"]
    return [heading("Shared stations and the balancer's own work"), table(header, rows)]


def _use(share: float, utilisation: float, in_flight: float, load: float) -> list[str]:
    return [f"{share:.1%}", f"{utilisation:.1%}", f"{in_flight:.3g}", f"{load:.3f}"]


def _objectives(result: Result) -> list[str]:
    rows = [
        [f"{algorithm}: {objective.metric}", objective.answer.value, str(objective)]
        for algorithm, objective in result.objectives()
    ]
    return [heading("Objectives"), table(["objective", "", "in words"], rows)] if rows else []


def _making(result: Result, text: str, command: str) -> list[str]:
    run = result.runs[0]
    rows = [
        ["seed", str(result.seed)],
        [
            "requests",
            f"{_count(run.requests)} in each of {result.scenario.run.replications} replications",
        ],
        ["warm-up", f"{run.warmup:.4g} s are cut from the start of each"],
        *([["end", f"of the last {run.cooldown:.4g} s no latency counts"]] if run.cooldown else []),
        ["lb", __version__],
        ["Python", platform.python_version()],
        *([name, version(name)] for name in LIBRARIES),
    ]
    again = [f"<p>Again:</p>\n<pre><code>{escape(command)}</code></pre>"] if command else []
    tables = result.scenario.model_dump(mode="json", by_alias=True, exclude_none=True)
    scenario = text or json.dumps(tables, indent=1)
    return [
        table(["", ""], rows),
        *again,
        "<details open><summary>The scenario</summary>",
        f"<pre><code>{escape(scenario)}</code></pre></details>",
    ]


def _count(number: float) -> str:
    """A mean of replications: tenths only where they say something."""
    whole = math.isclose(number, round(number), abs_tol=1e-9) or number >= 100
    return f"{number:,.0f}" if whole else f"{number:.1f}"
