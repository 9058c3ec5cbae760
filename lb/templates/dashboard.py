"""A Grafana dashboard of what `/metrics` tells, in the form that Grafana imports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from lb.templates.panels import OURS, PANELS, Panel, Row

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDE = 24
"""Columns of a Grafana dashboard."""
HIGH = 8


def dashboard() -> str:
    """The text of the file, to be imported into Grafana 9 or later."""
    return json.dumps(_document(), indent=1) + "\n"


def _document() -> dict[str, Any]:
    return {
        "title": "lb",
        "uid": "lb-balancer",
        "description": "A balancer of lb serve, from its /metrics.",
        "tags": ["lb", "load balancer"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "graphTooltip": 1,
        "templating": {"list": [_datasource(), *map(_variable, ("instance", "backend"))]},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_placed()),
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "current": {},
    }


def _variable(name: str) -> dict[str, Any]:
    of = "" if name == "instance" else f"{{{OURS}}}"
    query = f"label_values(lb_backend_up{of}, {name})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _placed() -> Iterator[dict[str, Any]]:
    x = y = below = 0
    numbers = count(1)
    for panel in PANELS:
        if isinstance(panel, Row):
            x, y = 0, below
            below = y + 1
            place = {"x": 0, "y": y, "w": WIDE, "h": 1}
            row = {"id": next(numbers), "type": "row", "title": panel.title, "gridPos": place}
            yield {**row, "collapsed": False, "panels": []}
            y = below
            continue
        high = HIGH if panel.kind != "stat" else HIGH // 2
        if x + panel.width > WIDE:
            x, y = 0, below
        place = {"x": x, "y": y, "w": panel.width, "h": high}
        yield {"id": next(numbers), "gridPos": place, **_panel(panel)}
        x, below = x + panel.width, max(below, y + high)


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
            }
            for at, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": {"unit": panel.unit, **_drawn(panel)}, "overrides": []},
        "options": _options(panel),
    }


def _drawn(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        fill = 25 if panel.stacked else 6
        return {
            "min": 0,
            "custom": {
                "lineWidth": 1,
                "fillOpacity": fill,
                "showPoints": "never",
                "stacking": stacking,
            },
        }
    if panel.kind == "state-timeline":
        words = {"0": {"text": "out", "color": "red"}, "1": {"text": "up", "color": "green"}}
        return {"mappings": [{"type": "value", "options": words}]}
    return {}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": last, "graphMode": "area", "colorMode": "value"}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
