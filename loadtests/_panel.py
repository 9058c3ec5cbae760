"""Prediction beside measurement in locust's web UI, while a load test runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from _hands import Together
from _loadtest import LoadTest, Prediction
from flask import Response, request
from locust.web import WebUI

from sim.live.progress import Sofar
from sim.live.verdict import Verdict
from sim.output.report import verdict_sentences

KEY = "prediction"
PAGE = Path(__file__).parent / "_panel.html"
COLUMNS = (
    ("name", "So far"),
    ("measured", "Measured"),
    ("predicted", "Predicted"),
    ("runs", "95 % of runs, and beyond"),
    ("within", ""),
)
DRAWN = ("mean (ms)", "p50 (ms)", "p95 (ms)", "p99 (ms)")
"""Figures whose course the page shows."""


class Panel:
    """A tab of locust's own page, and a page with pictures."""

    def __init__(
        self,
        web_ui: WebUI,
        test: Callable[[], LoadTest | None],
        prediction: Callable[[], Prediction],
    ) -> None:
        self._test, self._prediction = test, prediction
        self._shown: tuple[LoadTest | None, list[Sofar]] = (None, [])
        self._final: LoadTest | None = None
        """Whose last figures are shown."""
        self._course: dict[str, list[tuple[float, float]]] = {}
        web_ui.template_args["extended_tabs"] = [{"title": "Prediction", "key": KEY}]
        structure = [{"key": key, "title": title} for key, title in COLUMNS]
        web_ui.template_args["extended_tables"] = [{"key": KEY, "structure": structure}]
        web_ui.template_args["extended_csv_files"] = []
        app, base = web_ui.app, web_ui.environment.parsed_options.web_base_path or ""

        @app.after_request
        def extended(response: Response) -> Response:
            if request.path == f"{base}/stats/requests" and response.status_code == 200:
                rows = [*self._judged(), *map(_cells, self._rows())]
                stats = [{"key": KEY, "data": rows}]
                response.set_data(json.dumps({**response.json, "extended_stats": stats}))
            return response

        @app.route(f"{base}/prediction")
        @web_ui.auth_required_if_enabled
        def page() -> str:
            return PAGE.read_text(encoding="utf-8")

        @app.route(f"{base}/prediction/data")
        @web_ui.auth_required_if_enabled
        def data() -> Any:
            return self._document()

        gevent.spawn(self._follow)

    def _rows(self) -> list[Sofar]:
        """Of the test that is under way, or of the last one; before it has begun what to expect."""
        progress = self._prediction().progress
        if self._shown[1] or progress is None:
            return self._shown[1]
        return progress.expected()

    def _verdict(self) -> Verdict | None:
        """Of the test that is under way or the last one, once it is judged."""
        test = self._test()
        return None if test is None else test.verdict

    def _judged(self) -> list[dict[str, str]]:
        """The row of the verdict, once there is one."""
        verdict = self._verdict()
        if verdict is None:
            return []
        cause = "" if verdict.cause is None else f"{verdict.cause.who}: {verdict.cause.says}"
        why = "; ".join(verdict.invalid) or cause
        row = dict.fromkeys(dict(COLUMNS), "")
        return [{**row, "name": "verdict", "measured": verdict.judgement.value, "runs": why}]

    def _follow(self) -> None:
        """Twice as often as the page asks; to the end of a test, and once more."""
        while True:
            gevent.sleep(1)
            test, prediction = self._test(), self._prediction()
            if test is None or test is self._final:
                continue
            judged = test.judged
            if test is not self._shown[0]:
                self._shown, self._course = (test, []), {name: [] for name in DRAWN}
            progress, measured = prediction.progress, test.measured()
            if progress is None or not test.hands.start:
                continue
            at, fits = test.elapsed(), prediction.fits(measured)
            rows = progress.rows(test.plan.schedule, measured, at)
            if not fits:
                rows = [row.by_itself() for row in rows]
                if judged or isinstance(test.hands, Together):  # else it would disturb who sends
                    prediction.again()
            for row in rows:
                if row.name in self._course and not math.isnan(row.measured) and not test.over:
                    self._course[row.name].append((at, row.measured))
            self._shown = (test, rows)
            if judged and fits:
                self._final = test

    def _document(self) -> dict[str, Any]:
        progress = self._prediction().progress
        course: dict[str, Any] = {}
        if progress is not None:
            for name in DRAWN:
                known = [
                    (float(at), step[name].low, step[name].value, step[name].high)
                    for at, step in zip(progress.times, progress.course, strict=True)
                    if step[name].low is not None
                ]
                course[name] = {"predicted": known, "measured": self._course.get(name, [])}
        verdict = self._verdict()
        return {
            "ready": progress is not None,
            "verdict": None if verdict is None else verdict.judgement.value,
            "says": [] if verdict is None else list(verdict_sentences(verdict)),
            "rows": [row.as_dict() for row in self._rows()],
            "course": course,
        }


def _cells(row: Sofar) -> dict[str, str]:
    low, high = row.predicted.low, row.predicted.high
    digits = 2 if row.name.endswith(")") else 0

    def number(value: float) -> str:
        return "" if math.isnan(value) else f"{value:.{digits}f}"

    within = "" if low is None or high is None else f"{number(low)} to {number(high)}"
    return {
        "name": row.name,
        "measured": number(row.measured),
        "predicted": number(row.predicted.value),
        "runs": f"{within}, ± {row.allowed:.0%}" if within and row.allowed else within,
        "within": {True: "as predicted", False: "outside", None: ""}[row.within],
    }
